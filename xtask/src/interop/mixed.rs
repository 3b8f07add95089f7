//! Java and Oxherd in one ensemble, and in turn on one directory.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::verdict::{Tally, judge};
use crate::process::{bounded, exists};

const LIMIT: Duration = Duration::from_secs(1800);

/// Leaders of both kinds killed under load, in ensembles of two releases.
pub(super) fn mixed(bench: &Bench) -> Result<Tally> {
    with_java(bench, "mixed")
}

/// Directories written by one and opened by the other, each killed under load; 50 times with `FULL=1`.
pub(super) fn both_ways(bench: &Bench) -> Result<Tally> {
    with_java(bench, "both-ways")
}

/// A folder of `tests-interop/` whose `run.sh` writes `results.tsv`.
fn with_java(bench: &Bench, name: &str) -> Result<Tally> {
    if !exists("mvn", "--version") || !exists("java", "--version") || !exists("python3", "--version") {
        return Ok(Tally::skip("mvn, java and python3 are not all installed"));
    }
    let out = bench.out.join(name);
    let mut run = Command::new(bench.sources.join(name).join("run.sh"));
    run.env("OXHERD", &bench.oxherd).env("OUT", &out);
    bounded(&mut run, &out.join(format!("{name}.log")), LIMIT)?;
    judge(name, &out.join("results.tsv"), None, &bench.sources.join("waiting.txt"))
}
