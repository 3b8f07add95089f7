//! `status`: whether the server of a configuration serves, and as what.

use std::path::PathBuf;
use std::process::ExitCode;

use oxherd_config::{Config, Parsed, Sources};

use crate::report;

/// As `zkServer.sh status`, which knows nothing between yes and no.
const DOWN: u8 = 1;

// Java: zkServer.sh
#[expect(clippy::print_stderr, reason = "this is what was asked for")]
pub(crate) fn run(file: Option<PathBuf>) -> ExitCode {
    match look(file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason:#}");
            ExitCode::from(DOWN)
        }
    }
}

#[expect(clippy::print_stderr, reason = "standard output is for the answer")]
fn look(file: Option<PathBuf>) -> anyhow::Result<()> {
    if let Some(file) = &file {
        eprintln!("Using config: {}", file.display());
    }
    let sources = Sources { file, environment: std::env::vars().collect(), ..Sources::default() };
    // A server that was started before the file was broken may well be there.
    let parsed = Parsed::load(&sources)?;
    let Some((host, port)) = place(&parsed.config) else {
        anyhow::bail!("no client port in the configuration: there is nothing to ask");
    };
    report::print(&format!("Client port found: {port}. Client address: {host}. Client SSL: false."));
    let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    match oxherd_cli::server_mode(&place)? {
        Some(mode) => report::print(&format!("Mode: {mode}")),
        None => anyhow::bail!("Error contacting service: nothing serves on {place}"),
    }
    Ok(())
}

/// Where clients on this machine connect.
fn place(config: &Config) -> Option<(String, u16)> {
    let host = config.client_port.address.clone().filter(|host| host != "0.0.0.0" && host != "::");
    Some((host.unwrap_or_else(|| "localhost".to_owned()), config.client_port.port?))
}
