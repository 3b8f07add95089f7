//! Running other programs, bounded in time.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often an ending program is looked at.
const POLL: Duration = Duration::from_millis(50);
/// How long a program may take to end when asked to.
const GRACE: Duration = Duration::from_secs(10);

/// `cargo` as it was called, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root()).stdin(Stdio::null());
    command
}

/// Runs to the end; fails unless the exit status is 0.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs quietly; what it said is shown when it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(())
}

/// Whether a program can be started at all.
pub(crate) fn exists(program: &str, arg: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(arg).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs with output into `log`; ends it after `limit`. `None` says that it was ended.
pub(crate) fn bounded(command: &mut Command, log: &Path, limit: Duration) -> Result<Option<ExitStatus>> {
    let file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stderr(file.try_clone()?).stdout(file);
    let child = command.process_group(0).spawn().with_context(|| format!("cannot start {command:?}"))?;
    wait(child, limit)
}

fn wait(mut child: Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(POLL);
    }
    end_group(&mut child)?;
    Ok(None)
}

/// Ends a program with all that it started, servers of a suite for instance.
fn end_group(child: &mut Child) -> Result<()> {
    let group = format!("-{}", child.id());
    for signal in ["-TERM", "-KILL"] {
        Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status()?;
        let started = Instant::now();
        while started.elapsed() < GRACE && child.try_wait()?.is_none() {
            std::thread::sleep(POLL);
        }
    }
    child.wait()?;
    Ok(())
}

/// The last lines of a log, for whoever reads the failure.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The lines of a log with a word in them, each with its end.
pub(crate) fn said(log: &Path, word: &str) -> String {
    let text = tail(log, usize::MAX);
    text.lines().filter(|line| line.contains(word)).map(|line| format!("{line}\n")).collect()
}
