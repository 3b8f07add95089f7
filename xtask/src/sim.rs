//! `sim`: whole replicas in virtual time.

use anyhow::Result;

use crate::process::{cargo, succeed};

/// Runs the simulator with these arguments, `--ci` without any.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", "fast", "-p", "oxherd-sim", "--"]);
    if args.is_empty() {
        command.arg("--ci")
    } else {
        command.args(args)
    };
    succeed(&mut command)
}
