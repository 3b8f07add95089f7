//! `interop`: other people's clients and suites against a release build.
//!
//! Each stage prints `name: N passed, M failed, K skipped`. A test may fail only if it fails on the original
//! server too, or if `tests-interop/waiting.txt` says what it waits for; it then counts as skipped.

mod clients;
mod conformance;
mod java;
mod mixed;
mod net;
mod server;
mod verdict;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, succeed};
use crate::root;
use verdict::Tally;

/// Where things are during a run.
struct Bench {
    /// The server under test.
    oxherd: PathBuf,
    /// This run's logs and data, by stage.
    out: PathBuf,
    /// `tests-interop/` of the repository.
    sources: PathBuf,
}

type Stage = fn(&Bench) -> Result<Tally>;

const STAGES: [(&str, Stage); 20] = [
    ("examples", clients::examples),
    ("kazoo", conformance::kazoo),
    ("kazoo-3", conformance::kazoo_3),
    ("aiozk", conformance::aiozk),
    ("zkcli", conformance::zkcli),
    ("rust-zookeeper", conformance::rust_zookeeper),
    ("node-client", conformance::node_client),
    ("go-zookeeper", clients::go_zookeeper),
    ("go-zookeeper-3", clients::go_zookeeper_3),
    ("c-client", clients::c_client),
    ("curator", java::curator),
    ("curator-3", java::curator_3),
    ("zookeeper-tests", java::zookeeper_tests),
    ("differential", java::differential),
    ("differential-ttl", java::differential_ttl),
    ("both-ways", mixed::both_ways),
    ("mixed", mixed::mixed),
    ("swap", mixed::swap),
    ("net", net::net),
    ("reconfig", mixed::reconfig),
];

/// Runs the stages named, or all.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STAGES.iter().all(|(stage, _)| stage != name)) {
        let known: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
        bail!("no stage {unknown}; there are {}", known.join(", "));
    }
    let bench = Bench {
        oxherd: oxherd()?,
        out: root().join("target/interop"),
        sources: root().join("tests-interop"),
    };
    let mut failed = 0;
    for (name, stage) in STAGES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            failed += run_stage(&bench, name, stage)?;
        }
    }
    if failed > 0 {
        bail!("{failed} interop stages failed; logs are in {}", bench.out.display())
    } else {
        Ok(())
    }
}

fn run_stage(bench: &Bench, name: &str, stage: Stage) -> Result<usize> {
    let out = bench.out.join(name);
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    std::fs::create_dir_all(&out)?;
    let tally = stage(bench).unwrap_or_else(|error| Tally::broken(&format!("{error:#}")));
    tally.print(name);
    Ok(usize::from(tally.failed > 0))
}

/// The release build, or the one that `OXHERD` names.
fn oxherd() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OXHERD") {
        return Ok(path.into());
    }
    succeed(cargo().args(["build", "--release", "--package", "oxherd"]))?;
    Ok(target().join("release/oxherd"))
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}
