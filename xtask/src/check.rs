//! `check` and `fix`: other tools in the right order.

use anyhow::{Result, bail};

use crate::process::{cargo, exists, quietly, succeed};
use crate::tidy;

type Step = fn() -> Result<()>;

/// Every check; all of them run, so that one run shows everything.
pub(crate) fn check() -> Result<()> {
    let steps: [(&str, Step); 5] = [
        ("fmt", || quietly(cargo().args(["fmt", "--all", "--check"]))),
        ("clippy", || {
            succeed(cargo().args([
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]))
        }),
        ("docs", || {
            let mut docs = cargo();
            docs.args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
            succeed(docs.env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("tidy", tidy::report),
        ("deny", deny),
    ];
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, step) in steps {
        if name == "deny" && !exists("cargo-deny", "--version") {
            println!("deny: skipped, cargo-deny is not installed");
            skipped += 1;
            continue;
        }
        match step() {
            Ok(()) => passed += 1,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed += 1;
            }
        }
    }
    println!("check: {passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 { bail!("{failed} of the checks failed") } else { Ok(()) }
}

fn deny() -> Result<()> {
    succeed(cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))
}

/// Formats, and applies what clippy can correct by itself.
pub(crate) fn fix() -> Result<()> {
    succeed(cargo().args(["clippy", "--fix", "--allow-dirty", "--workspace", "--all-targets"]))?;
    succeed(cargo().args(["fmt", "--all"]))
}
