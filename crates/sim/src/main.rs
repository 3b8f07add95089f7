//! Runs seeds, tells what fails, and how much was run.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talks to the person at the terminal")]

mod recording;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oxherd_sim::bug::{BUGS, Bug, World as Shown};
use oxherd_sim::dice::mix;
use oxherd_sim::plan::Plan;
use oxherd_sim::runs::{Outcome, run, shrink};
use oxherd_sim::story::Story;
use oxherd_sim::verdict::Breach;

const USAGE: &str = "\
oxherd-sim --seeds A..B          these seeds
oxherd-sim --minutes N           fresh seeds for so long
oxherd-sim --seed N [--trace]    one seed; --trace prints its conversation
oxherd-sim --ci                  fixed seeds, then SIM_MINUTES (5) of fresh ones, some of ensembles that change
oxherd-sim --sweep SEED          one short story, with power lost at every output of every server
oxherd-sim --bites [A..B]        each bug put back: how many seeds find it
oxherd-sim --record DIR --of A..B  traces of three voters for the specification
oxherd-sim --mutate DIR          some of them spoiled, which it must reject
    --bug NAME                   with this bug put back; --bugs lists them
    --alone | --ensemble         only servers alone, or only ensembles
    --reconfig                   only ensembles that change
    --keep-going                 do not stop at the first failing seed";

/// Fixed seeds that every run of CI begins with.
const CI_SEEDS: std::ops::Range<u64> = 0..300;
/// The same, of ensembles that change.
const CI_RECONFIG_SEEDS: std::ops::Range<u64> = 0..200;
/// How much of the time for fresh seeds goes to ensembles that change.
const RECONFIG_PART: f64 = 0.4;
/// Seeds recorded when none are named.
const TRACE_SEEDS: std::ops::Range<u64> = 0..100;
/// Seeds tried for a bug before it counts as not found.
const BITE_SEEDS: std::ops::Range<u64> = 0..400;

#[derive(Clone, Default)]
struct Options {
    bug: Option<Bug>,
    alone: Option<bool>,
    reconfig: bool,
    keep_going: bool,
    trace: bool,
}

#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
    virtual_us: u64,
    committed: u64,
    acknowledged: u64,
    events: u64,
    faults: BTreeMap<&'static str, u64>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = match options(&args) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let begun = now();
    let mut totals = Totals::default();
    let value = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).cloned();
    if args.iter().any(|arg| arg == "--bugs") {
        BUGS.iter().for_each(|row| println!("{:24} {}", row.1, row.3));
        return ExitCode::SUCCESS;
    } else if let Some(seed) = value("--seed").and_then(|text| text.parse().ok()) {
        one(seed, &options, &mut totals);
    } else if let Some(seeds) = value("--seeds").and_then(|text| range(&text)) {
        many(seeds, &options, &mut totals, None);
    } else if let Some(minutes) = value("--minutes").and_then(|text| text.parse().ok()) {
        fresh(minutes, &options, &mut totals);
    } else if let Some(seed) = value("--sweep").and_then(|text| text.parse().ok()) {
        sweep(seed, &options, &mut totals);
    } else if let Some(dir) = value("--record") {
        let seeds = value("--of").and_then(|text| range(&text)).unwrap_or(TRACE_SEEDS);
        if let Err(error) = recording::record(Path::new(&dir), seeds, options.bug) {
            eprintln!("{dir}: {error}");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    } else if let Some(dir) = value("--mutate") {
        if let Err(error) = recording::mutate(Path::new(&dir), TRACE_SEEDS) {
            eprintln!("{dir}: {error}");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    } else if args.iter().any(|arg| arg == "--ci") {
        many(CI_SEEDS, &options, &mut totals, None);
        sweep(0, &options, &mut totals);
        many(CI_RECONFIG_SEEDS, &Options { reconfig: true, ..options.clone() }, &mut totals, None);
        let minutes = std::env::var("SIM_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
        fresh(minutes * (1.0 - RECONFIG_PART), &options, &mut totals);
        fresh(minutes * RECONFIG_PART, &Options { reconfig: true, ..options.clone() }, &mut totals);
    } else if args.iter().any(|arg| arg == "--bites") {
        bites(value("--bites").and_then(|text| range(&text)).unwrap_or(BITE_SEEDS), &mut totals);
        println!("bites: {} passed, {} failed, 0 skipped", totals.passed, totals.failed);
        return if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    } else {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    report(&totals, now().duration_since(begun));
    if totals.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn now() -> Instant {
    Instant::now()
}

fn options(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bug" => {
                let name = args.next().ok_or("--bug needs a name")?;
                options.bug = Some(Bug::from_name(name).ok_or_else(|| format!("no bug is called {name}"))?);
            }
            "--alone" => options.alone = Some(true),
            "--ensemble" => options.alone = Some(false),
            "--reconfig" => options.reconfig = true,
            "--keep-going" => options.keep_going = true,
            "--trace" => options.trace = true,
            _ => {}
        }
    }
    Ok(options)
}

fn range(text: &str) -> Option<std::ops::Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

fn plan_of(seed: u64, options: &Options) -> Plan {
    match options.alone {
        _ if options.reconfig => Plan::of_reconfig(seed),
        Some(alone) => Plan::of_world(seed, alone),
        None => Plan::of(seed),
    }
}

fn one(seed: u64, options: &Options, totals: &mut Totals) {
    let plan = plan_of(seed, options);
    println!("{}", plan.summary());
    let story = if options.trace { Story::whole() } else { Story::of_the_end() };
    let outcome = run(&plan, options.bug, story);
    if options.trace {
        print!("{}", outcome.story);
    }
    totals.add(&outcome);
    if let Some(breach) = outcome.breach {
        println!("seed {seed} breaks {breach}");
    } else {
        println!("fingerprint {:016x}", outcome.tally.fingerprint);
    }
}

fn many(seeds: std::ops::Range<u64>, options: &Options, totals: &mut Totals, until: Option<Instant>) {
    for seed in seeds {
        if until.is_some_and(|until| now() >= until) {
            return;
        }
        let plan = plan_of(seed, options);
        let outcome = run(&plan, options.bug, Story::default());
        totals.add(&outcome);
        if outcome.breach.is_some() {
            tell_failure(&plan, options, &outcome);
            if !options.keep_going {
                return;
            }
        }
    }
}

/// A server's outputs are what others, its disk and its clients hear of it; between any two of them it may die.
fn sweep(seed: u64, options: &Options, totals: &mut Totals) {
    let plan = Plan::of_sweep(seed);
    let calm = run(&plan, options.bug, Story::default());
    let outputs = calm.tally.outputs.clone();
    println!("{}, struck at {} outputs", plan.summary(), outputs.iter().sum::<u64>());
    totals.add(&calm);
    for (server, count) in outputs.into_iter().enumerate() {
        for output in 0..count {
            let outcome = run(&plan.struck(server, output), options.bug, Story::default());
            totals.add(&outcome);
            if let Some(breach) = &outcome.breach {
                println!("FAILED server {} at its output {output}: {breach}", server + 1);
                if !options.keep_going {
                    return;
                }
            }
        }
    }
}

fn tell_failure(plan: &Plan, options: &Options, outcome: &Outcome) {
    let Some(breach) = &outcome.breach else { return };
    println!("FAILED {}\n  {breach}", plan.summary());
    if options.keep_going {
        return;
    }
    let small = shrink(plan, options.bug, breach.invariant);
    let again = run(&small, options.bug, Story::of_the_end());
    println!("shrunk to {} ms and these faults:", small.duration_ms);
    small.faults.iter().for_each(|planned| {
        println!("  {:>7} ms  server {}  {:?}", planned.at_ms, planned.server + 1, planned.fault)
    });
    println!("the end of its conversation:\n{}", again.story);
    println!("  {}", again.breach.map_or(String::new(), |breach| breach.to_string()));
    let kind = if options.reconfig { " --reconfig" } else { "" };
    println!("again: cargo xtask sim --seed {}{kind} --trace", plan.seed);
}

fn fresh(minutes: f64, options: &Options, totals: &mut Totals) {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = mix(u64::try_from(unix.as_nanos() % u128::from(u64::MAX)).unwrap_or(0)) >> 16;
    println!("fresh seeds from {first} for {minutes:.1} minutes");
    many(first..u64::MAX, options, totals, Some(now() + Duration::from_secs_f64(minutes * 60.0)));
}

/// The first seed that fails with the bug and passes without.
fn first_to_find(bug: Bug, shown: Shown, mut seeds: std::ops::Range<u64>) -> Option<(u64, Breach)> {
    seeds.find_map(|seed| {
        let plan = Plan::showing(seed, shown);
        let breach = run(&plan, Some(bug), Story::default()).breach?;
        run(&plan, None, Story::default()).breach.is_none().then_some((seed, breach))
    })
}

fn bites(seeds: std::ops::Range<u64>, totals: &mut Totals) {
    for (bug, name, shown, _) in BUGS {
        let found = first_to_find(bug, shown, seeds.clone());
        match found {
            Some((seed, breach)) => {
                totals.passed += 1;
                println!("{name:24} {:>4} seeds  seed {seed}: {breach}", seed - seeds.start + 1);
            }
            None => {
                totals.failed += 1;
                println!("{name:24} not found in {} seeds", seeds.end - seeds.start);
            }
        }
    }
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        if outcome.breach.is_some() {
            self.failed += 1
        } else {
            self.passed += 1
        }
        self.virtual_us += outcome.tally.virtual_us;
        self.committed += outcome.tally.committed;
        self.acknowledged += outcome.tally.acknowledged;
        self.events += outcome.tally.events;
        for (name, count) in &outcome.tally.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }
}

fn report(totals: &Totals, took: Duration) {
    let hours = Duration::from_micros(totals.virtual_us).as_secs_f64() / 3600.0;
    let wall_hours = took.as_secs_f64() / 3600.0;
    println!(
        "{hours:.2} simulated hours in {:.1} s, {:.0} an hour; {} txns committed, {} writes acknowledged, {} events",
        took.as_secs_f64(),
        hours / wall_hours.max(1e-9),
        totals.committed,
        totals.acknowledged,
        totals.events
    );
    let faults: Vec<String> = totals.faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
    println!("faults: {}", faults.join(", "));
    println!("sim: {} passed, {} failed, 0 skipped", totals.passed, totals.failed);
}
