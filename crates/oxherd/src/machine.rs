//! What only this machine can tell of a configuration: directories that are there, names that resolve.
//!
//! A start finds out by itself, each with its exit code; `config check` looks without starting.

use std::net::ToSocketAddrs as _;
use std::path::Path;

use oxherd_config::{Config, Finding, Severity};

/// Errors for what would keep a server with this configuration from starting here.
pub(crate) fn findings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    if !config.storage.create_dirs {
        let data_dir = config.storage.data_dir.as_path();
        missing("dataDir", data_dir, &mut found);
        if config.log_dir() != data_dir {
            missing("dataLogDir", config.log_dir(), &mut found);
        }
    }
    let port = &config.client_port;
    if let (Some(host), Some(number)) = (&port.address, port.port)
        && let Err(reason) = (host.as_str(), number).to_socket_addrs()
    {
        found.push(error("clientPortAddress", format!("{host} has no address here: {reason}")));
    }
    found
}

// Java: FileTxnSnapLog's check of its directories
fn missing(key: &str, dir: &Path, found: &mut Vec<Finding>) {
    let dir = dir.join("version-2");
    if !dir.is_dir() {
        let text = format!("{} is missing, and datadir.autocreate=false forbids to make it", dir.display());
        found.push(error(key, text));
    }
}

fn error(key: &str, text: String) -> Finding {
    Finding { severity: Severity::Error, origin: None, key: Some(key.to_owned()), text }
}
