//! Ensembles in network namespaces: links cut, processes stopped, disks damaged, and the clients' history judged.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::verdict::{Tally, judge};
use crate::process::{bounded, exists, quietly, said, tail};

const LIMIT: Duration = Duration::from_secs(900);
const FULL_LIMIT: Duration = Duration::from_secs(3600);

/// The program of `tests-interop/net`, behind the tests of its own checkers; longer faults with `FULL=1`.
pub(super) fn net(bench: &Bench) -> Result<Tally> {
    if !exists("go", "version") {
        return Ok(Tally::skip("go is not installed (apt: golang-go)"));
    }
    let (out, sources) = (bench.out.join("net"), bench.sources.join("net"));
    let program = out.join("net");
    quietly(Command::new("go").args(["test", "."]).current_dir(&sources))?;
    quietly(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(&sources))?;
    let (results, log) = (out.join("results.tsv"), out.join("net.log"));
    let mut run = Command::new(program);
    run.env("OXHERD", &bench.oxherd).env("OUT", &out).env("RESULTS", &results);
    let limit = if std::env::var_os("FULL").is_some() { FULL_LIMIT } else { LIMIT };
    if bounded(&mut run, &log, limit)?.is_none() {
        return Ok(Tally::broken(&format!("took too long:\n{}", tail(&log, 15))));
    }
    if !results.exists() {
        return Ok(without_results(&log));
    }
    print!("{}", said(&log, "FAILED"));
    judge("net", &results, None, &bench.sources.join("waiting.txt"))
}

/// The program says why it cannot run on this machine.
fn without_results(log: &Path) -> Tally {
    match said(log, "skipped: ").strip_prefix("skipped: ") {
        Some(reason) => Tally::skip(reason.trim_end()),
        None => Tally::broken(&format!("left no results:\n{}", tail(log, 15))),
    }
}
