//! `fuzz`: every target for a while.

use anyhow::{Context, Result};

use crate::process::{cargo, exists, succeed};
use crate::root;

const SECONDS_DEFAULT: u32 = 30;

/// Runs each target of `fuzz/` for the seconds given.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let seconds =
        args.first().map_or(Ok(SECONDS_DEFAULT), |text| text.parse()).context("seconds a target")?;
    if !exists("cargo-fuzz", "--version") {
        println!(
            "fuzz: 0 passed, 0 failed, 1 skipped: cargo-fuzz is not installed (cargo install cargo-fuzz)"
        );
        return Ok(());
    }
    let mut targets: Vec<String> = std::fs::read_dir(root().join("fuzz/fuzz_targets"))?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    for target in &targets {
        let limit = format!("-max_total_time={seconds}");
        let mut command = cargo();
        // The instrumentation is not stable; no other compiler is needed for it.
        command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", target, "--", &limit]);
        succeed(&mut command).with_context(|| format!("fuzz target {target}"))?;
    }
    println!("fuzz: {} passed, 0 failed, 0 skipped", targets.len());
    Ok(())
}
