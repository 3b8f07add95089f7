//! The one binary: server, shell and tools.

mod commands;
mod digest;
mod ensemble;
mod logging;
mod machine;
mod repair;
mod replace;
mod report;
mod serve;
mod status;
mod zk_cleanup;
mod zk_initialize;
mod zk_server;
mod zk_snapshot;
mod zk_txn_log;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use oxherd_cli::Lead;

use crate::commands::{Arguments, Command, ConfigCommand, LeadOptions, Script};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let path = Path::new(&program);
    match commands::script_named(&program) {
        Some(Script::Shell) => return oxherd_cli::main(arguments),
        Some(Script::Server) => return zk_server::run(path, arguments),
        Some(Script::Initialize) => return zk_initialize::run(zk_server::default_config(path), arguments),
        Some(Script::Cleanup) => return zk_cleanup::run(path, arguments),
        Some(Script::Snapshot) => return zk_snapshot::run(path, arguments),
        Some(Script::TxnLog) => return zk_txn_log::run(path, arguments),
        None => {}
    }
    let first = std::env::args_os().nth(1);
    // These two have option styles of their own, which must not pass another parser first.
    match first.as_ref().and_then(|name| name.to_str()) {
        Some("shell") => return oxherd_cli::main(arguments.skip(1)),
        Some("bench") => return oxherd_cli::bench_main(arguments.skip(1)),
        _ => {}
    }
    // Nothing at all means `serve`, with what the environment says.
    let parsed = if first.is_none() { Arguments::parse_from(["oxherd", "serve"]) } else { parse() };
    match parsed.command {
        Command::Serve(serve) => serve::run(&serve),
        Command::Config { command: ConfigCommand::Check { file, json } } => serve::check_config(&file, json),
        Command::Ensemble(options) => ensemble::run(&options),
        Command::Repair(options) => repair::run(&options),
        Command::Lead(LeadOptions { to, server: servers, auth }) => {
            oxherd_cli::lead(&Lead { to, servers, auth })
        }
        Command::Replace(options) => replace::run(options),
        Command::Status { file } => status::run(file),
        Command::Digest { identities, algorithm } => digest::run(&identities, algorithm),
        Command::Version => commands::print_version(),
        Command::Shell { arguments } => oxherd_cli::main(arguments.into_iter()),
        Command::Bench { arguments } => oxherd_cli::bench_main(arguments.into_iter()),
    }
}

/// Ends the program on arguments that cannot be understood, with what may have been meant.
#[expect(clippy::print_stderr, reason = "this is about the command line")]
fn parse() -> Arguments {
    Arguments::try_parse().unwrap_or_else(|error| {
        let given: Vec<String> = std::env::args().skip(1).collect();
        match commands::meant_serve(&given).filter(|_| error.use_stderr()) {
            Some(meant) => {
                drop(error.print());
                eprintln!("\nto start a server: {meant}");
                std::process::exit(error.exit_code())
            }
            None => error.exit(),
        }
    })
}
