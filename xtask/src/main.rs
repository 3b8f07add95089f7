//! The project's own commands; `cargo xtask` lists them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talks to the person at the terminal")]

mod bench;
mod check;
mod failover;
mod fuzz;
mod interop;
mod process;
mod sim;
mod tidy;
mod trace;

use std::path::PathBuf;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask check            fmt, clippy, docs, tidy, deny; writes nothing
cargo xtask fix              fmt and clippy's own corrections
cargo xtask tidy             the rules that no other tool knows
cargo xtask interop [NAME..] other people's clients and suites against a release build
cargo xtask sim [ARG..]      whole replicas in virtual time; --ci, --seeds A..B, --minutes N, --seed N --trace
cargo xtask trace [--of A..B] recorded runs held against spec/Zab.tla by TLC (needs java and mvn)
cargo xtask fuzz [SECONDS]   every fuzz target for a while (needs cargo-fuzz)
cargo xtask bench [ARG..]    side by side with Java (needs the rigs); also bench ensemble, sync, pause, catch-up
cargo xtask bench-failover   writes after a leader's end, side by side with Java; ROUNDS=N";

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match command.as_str() {
        "check" => check::check(),
        "fix" => check::fix(),
        "tidy" => tidy::report(),
        "interop" => interop::run(&rest),
        "fuzz" => fuzz::run(&rest),
        "sim" => sim::run(&rest),
        "trace" => trace::run(&rest),
        "bench" => bench::run(&rest),
        "bench-failover" => failover::run(),
        "" | "help" | "--help" => {
            println!("{USAGE}");
            Ok(())
        }
        other => bail!("no command {other}\n{USAGE}"),
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}
