//! The load generator.

use std::ffi::OsString;
use std::process::ExitCode;

/// The load generator; `args` are those after `bench`.
pub fn bench_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = args;
    ExitCode::SUCCESS
}
