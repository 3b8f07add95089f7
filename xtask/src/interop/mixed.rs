//! Java and Oxherd in one ensemble, in turn on one directory, and exchanged under load.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::verdict::{Tally, judge};
use super::{Bench, clients, java};
use crate::process::{bounded, exists, said};

const LIMIT: Duration = Duration::from_secs(1800);

/// Leaders of both kinds killed under load, in ensembles of two releases.
pub(super) fn mixed(bench: &Bench) -> Result<Tally> {
    with_java(bench, "mixed", &[])
}

/// An ensemble of both kinds that grows, shrinks and changes places under load, killed in and after each step, with clients
/// that follow it.
pub(super) fn reconfig(bench: &Bench) -> Result<Tally> {
    with_clients(bench, "reconfig")
}

/// Directories written by one and opened by the other, each killed under load; 50 times with `FULL=1`.
pub(super) fn both_ways(bench: &Bench) -> Result<Tally> {
    with_java(bench, "both-ways", &[])
}

/// Java servers become Oxherd and Java again, one at a time, while clients run; five and an observer with `FULL=1`.
pub(super) fn swap(bench: &Bench) -> Result<Tally> {
    with_clients(bench, "swap")
}

/// A folder whose `run.sh` needs Curator and kazoo too.
fn with_clients(bench: &Bench, name: &str) -> Result<Tally> {
    if !tools() || !exists("javac", "--version") {
        return Ok(Tally::skip("mvn, javac and python3 are not all installed"));
    }
    let python = clients::python(bench)?.into_os_string();
    with_java(bench, name, &[("CLIENTS", java::class_path(bench)?.into()), ("PYTHON", python)])
}

fn tools() -> bool {
    exists("mvn", "--version") && exists("java", "--version") && exists("python3", "--version")
}

/// A folder of `tests-interop/` whose `run.sh` writes `results.tsv`.
fn with_java(bench: &Bench, name: &str, env: &[(&str, OsString)]) -> Result<Tally> {
    if !tools() {
        return Ok(Tally::skip("mvn, java and python3 are not all installed"));
    }
    let out = bench.out.join(name);
    let mut run = Command::new(bench.sources.join(name).join("run.sh"));
    run.env("OXHERD", &bench.oxherd).env("OUT", &out).envs(env.iter().map(|(key, value)| (key, value)));
    let log = out.join(format!("{name}.log"));
    bounded(&mut run, &log, LIMIT)?;
    print!("{}", said(&log, "FAILED"));
    judge(name, &out.join("results.tsv"), None, &bench.sources.join("waiting.txt"))
}
