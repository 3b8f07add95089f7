//! The binary under the name `zkCleanup.sh`: removes what is older than the newest snapshots, for a nightly job.
//!
//! May run beside the server that serves from the directories, as the original may: that server's newest log is never
//! among what goes.
// Java: zkCleanup.sh, PurgeTxnLog

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use jiff::{Timestamp, tz::TimeZone};
use oxherd_config::{Parsed, Sources};
use oxherd_storage::{Disk as _, Layout, OsDisk, purgeable};

use crate::zk_server;

/// What the script hands on to the class, which the original shows too.
const USAGE: &str = "Usage:
PurgeTxnLog dataLogDir [snapDir] -n count
\tdataLogDir -- path to the txn log directory
\tsnapDir -- path to the snapshot directory
\tcount -- the number of old snaps/logs you want to keep, value should be greater than or equal to 3";
// Java: PurgeTxnLog.COUNT_ERR_MSG
const COUNT_MIN: usize = 3;
const COUNT_TOO_SMALL: &str = "count should be greater than or equal to 3";

#[derive(Debug, PartialEq, Eq)]
struct Asked {
    log_dir: PathBuf,
    data_dir: PathBuf,
    count: usize,
}

/// Runs under that name; `program` is how it was called.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "where the original says it")]
pub(crate) fn run(program: &Path, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut given: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let config = zk_server::take_config(program, &mut given);
    let mut words = match directories(config) {
        Ok(words) => words,
        Err(reason) => {
            eprintln!("{reason:#}");
            return ExitCode::FAILURE;
        }
    };
    words.extend(given);
    let asked = match parse(&words) {
        Ok(asked) => asked,
        Err(reason) => {
            reason.iter().for_each(|reason| eprintln!("{reason}"));
            println!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match clean(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
    }
}

/// The directories of the configuration as first words of the class: logs, then snapshots if they lie elsewhere.
///
/// A configuration that no server would start with names its directories all the same.
fn directories(config: PathBuf) -> Result<Vec<String>> {
    let sources = Sources { file: Some(config), environment: env::vars().collect(), ..Sources::default() };
    let storage = Parsed::load(&sources)?.config.storage;
    let dirs = storage.log_dir.into_iter().chain([storage.data_dir]);
    Ok(dirs.map(|dir| dir.to_string_lossy().into_owned()).collect())
}

/// Errors: what is to be said before the usage, if anything.
// Java: PurgeTxnLog.main
fn parse(words: &[String]) -> Result<Asked, Option<String>> {
    let (log, snap, option, count) = match words {
        [dir, option, count] => (dir, dir, option, count),
        [log, snap, option, count] => (log, snap, option, count),
        _ => return Err(None),
    };
    let (log_dir, data_dir) = (existing(log)?, existing(snap)?);
    let number: i32 = count.parse().map_err(|_| Some(format!("'{count}' can not be parsed to integer.")))?;
    let count = usize::try_from(number).ok().filter(|count| *count >= COUNT_MIN);
    let count = count.ok_or_else(|| Some(COUNT_TOO_SMALL.to_owned()))?;
    if option == "-n" { Ok(Asked { log_dir, data_dir, count }) } else { Err(None) }
}

fn existing(path: &str) -> Result<PathBuf, Option<String>> {
    let shown = || std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string();
    let found = PathBuf::from(path);
    if found.exists() { Ok(found) } else { Err(Some(format!("Path '{}' does not exist. ", shown()))) }
}

fn clean(asked: &Asked) -> Result<()> {
    let layout = Layout::new(&asked.data_dir, Some(&asked.log_dir));
    if !layout.snap_dir.is_dir() {
        // The original makes what is missing, finds no snapshot in it and ends.
        return Ok(());
    }
    layout.open(&OsDisk, true)?;
    let found = purgeable(&OsDisk, &layout.snap_dir, &layout.log_dir, asked.count)?;
    // A snapshot that stays keeps its logs: without them it would lead over a hole.
    if remove(&layout.snap_dir, &found.snapshots)? {
        remove(&layout.log_dir, &found.logs)?;
    }
    Ok(())
}

/// Answers whether all of them are gone. As in the original one that cannot be removed is no reason to fail.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "where the original says it")]
fn remove(dir: &Path, files: &[PathBuf]) -> Result<bool> {
    let mut all = true;
    for path in files {
        println!("Removing file: {}\t{}", changed_at(path), path.display());
        match fs::remove_file(path) {
            // The server's own purge was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                eprintln!("Failed to remove {}: {error}", path.display());
                all = false;
            }
            Ok(()) => {}
        }
    }
    if !files.is_empty() {
        OsDisk.sync_dir(dir).with_context(|| format!("cannot sync {}", dir.display()))?;
    }
    Ok(all)
}

/// Such as `Mar 5, 2024, 3:04:05 PM`, in local time. A file that is not there any more has the time 0.
// Java: DateFormat.getDateTimeInstance, in English
fn changed_at(path: &Path) -> String {
    let changed = fs::metadata(path).and_then(|found| found.modified());
    let at = changed.ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::system()).strftime("%b %-d, %Y, %-I:%M:%S %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_class() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().to_str().expect("text");
        let asked = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            parse(&words)
        };
        let want = |count| Asked { log_dir: dir.into(), data_dir: dir.into(), count };
        assert_eq!(asked(&format!("{dir} -n 3")), Ok(want(3)));
        assert_eq!(asked(&format!("{dir} {dir} -n +12")), Ok(want(12)));
        for wrong in ["", "-n 3", &format!("{dir} -m 3"), &format!("{dir} {dir} {dir} -n 3")] {
            assert_eq!(asked(wrong), Err(None), "{wrong}");
        }
        let said = |text: String| asked(&text).expect_err("refused").expect("a reason");
        assert_eq!(said(format!("{dir} -n 2")), COUNT_TOO_SMALL);
        assert_eq!(said(format!("{dir} -n -5")), COUNT_TOO_SMALL);
        assert_eq!(said(format!("{dir} -n x")), "'x' can not be parsed to integer.");
        assert_eq!(said(format!("{dir}/no -n 3")), format!("Path '{dir}/no' does not exist. "));
    }
}
