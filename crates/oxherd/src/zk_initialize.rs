//! The binary under the name `zkServer-initialize.sh`: empty directories that are meant to be empty.
//!
//! A member without data has no vote unless the file `initialize` says that there never was any.
// Java: zkServer-initialize.sh

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use oxherd_config::{Parsed, Sources};
use oxherd_storage::DirLock;

const USAGE: &str = "usage: zkServer-initialize.sh [--configfile=FILE] [--myid=N] [--force]
  --configfile=FILE  ZooKeeper config file
  --myid=N           what to write into myid
  --force            remove what the directories hold";
/// Beside `version-2`, what belongs to the data that goes.
const WITH_DATA: [&str; 3] = ["myid", "membership.next", "membership.active"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    config: Option<PathBuf>,
    myid: Option<String>,
    force: bool,
}

/// Runs under that name; `default` is the configuration when none is given.
#[expect(clippy::print_stderr, reason = "this is about the command line")]
pub(crate) fn run(default: PathBuf, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words = arguments.map(|word| word.to_string_lossy().into_owned());
    let Some(asked) = parse(words) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match initialize(&asked.config.clone().unwrap_or(default), &asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Asked> {
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        match name.as_str() {
            "--force" if value.is_none() => asked.force = true,
            "--configfile" => asked.config = Some(value.take().or_else(|| words.next())?.into()),
            "--myid" => asked.myid = Some(value.take().or_else(|| words.next())?),
            _ => return None,
        }
    }
    Some(asked)
}

#[expect(clippy::print_stdout, reason = "as the original says it")]
fn initialize(config: &Path, asked: &Asked) -> Result<()> {
    if let Some(myid) = &asked.myid {
        myid.parse::<i64>().with_context(|| format!("myid must be a whole number, not \"{myid}\""))?;
    }
    let sources = Sources { file: Some(config.to_owned()), ..Sources::default() };
    let storage = Parsed::load(&sources)?.config.storage;
    let mut dirs = vec![("data", storage.data_dir.clone())];
    dirs.extend(storage.log_dir.map(|dir| ("txnlog", dir)));
    for (what, dir) in &dirs {
        if !asked.force && dir.join("version-2").is_dir() {
            bail!(
                "ZooKeeper {what} directory already exists at {} (or use --force to force re-initialization)",
                dir.display()
            );
        }
    }
    if asked.force {
        println!("Force enabled, data/txnlog directories will be re-initialized");
    }
    for (_, dir) in &dirs {
        empty(dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    let data_dir = storage.data_dir;
    match &asked.myid {
        Some(myid) => {
            println!("Using myid of {myid}");
            write(&data_dir.join("myid"), &format!("{myid}\n"))?;
        }
        None => println!(
            "No myid provided, be sure to specify it in {}/myid if using non-standalone",
            data_dir.display()
        ),
    }
    write(&data_dir.join("initialize"), "")?;
    Ok(fs::File::open(&data_dir)?.sync_all()?)
}

/// Nobody serves from it meanwhile.
fn empty(dir: &Path) -> Result<()> {
    let data = dir.join("version-2");
    fs::create_dir_all(&data)?;
    let lock = DirLock::take(&data)?;
    for name in WITH_DATA {
        gone(fs::remove_file(dir.join(name)))?;
    }
    fs::remove_dir_all(&data)?;
    drop(lock);
    Ok(fs::create_dir(&data)?)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_behind_the_sign_or_the_blank() {
        let asked = |text: &str| parse(text.split_whitespace().map(str::to_owned));
        let want = Asked { config: Some("/a/zoo.cfg".into()), myid: Some("3".to_owned()), force: true };
        assert_eq!(asked("--configfile=/a/zoo.cfg --myid 3 --force"), Some(want));
        assert_eq!(asked("--help"), None);
        assert_eq!(asked("--myid"), None);
    }
}
