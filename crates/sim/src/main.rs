//! Runs seeds and tells what fails.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talks to the person at the terminal")]
fn main() {
    let seed: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1);
    let n: u64 = std::env::args().nth(2).and_then(|s| s.parse().ok()).unwrap_or(1);
    let plan_story = |seed| {
        let plan = oxherd_sim::plan::Plan::of(seed);
        let mut story = oxherd_sim::story::Story::default();
        story.told = true;
        println!("{}", plan.summary());
        let outcome = oxherd_sim::runs::run(&plan, None, story);
        if let Some(b) = outcome.breach { if n == 1 { println!("{}", outcome.story); } println!("{b}"); }
        println!("{:?}", outcome.tally);
    };
    for s in seed..seed + n { plan_story(s); }
}
