//! Runs a server in the foreground.

use std::path::Path;
use std::process::ExitCode;

use oxherd_config::{Config, ConfigError, Finding, Parsed, Severity, Sources};
use oxherd_server::{Handle, Purpose, Server, StartError};
use tracing::{error, info, warn};

use crate::commands::Serve;
use crate::{logging, machine, report};

/// Exit codes that scripts around ZooKeeper know.
// Java: ExitCode
mod exit {
    pub(super) const UNEXPECTED: u8 = 1;
    pub(super) const BAD_ARGUMENTS: u8 = 2;
    pub(super) const DATA_DIRECTORY: u8 = 3;
    pub(super) const LOG_OR_SNAPSHOT: u8 = 10;
    /// The port for votes.
    pub(super) const ELECTION_PORT: u8 = 14;
}

pub(crate) fn run(serve: &Serve) -> ExitCode {
    logging::start(&serve.log, serve.log_format);
    let sources = Sources {
        file: None,
        positional: serve.config.clone(),
        environment: std::env::vars().collect(),
        client_port: serve.client_port,
        data_dir: serve.data_dir.clone(),
    };
    let (config, findings) = match Parsed::load(&sources).and_then(Parsed::into_config) {
        Ok(read) => read,
        Err(reason) => return refuse_config(&reason),
    };
    report(&findings);
    match Server::builder(config.clone()).start() {
        Ok(handle) => serve_until_asked_to_stop(handle, &config),
        Err(reason) => refuse_start(&reason),
    }
}

fn refuse_config(reason: &ConfigError) -> ExitCode {
    for line in reason.to_string().lines() {
        error!("{line}");
    }
    error!("the configuration is not usable; `oxherd config check FILE` explains it");
    ExitCode::from(exit::BAD_ARGUMENTS)
}

fn refuse_start(reason: &StartError) -> ExitCode {
    error!("cannot start: {reason}");
    ExitCode::from(match reason {
        StartError::Setting(_) => exit::BAD_ARGUMENTS,
        StartError::DataDirectory { .. } => exit::DATA_DIRECTORY,
        StartError::Recovery(_) => exit::LOG_OR_SNAPSHOT,
        StartError::Listen { purpose: Purpose::Elections, .. } => exit::ELECTION_PORT,
        _ => exit::UNEXPECTED,
    })
}

fn report(findings: &[Finding]) {
    for finding in findings {
        match finding.severity {
            Severity::Note => info!("{finding}"),
            _ => warn!("{finding}"),
        }
    }
}

fn serve_until_asked_to_stop(handle: Handle, config: &Config) -> ExitCode {
    banner(&handle, config);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(reason) => return refuse_start(&StartError::Threads(reason)),
    };
    let halted = runtime.block_on(async {
        tokio::select! {
            reason = handle.halted() => Some(reason),
            () = stop_signal() => None,
        }
    });
    match halted {
        None => {
            info!("stopping");
            handle.shutdown();
            info!("stopped");
            ExitCode::SUCCESS
        }
        // The reason is in the log already.
        Some(_) => {
            handle.shutdown();
            info!("stopped");
            ExitCode::from(exit::LOG_OR_SNAPSHOT)
        }
    }
}

pub(crate) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

#[expect(clippy::print_stdout, reason = "the banner is for whoever started the server")]
fn banner(handle: &Handle, config: &Config) {
    let Some(address) = handle.client_addr() else {
        return println!("oxherd {}: no client port is configured", env!("CARGO_PKG_VERSION"));
    };
    println!("oxherd {} serves ZooKeeper clients on {address}", env!("CARGO_PKG_VERSION"));
    println!("  data    {}", config.storage.data_dir.display());
    if config.log_dir() != config.storage.data_dir {
        println!("  log     {}", config.log_dir().display());
    }
    println!("  try     oxherd shell -server 127.0.0.1:{} ls /", address.port());
}

#[expect(clippy::print_stderr, reason = "this is what was asked for")]
pub(crate) fn check_config(file: &Path, json: bool) -> ExitCode {
    let sources = Sources {
        file: Some(file.to_owned()),
        environment: std::env::vars().collect(),
        ..Sources::default()
    };
    match Parsed::load(&sources) {
        Ok(mut parsed) => {
            let found = machine::findings(&parsed.config);
            parsed.findings.extend(found);
            let text = if json { oxherd_config::to_json(&parsed) } else { oxherd_config::to_text(&parsed) };
            report::print(&text);
            match parsed.into_config() {
                Ok(_) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(exit::BAD_ARGUMENTS),
            }
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(exit::BAD_ARGUMENTS)
        }
    }
}
