//! Java clients by Maven coordinates, and the comparison with the original server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::server::Server;
use super::verdict::{Tally, judge};
use super::{Bench, target};
use crate::process::{bounded, cargo, exists, quietly, succeed, tail};

const RECIPES_LIMIT: Duration = Duration::from_secs(300);
const CLASS_LIMIT: Duration = Duration::from_secs(240);

/// The class path of `tests-interop/java`; our classes first.
pub(super) fn class_path(bench: &Bench) -> Result<String> {
    let project = bench.sources.join("java");
    let classes = bench.out.join("java-build/classes");
    std::fs::create_dir_all(&classes)?;
    let jars = jars(bench, "java")?;
    let mut javac = Command::new("javac");
    javac.args(["--release", "17", "-nowarn", "-cp", &jars, "-d"]).arg(&classes);
    quietly(javac.args(sources(&project.join("src/main/java"))?))?;
    Ok(format!("{}:{jars}", classes.display()))
}

/// The jars of a Maven project below `tests-interop/`, as a class path.
pub(super) fn jars(bench: &Bench, project: &str) -> Result<String> {
    let list = bench.out.join("java-build").join(format!("{project}.class-path"));
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:build-classpath"]).current_dir(bench.sources.join(project));
    quietly(maven.arg(format!("-Dmdep.outputFile={}", list.display())))?;
    std::fs::read_to_string(&list).context("Maven writes the class path")
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|end| end == "java") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn missing_tools() -> Option<Tally> {
    let all = exists("mvn", "--version") && exists("javac", "--version");
    (!all).then(|| Tally::skip("mvn and javac are not installed (apt: maven openjdk-17-jdk-headless)"))
}

/// Curator's recipes.
pub(super) fn curator(bench: &Bench) -> Result<Tally> {
    curator_on(bench, "curator", Server::oxherd)
}

/// The same on an ensemble of three.
pub(super) fn curator_3(bench: &Bench) -> Result<Tally> {
    curator_on(bench, "curator-3", Server::ensemble)
}

type Start = fn(&Bench, &Path, &[&str]) -> Result<Server>;

fn curator_on(bench: &Bench, stage: &str, start: Start) -> Result<Tally> {
    if let Some(tally) = missing_tools() {
        return Ok(tally);
    }
    let out = bench.out.join(stage);
    let jars = class_path(bench)?;
    let server = start(bench, &out, &["extendedTypesEnabled=true"])?;
    let mut tests = java_tests(&jars, &out);
    tests.env("ZK_HOSTPORT", &server.hostport).arg("oxherd.interop.CuratorRecipes");
    run_tests(bench, stage, &mut tests, RECIPES_LIMIT)
}

/// ZooKeeper's own client tests; each starts its server through `OutsideServer`. One process a class: they leave
/// system properties behind.
pub(super) fn zookeeper_tests(bench: &Bench) -> Result<Tally> {
    if let Some(tally) = missing_tools() {
        return Ok(tally);
    }
    let out = bench.out.join("zookeeper-tests");
    let jars = class_path(bench)?;
    let names = std::fs::read_to_string(bench.sources.join("java/zookeeper-tests.txt"))?;
    let baseline = bench.sources.join("java/zookeeper-tests.baseline");
    for name in names.lines().filter(|line| !line.starts_with('#')) {
        let mut tests = java_tests(&jars, &out);
        tests.env("ZK_START", format!("{} serve", bench.oxherd.display())).arg(name);
        if baseline.exists() {
            tests.env("BASELINE", &baseline);
        }
        bounded(&mut tests, &out.join(format!("{name}.log")), CLASS_LIMIT)?;
    }
    let baseline = Some(baseline.as_path()).filter(|path| path.exists());
    judge("zookeeper-tests", &out.join("results.tsv"), baseline, &bench.sources.join("waiting.txt"))
}

fn java_tests(class_path: &str, out: &Path) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx768m", "-Dzookeeper.serverCnxnFactory=oxherd.interop.OutsideServer"]);
    command.arg(format!("-Dbuild.test.dir={}", out.join("build").display()));
    command.args(["-cp", class_path, "oxherd.interop.RunTests"]);
    command.current_dir(out).env("OUT", out).env("RESULTS", out.join("results.tsv"));
    command
}

fn run_tests(bench: &Bench, name: &str, command: &mut Command, limit: Duration) -> Result<Tally> {
    let out = bench.out.join(name);
    let log = out.join("tests.log");
    if bounded(command, &log, limit)?.is_none() {
        return Ok(Tally::broken(&format!("took too long:\n{}", tail(&log, 15))));
    }
    judge(name, &out.join("results.tsv"), None, &bench.sources.join("waiting.txt"))
}

/// Random histories, sent to the original server and to ours.
pub(super) fn differential(bench: &Bench) -> Result<Tally> {
    compare(bench, "differential", &[])
}

/// The same with container and TTL nodes switched on.
pub(super) fn differential_ttl(bench: &Bench) -> Result<Tally> {
    compare(bench, "differential-ttl", &["extendedTypesEnabled=true"])
}

fn compare(bench: &Bench, name: &str, lines: &[&str]) -> Result<Tally> {
    if let Some(tally) = missing_tools() {
        return Ok(tally);
    }
    let out = bench.out.join(name);
    succeed(cargo().args(["build", "--quiet", "--release", "--package", "oxherd-differential"]))?;
    let program = target().join("release/oxherd-differential");
    let java = Server::java(&class_path(bench)?, &out, lines)?;
    let ours = Server::oxherd(bench, &out, lines)?;
    let mut command = Command::new(program);
    command.args(["--reference", &java.hostport, "--subject", &ours.hostport, "--seeds", "60"]);
    command.arg("--results").arg(out.join("results.tsv"));
    run_tests(bench, name, &mut command, RECIPES_LIMIT)
}
