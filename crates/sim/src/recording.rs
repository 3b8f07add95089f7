//! Writes traces of simulated runs: one file of JSON lines each, and the modules that TLC reads.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use oxherd_sim::bug::Bug;
use oxherd_sim::plan::Plan;
use oxherd_sim::runs::record as run;
use oxherd_sim::trace::mutation::MUTATIONS;
use oxherd_sim::trace::{Event, module};

/// Traces in one module, and so in one run of TLC.
const BATCH: usize = 100;

/// Records these seeds below `dir`: `seed-N.jsonl`, and a directory `batch-K` with `Traces.tla` and the list
/// `names` for every hundred of them.
pub(crate) fn record(dir: &Path, seeds: Range<u64>, bug: Option<Bug>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let seeds: Vec<u64> = seeds.collect();
    for (number, batch) in seeds.chunks(BATCH).enumerate() {
        let mut traces = Vec::new();
        for seed in batch {
            let (outcome, events) = run(&Plan::of_trace(*seed), bug);
            if let Some(breach) = outcome.breach.filter(|_| bug.is_none()) {
                println!("seed {seed} breaks {breach}");
            }
            fs::write(dir.join(format!("seed-{seed}.jsonl")), lines(&events)?)?;
            traces.push(events);
        }
        let names: Vec<String> = batch.iter().map(|seed| format!("seed {seed}")).collect();
        write_batch(&dir.join(format!("batch-{number}")), &names, &traces)?;
    }
    Ok(())
}

/// Writes a batch `mutants` below `dir`: for each mutation the first of these seeds that it changes, spoiled; and
/// then the same traces as they were.
pub(crate) fn mutate(dir: &Path, seeds: Range<u64>) -> io::Result<()> {
    let mut wanted: Vec<_> = MUTATIONS.to_vec();
    let (mut names, mut mutants) = (Vec::new(), Vec::new());
    let (mut untouched, mut originals) = (Vec::new(), Vec::new());
    for seed in seeds {
        if wanted.is_empty() {
            break;
        }
        let (_, events) = run(&Plan::of_trace(seed), None);
        let before = mutants.len();
        wanted.retain(|(name, _, change)| {
            let Some(mutant) = change(&events).filter(|mutant| *mutant != events) else { return true };
            names.push(format!("mutant {name} of seed {seed}"));
            mutants.push(mutant);
            false
        });
        if mutants.len() > before {
            untouched.push(format!("seed {seed}"));
            originals.push(events);
        }
    }
    if !wanted.is_empty() {
        let unfit: Vec<&str> = wanted.iter().map(|(name, ..)| *name).collect();
        return Err(io::Error::other(format!("none of these seeds can be spoiled by: {}", unfit.join(", "))));
    }
    names.append(&mut untouched);
    mutants.append(&mut originals);
    write_batch(&dir.join("mutants"), &names, &mutants)
}

fn write_batch(dir: &Path, names: &[String], traces: &[Vec<Event>]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("Traces.tla"), module::module(traces))?;
    fs::write(dir.join("names"), names.join("\n") + "\n")
}

fn lines(events: &[Event]) -> io::Result<String> {
    let lines: Result<Vec<String>, _> = events.iter().map(serde_json::to_string).collect();
    Ok(lines?.join("\n") + "\n")
}
