//! The shell and its one-shot commands, and the load generator.
//!
//! [`main`] is `oxherd shell`, also when the binary is called `zkCli.sh`; [`bench_main`] is
//! `oxherd bench`. Both work against any ZooKeeper server.

mod answer;
mod arguments;
mod bench;
mod commands;
mod interactive;
mod lead;
mod mode;
mod options;
mod render;
mod replace;
mod shell;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use options::{ShellOptions, USAGE};
use shell::{to_stderr, to_stdout};

pub use bench::bench_main;
pub use lead::{Lead, lead};
pub use mode::server_mode;
pub use replace::{Kind, Replace, Service, replace};

/// The shell; `args` are those after the program's name and after `shell`.
///
/// Exit codes: 0, 1 for a command that failed, 127 for an unknown one, 2 for options or a client
/// configuration that cannot be used.
// Java: ZooKeeperMain.main
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match ShellOptions::parse(args) {
        Ok(options) => options,
        Err(error) => {
            to_stderr(&format!("{error}\n{USAGE}\n"));
            return ExitCode::from(answer::EXIT_INVOCATION);
        }
    };
    if options.help {
        to_stdout(&format!("{USAGE}\n"));
        return ExitCode::SUCCESS;
    }
    block_on(shell::run(options))
}

/// Runs on a runtime of one thread.
fn block_on(work: impl Future<Output = u8>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(work);
            runtime.shutdown_background();
            ExitCode::from(exit)
        }
        Err(error) => {
            to_stderr(&format!("cannot start: {error}\n"));
            ExitCode::from(answer::EXIT_FAILED)
        }
    }
}
