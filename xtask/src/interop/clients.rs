//! Clients in other languages, each with a small program of ours under `tests-interop/` or `examples/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::server::Server;
use super::verdict::{Tally, judge};
use crate::process::{bounded, exists, quietly, tail};
use crate::root;

const CLIENT_LIMIT: Duration = Duration::from_secs(180);

/// The Python examples of the README, run as a user would.
pub(super) fn examples(bench: &Bench) -> Result<Tally> {
    let mut command = Command::new(python(bench)?);
    command.arg(bench.sources.join("examples.py")).arg(root().join("examples/python"));
    client(bench, "examples", 1, &mut command)
}

/// An interpreter with kazoo.
pub(super) fn python(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.out.join("python-environment");
    let python = folder.join("bin/python");
    if !python.exists() {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let list = root().join("examples/python/requirements.txt");
    quietly(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(list))?;
    Ok(python)
}

/// github.com/go-zookeeper/zk.
pub(super) fn go_zookeeper(bench: &Bench) -> Result<Tally> {
    go_zookeeper_on(bench, "go-zookeeper", 1)
}

/// The same on an ensemble of three.
pub(super) fn go_zookeeper_3(bench: &Bench) -> Result<Tally> {
    go_zookeeper_on(bench, "go-zookeeper-3", 3)
}

fn go_zookeeper_on(bench: &Bench, stage: &str, servers: usize) -> Result<Tally> {
    if !exists("go", "version") {
        return Ok(Tally::skip("go is not installed (apt: golang-go)"));
    }
    let program = bench.out.join(stage).join("client");
    let mut go = Command::new("go");
    quietly(go.args(["build", "-o"]).arg(&program).arg(".").current_dir(bench.sources.join("go")))?;
    client(bench, stage, servers, &mut Command::new(program))
}

/// The C client, Debian's libzookeeper-mt-dev.
pub(super) fn c_client(bench: &Bench) -> Result<Tally> {
    if !Path::new("/usr/include/zookeeper/zookeeper.h").exists() {
        return Ok(Tally::skip("the C client is not installed (apt: libzookeeper-mt-dev)"));
    }
    let program: PathBuf = bench.out.join("c-client/client");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Werror", "-DTHREADED", "-o"]).arg(&program).arg(bench.sources.join("c/client.c"));
    quietly(cc.args(["-lzookeeper_mt", "-lpthread"]))?;
    client(bench, "c-client", 1, &mut Command::new(program))
}

/// Runs a program that reads `ZK_HOSTPORT` and writes its verdicts to the file `RESULTS`.
fn client(bench: &Bench, name: &str, servers: usize, command: &mut Command) -> Result<Tally> {
    let out = bench.out.join(name);
    let lines = ["extendedTypesEnabled=true"];
    let server = if servers == 1 {
        Server::oxherd(bench, &out, &lines)?
    } else {
        Server::ensemble(bench, &out, &lines)?
    };
    let results = out.join("results.tsv");
    command.env("ZK_HOSTPORT", &server.hostport).env("RESULTS", &results);
    let log = out.join("client.log");
    if bounded(command, &log, CLIENT_LIMIT)?.is_none() {
        return Ok(Tally::broken(&format!("took too long:\n{}", tail(&log, 15))));
    }
    if !results.exists() {
        return Ok(Tally::broken(&format!("left no results:\n{}", tail(&log, 15))));
    }
    judge(name, &results, None, &bench.sources.join("waiting.txt"))
}
