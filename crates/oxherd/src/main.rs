//! The one binary: server, shell and tools.

mod commands;
mod logging;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::{Arguments, Command, ConfigCommand};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if commands::is_shell_name(&program) {
        return oxherd_cli::main(arguments);
    }
    let first = std::env::args_os().nth(1);
    match first.as_ref().and_then(|name| name.to_str()) {
        Some("shell") => return oxherd_cli::main(arguments.skip(1)),
        Some("bench") => return oxherd_cli::bench_main(arguments.skip(1)),
        _ => {}
    }
    match Arguments::parse().command {
        None => serve::run(&commands::Serve::default()),
        Some(Command::Serve(serve)) => serve::run(&serve),
        Some(Command::Config { command: ConfigCommand::Check { file, json } }) => serve::check_config(&file, json),
        Some(Command::Version) => commands::print_version(),
        Some(Command::Shell { .. } | Command::Bench { .. }) => ExitCode::SUCCESS,
    }
}
