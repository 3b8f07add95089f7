//! Random histories of several sessions, sent to the original server and to ours; every reply and notification is
//! compared after masking times, session ids and the order of children. A difference is shrunk and printed.
//!
//! Entry points: [`history::generate`] makes a history of a seed, [`play::play`] sends it to one server.
#![allow(clippy::print_stdout, reason = "talks to the person at the terminal")]

mod dice;
mod history;
mod mask;
mod play;
mod shrink;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

const STEPS_DEFAULT: usize = 120;
/// Leaves half of the folders' names to the plays themselves.
const PLAYS_BEGIN_MAX: u64 = 0x8000;
const USAGE: &str = "\
oxherd-differential --reference HOST:PORT --subject HOST:PORT [--seeds N] [--seed FIRST] [--steps N] [--results FILE]
Both servers have to have the same history so far, best none, and serve nobody else.";

struct Options {
    reference: String,
    subject: String,
    seeds: u64,
    seed: u64,
    steps: usize,
    results: Option<String>,
}

fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn options() -> Result<Options> {
    let mut options = Options {
        reference: String::new(),
        subject: String::new(),
        seeds: 20,
        seed: seconds(),
        steps: STEPS_DEFAULT,
        results: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().with_context(|| format!("{name} needs a value\n{USAGE}"))?;
        match name.as_str() {
            "--reference" => options.reference = value,
            "--subject" => options.subject = value,
            "--seeds" => options.seeds = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--steps" => options.steps = value.parse()?,
            "--results" => options.results = Some(value),
            _ => bail!("no option {name}\n{USAGE}"),
        }
    }
    if options.reference.is_empty() || options.subject.is_empty() {
        bail!("{USAGE}");
    }
    Ok(options)
}

fn main() -> Result<()> {
    let options = options()?;
    println!("seeds {}..{}, {} steps each", options.seed, options.seed + options.seeds, options.steps);
    let mut results = String::new();
    let mut failed = 0;
    let begin = usize::try_from(seconds() % PLAYS_BEGIN_MAX)?;
    let mut pair = shrink::Pair::new(&options.reference, &options.subject, begin);
    for seed in options.seed..options.seed + options.seeds {
        let history = history::generate(seed, options.steps);
        let same = match pair.difference(&history)? {
            None => true,
            Some(difference) => {
                println!("--- seed {seed} ---\n{}", pair.shrunk(history, difference)?);
                false
            }
        };
        failed += u64::from(!same);
        writeln!(results, "{}\tseed {seed}", if same { "PASS" } else { "FAIL" })?;
    }
    if let Some(path) = options.results {
        std::fs::write(&path, results).with_context(|| format!("cannot write {path}"))?;
    }
    println!("differential: {} passed, {failed} failed, 0 skipped", options.seeds - failed);
    if failed > 0 { bail!("{failed} of {} histories differ", options.seeds) } else { Ok(()) }
}
