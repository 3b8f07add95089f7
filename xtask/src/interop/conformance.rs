//! Suites that the folder `shared/conformance`, beside the repository, can run.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::java::jars;
use super::verdict::{Tally, judge};
use crate::process::{bounded, tail};
use crate::root;

const KAZOO_LIMIT: Duration = Duration::from_secs(1500);
const SUITE_LIMIT: Duration = Duration::from_secs(600);

/// The version that a server reports by `srvr`; kazoo compares it with what it was told, where `CI` is set.
const REPORTED_VERSION: &str = "3.9.5";

/// The Python client kazoo's own tests, on one server.
pub(super) fn kazoo(bench: &Bench) -> Result<Tally> {
    kazoo_on(bench, "kazoo", 1, 31000)
}

/// The same on an ensemble of three.
pub(super) fn kazoo_3(bench: &Bench) -> Result<Tally> {
    kazoo_on(bench, "kazoo-3", 3, 31500)
}

fn kazoo_on(bench: &Bench, stage: &str, servers: usize, port_base: u16) -> Result<Tally> {
    // Without SASL on the server these tests of the client wait for ever; the list of waiting tests names them.
    let tests = "kazoo/tests --deselect kazoo/tests/test_sasl.py";
    let env = [
        ("ZOOKEEPER_CLUSTER_SIZE", servers.to_string()),
        ("PORT_BASE", port_base.to_string()),
        ("KAZOO_TESTS", tests.to_owned()),
        ("ZK_CLAIMS", REPORTED_VERSION.to_owned()),
    ];
    suite_as(bench, stage, "kazoo", &env, KAZOO_LIMIT)
}

/// The asyncio client aiozk's own tests.
pub(super) fn aiozk(bench: &Bench) -> Result<Tally> {
    suite(bench, "aiozk", &[("PORT_BASE", "31100".to_owned())], SUITE_LIMIT)
}

/// The Java shell, command by command.
pub(super) fn zkcli(bench: &Bench) -> Result<Tally> {
    let env = [("PORT_BASE", "31200".to_owned()), ("ZK_CLI_CP", jars(bench, "java-shell")?)];
    suite(bench, "zkcli", &env, SUITE_LIMIT)
}

/// The Rust crate zookeeper's own tests.
pub(super) fn rust_zookeeper(bench: &Bench) -> Result<Tally> {
    // The crate's log would be written between a test's name and its verdict, and the verdict would be overlooked.
    let env = [("PORT_BASE", "31300".to_owned()), ("RUST_LOG", "off".to_owned())];
    suite(bench, "rust-zookeeper", &env, SUITE_LIMIT)
}

/// The Node client.
pub(super) fn node_client(bench: &Bench) -> Result<Tally> {
    suite(bench, "node-client", &[("PORT_BASE", "31400".to_owned())], SUITE_LIMIT)
}

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("CONFORMANCE").map(PathBuf::from);
    Some(named.unwrap_or_else(|| root().join("../shared/conformance"))).filter(|path| path.exists())
}

fn suite(bench: &Bench, name: &str, env: &[(&str, String)], limit: Duration) -> Result<Tally> {
    suite_as(bench, name, name, env, limit)
}

/// Runs the suite `name` as the stage `stage`, under which its waiting tests are listed.
fn suite_as(
    bench: &Bench,
    stage: &str,
    name: &str,
    env: &[(&str, String)],
    limit: Duration,
) -> Result<Tally> {
    let Some(folder) = folder() else {
        return Ok(Tally::skip("the conformance folder is not beside the repository; CONFORMANCE names it"));
    };
    let out = bench.out.join(stage);
    let mut command = Command::new("bash");
    command.arg(folder.join(format!("{name}.sh"))).envs(env.iter().map(|(key, value)| (*key, value)));
    command.env("ZK_START", format!("{} serve", bench.oxherd.display()));
    command.env("OUT", &out).env("PARTIAL", "1").env_remove("ZK_HOSTPORT").env_remove("CARGO");
    let log = out.join("runner.log");
    let ended = bounded(&mut command, &log, limit)?;
    let results = out.join("results.tsv");
    if ended.is_none() || !results.exists() {
        let why = if ended.is_none() { "took too long" } else { "left no results" };
        return Ok(Tally::broken(&format!("{why}:\n{}", tail(&log, 15))));
    }
    let baseline = folder.join("baselines").join(format!("{name}.txt"));
    judge(stage, &results, Some(&baseline), &bench.sources.join("waiting.txt"))
}
