//! Runs of seeds: one, many, and the smallest that still fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bug::Bug;
use crate::invariants::no_panic;
use crate::plan::Plan;
use crate::story::Story;
use crate::trace::{Event, Recorder};
use crate::verdict::Breach;
use crate::world::{Tally, World};

/// Most runs spent on making a failing plan smaller.
const SHRINK_RUNS_MAX: usize = 200;

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// What failed, if anything did.
    pub breach: Option<Breach>,
    /// What happened, as far as it was told.
    pub story: String,
    /// What it amounted to.
    pub tally: Tally,
}

/// Runs a plan. A panic of the code under test is a breach too.
pub fn run(plan: &Plan, bug: Option<Bug>, story: Story) -> Outcome {
    finish(&mut World::new(plan.clone(), bug, story))
}

/// Runs a plan and records it for the specification.
pub fn record(plan: &Plan, bug: Option<Bug>) -> (Outcome, Vec<Event>) {
    let mut world = World::new(plan.clone(), bug, Story::default());
    world.recorder = Recorder::switched_on();
    let outcome = finish(&mut world);
    (outcome, world.recorder.events)
}

fn finish(world: &mut World) -> Outcome {
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    let breach = no_panic::check(ended).err();
    Outcome { breach, story: world.story.text(), tally: world.tally.clone() }
}

/// The smallest plan found that breaks the same invariant: fewer faults, then a shorter run.
pub fn shrink(plan: &Plan, bug: Option<Bug>, invariant: &str) -> Plan {
    let mut best = plan.clone();
    let mut runs = 0;
    let mut still_fails = |candidate: &Plan| {
        runs += 1;
        runs <= SHRINK_RUNS_MAX
            && run(candidate, bug, Story::default())
                .breach
                .is_some_and(|breach| breach.invariant == invariant)
    };
    let mut chunk = best.faults.len().div_ceil(2);
    while chunk > 0 {
        let mut from = 0;
        while from < best.faults.len() {
            let mut candidate = best.clone();
            let to = (from + chunk).min(candidate.faults.len());
            candidate.faults.drain(from..to);
            if still_fails(&candidate) {
                best = candidate;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    for divisor in [8, 4, 2] {
        let duration_ms = plan.duration_ms / divisor;
        let mut candidate = Plan { duration_ms, ..best.clone() };
        candidate.faults.retain(|planned| planned.at_ms < duration_ms);
        candidate.changes.retain(|planned| planned.at_ms < duration_ms);
        if still_fails(&candidate) {
            return candidate;
        }
    }
    best
}
