//! The binary under the name `zkServer.sh`: the words, files and answers that service units, images and hands know.
//!
//! `start` writes the number of its process to `zookeeper_server.pid` in the data directory, or to `ZOOPIDFILE`, as the
//! original does, so that either one's `stop` ends the other one's server.
// Java: zkServer.sh, zkEnv.sh

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use oxherd_config::{Parsed, Sources};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::commands::{Arguments, Command as Asked, print_version};
use crate::{serve, status};

const USAGE: &str =
    "usage: zkServer.sh [--config DIR] {start|start-foreground|stop|restart|status|version|print-cmd} [FILE]";
/// How long a server may take to fail at its start; the original looks once, so late.
const FAILS_WITHIN: Duration = Duration::from_secs(1);
/// How long a server may take to end; it hands over first when it leads.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where things are.
struct Place {
    config: PathBuf,
    pid_file: PathBuf,
    log_dir: PathBuf,
}

/// Runs under that name; `program` is how it was called.
#[expect(clippy::print_stderr, reason = "this is about the command line")]
pub(crate) fn run(program: &Path, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let given = take_config_dir(&mut words);
    let word = words.first().map_or("", String::as_str);
    if word == "version" {
        return print_version();
    }
    let home = directory_of(program).join("..");
    let config = config_file(&home, given, words.get(1));
    let ended = match word {
        "start" => placed(&home, config).and_then(|place| start(&place)),
        "stop" => placed(&home, config).and_then(|place| stop(&place)),
        "restart" => placed(&home, config).and_then(|place| stop(&place).and_then(|()| start(&place))),
        "print-cmd" => placed(&home, config).and_then(|place| print_command(&place)),
        "start-foreground" => return foreground(&config),
        "status" => return status::run(Some(config)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
    }
}

/// The directory behind a leading `--config`, which every script of the original takes off its words.
// Java: zkEnv.sh
fn take_config_dir(words: &mut Vec<String>) -> Option<String> {
    let is_there = words.len() > 1 && words[0] == "--config";
    is_there.then(|| words.drain(..2).nth(1)).flatten()
}

/// The configuration of a script that may be told its directory, which is taken off the words.
pub(crate) fn take_config(program: &Path, words: &mut Vec<String>) -> PathBuf {
    let given = take_config_dir(words);
    config_file(&directory_of(program).join(".."), given, None)
}

/// Where the name is that this was called by, which need not be where the binary is.
fn directory_of(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return program.parent().map(Path::to_owned).unwrap_or_default();
    }
    let path = variable("PATH").unwrap_or_default();
    env::split_paths(&path).find(|dir| dir.join(program).exists()).unwrap_or_default()
}

/// The configuration of a script at this place that is told none.
pub(crate) fn default_config(program: &Path) -> PathBuf {
    config_file(&directory_of(program).join(".."), None, None)
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// A name alone is one in the directory of configurations.
fn config_file(home: &Path, dir: Option<String>, file: Option<&String>) -> PathBuf {
    let dir = dir.map(PathBuf::from).or_else(|| variable("ZOOCFGDIR").map(PathBuf::from));
    let dir = dir.unwrap_or_else(|| home.join("conf"));
    let file = file.map(PathBuf::from).or_else(|| variable("ZOOCFG").map(PathBuf::from));
    let file = file.unwrap_or_else(|| PathBuf::from("zoo.cfg"));
    if file.components().count() > 1 { file } else { dir.join(file) }
}

#[expect(clippy::print_stderr, reason = "as the original says it")]
fn placed(home: &Path, config: PathBuf) -> Result<Place> {
    eprintln!("Using config: {}", config.display());
    let sources =
        Sources { file: Some(config.clone()), environment: env::vars().collect(), ..Sources::default() };
    let data_dir = Parsed::load(&sources)?.config.storage.data_dir;
    let pid_file = variable("ZOOPIDFILE").map(PathBuf::from);
    Ok(Place {
        config,
        pid_file: pid_file.unwrap_or_else(|| data_dir.join("zookeeper_server.pid")),
        log_dir: variable("ZOO_LOG_DIR").map_or_else(|| home.join("logs"), PathBuf::from),
    })
}

impl Place {
    /// The process that the file names, if it lives.
    fn running(&self) -> Option<Pid> {
        let text = fs::read_to_string(&self.pid_file).ok()?;
        let pid = Pid::from_raw(text.trim().parse().ok()?)?;
        lives(pid).then_some(pid)
    }

    fn output(&self) -> PathBuf {
        let name = |variable: &str| env::var(variable).unwrap_or_default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.log_dir.join(format!("zookeeper-{}-server-{host}.out", name("USER")))
    }
}

/// One that has ended and that nobody has asked about is there, but does not live.
fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let is_ended = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    test_kill_process(pid).is_ok() && !is_ended
}

fn start(place: &Place) -> Result<()> {
    say("Starting zookeeper ... ");
    if let Some(pid) = place.running() {
        bail!("already running as process {}", pid.as_raw_nonzero());
    }
    for dir in [Some(place.log_dir.as_path()), place.pid_file.parent()].into_iter().flatten() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut child = spawn(place)?;
    fs::write(&place.pid_file, child.id().to_string()).with_context(|| {
        format!("started as process {}, but cannot write {}", child.id(), place.pid_file.display())
    })?;
    let until = Instant::now() + FAILS_WITHIN;
    while Instant::now() < until {
        if let Some(ended) = child.try_wait()? {
            drop(fs::remove_file(&place.pid_file));
            bail!("FAILED TO START: {ended}; {} says why", place.output().display());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    say("STARTED\n");
    Ok(())
}

/// In a process group of its own, so that what ends this command leaves the server alone.
fn spawn(place: &Place) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let output = place.output();
    let file = fs::File::options().create(true).append(true).open(&output);
    let file = file.with_context(|| format!("cannot write {}", output.display()))?;
    let mut command = Command::new(env::current_exe()?);
    command.arg("serve").arg(&place.config).process_group(0);
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.spawn().context("SERVER DID NOT START")
}

/// Waits until the server is gone, unlike the original, so that another may open its files.
fn stop(place: &Place) -> Result<()> {
    say("Stopping zookeeper ... ");
    if !place.pid_file.exists() {
        say(&format!("no zookeeper to stop (could not find file {})\n", place.pid_file.display()));
        return Ok(());
    }
    if let Some(pid) = place.running() {
        kill_process(pid, Signal::TERM)?;
        let until = Instant::now() + ENDS_WITHIN;
        while lives(pid) {
            if Instant::now() >= until {
                bail!("process {} has not ended within {} s", pid.as_raw_nonzero(), ENDS_WITHIN.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    fs::remove_file(&place.pid_file)
        .with_context(|| format!("cannot remove {}", place.pid_file.display()))?;
    say("STOPPED\n");
    Ok(())
}

fn print_command(place: &Place) -> Result<()> {
    let (program, config, output) = (env::current_exe()?, place.config.display(), place.output());
    say(&format!(
        "\"{}\" serve \"{config}\" >> \"{}\" 2>&1 < /dev/null\n",
        program.display(),
        output.display()
    ));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "as the original says it")]
fn foreground(config: &Path) -> ExitCode {
    eprintln!("Using config: {}", config.display());
    let words = [OsString::from("oxherd"), OsString::from("serve"), config.into()];
    match Arguments::parse_from(words).command {
        Asked::Serve(options) => serve::run(&options),
        _ => unreachable!("the word is there"),
    }
}

/// Half lines must be seen before what they announce is done.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
