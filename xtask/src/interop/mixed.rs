//! Java and Oxherd in one ensemble.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::verdict::{Tally, judge};
use crate::process::{bounded, exists};

const LIMIT: Duration = Duration::from_secs(1800);

/// Leaders of both kinds killed under load, in ensembles of two releases.
pub(super) fn mixed(bench: &Bench) -> Result<Tally> {
    if !exists("mvn", "--version") || !exists("java", "--version") || !exists("python3", "--version") {
        return Ok(Tally::skip("mvn, java and python3 are not all installed"));
    }
    let out = bench.out.join("mixed");
    let mut run = Command::new(bench.sources.join("mixed/run.sh"));
    run.env("OXHERD", &bench.oxherd).env("OUT", &out);
    bounded(&mut run, &out.join("mixed.log"), LIMIT)?;
    judge("mixed", &out.join("results.tsv"), None, &bench.sources.join("waiting.txt"))
}
