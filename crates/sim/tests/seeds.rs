//! The simulation itself: it repeats to the bit, it passes on what is right, and it bites.

use oxherd_sim::bug::{BUGS, Bug, World};
use oxherd_sim::plan::Plan;
use oxherd_sim::runs::{run, shrink};
use oxherd_sim::story::Story;

/// Seeds within which each bug has to be found; `SIMULATION.md` says how many are needed.
const BITE_SEEDS: u64 = 100;

#[test]
fn the_same_seed_is_the_same_run_to_the_bit() {
    for (seed, alone) in [(1, true), (1, false), (2, false)] {
        let plan = Plan::of_world(seed, alone);
        let first = run(&plan, None, Story::whole());
        let again = run(&plan, None, Story::whole());
        assert_eq!(first.tally.fingerprint, again.tally.fingerprint, "{}", plan.summary());
        assert!(!first.story.is_empty() && first.story == again.story, "{}", plan.summary());
    }
}

#[test]
fn some_seeds_pass_and_do_work() {
    let outcomes: Vec<_> = (0..6).map(|seed| (seed, run(&Plan::of(seed), None, Story::default()))).collect();
    for (seed, outcome) in &outcomes {
        assert!(outcome.breach.is_none(), "seed {seed}: {:?}", outcome.breach);
    }
    assert!(outcomes.iter().map(|(_, outcome)| outcome.tally.acknowledged).sum::<u64>() > 100);
}

#[test]
fn some_ensembles_change_and_pass() {
    let outcomes: Vec<_> =
        (0..6).map(|seed| (seed, run(&Plan::of_reconfig(seed), None, Story::default()))).collect();
    for (seed, outcome) in &outcomes {
        assert!(outcome.breach.is_none(), "seed {seed}: {:?}", outcome.breach);
    }
    let done = outcomes.iter().filter_map(|(_, outcome)| outcome.tally.faults.get("change done"));
    assert!(done.sum::<u64>() > 5);
}

fn finds(bug: Bug, shown: World) -> Option<u64> {
    (0..BITE_SEEDS).find(|seed| {
        let plan = Plan::showing(*seed, shown);
        run(&plan, Some(bug), Story::default()).breach.is_some()
            && run(&plan, None, Story::default()).breach.is_none()
    })
}

fn all_are_found(shown: World) {
    // Cuts are rare, and a power loss right after one rarer still; and the core never has an epoch and txns
    // before it under way at once, so no driver can exchange them. `SIMULATION.md` says so.
    let rare = [Bug::TruncWithoutSync, Bug::Zk4643];
    for (bug, name, _, _) in BUGS.into_iter().filter(|row| row.2 == shown && !rare.contains(&row.0)) {
        assert!(finds(bug, shown).is_some(), "{name} is not found within {BITE_SEEDS} seeds");
    }
}

#[test]
fn every_bug_of_a_server_alone_is_found() {
    all_are_found(World::Alone);
}

#[test]
fn every_bug_of_an_ensemble_is_found() {
    all_are_found(World::Ensemble);
}

#[test]
fn every_bug_of_a_change_is_found() {
    all_are_found(World::Changing);
}

#[test]
fn a_failing_plan_shrinks_and_still_fails() {
    let plan = Plan::of_world(0, true);
    let breach =
        run(&plan, Some(Bug::AckBeforeWrite), Story::default()).breach.expect("the bug bites at once");
    let small = shrink(&plan, Some(Bug::AckBeforeWrite), breach.invariant);
    assert!(small.faults.is_empty(), "it needs no fault at all: {:?}", small.faults);
    let again = run(&small, Some(Bug::AckBeforeWrite), Story::default()).breach;
    assert_eq!(again.map(|breach| breach.invariant), Some(breach.invariant));
}
