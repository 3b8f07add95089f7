//! `digest`: identities of the scheme digest, for ACLs and for `superDigest`.

use std::process::ExitCode;

use oxherd_config::{Parsed, Sources};
use oxherd_server::DigestAlgorithm;

use crate::report;

const UNUSABLE: u8 = 2;

/// Prints a line for each `user:password`, in the shape that scripts around the original know.
// Java: DigestAuthenticationProvider.main
#[expect(clippy::print_stderr, reason = "this is what was asked for")]
pub(crate) fn run(identities: &[String], algorithm: Option<String>) -> ExitCode {
    let name = match algorithm.map_or_else(of_environment, Ok) {
        Ok(name) => name,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(UNUSABLE);
        }
    };
    let Some(algorithm) = DigestAlgorithm::from_name(&name) else {
        eprintln!("{name} is no hash of this server: expected SHA1, SHA-256 or SHA-512");
        return ExitCode::from(UNUSABLE);
    };
    if let Some(identity) = identities.iter().find(|identity| !identity.contains(':')) {
        eprintln!("{identity}: expected USER:PASSWORD");
        return ExitCode::from(UNUSABLE);
    }
    let lines: Vec<String> =
        identities.iter().map(|identity| format!("{identity}->{}", algorithm.identity(identity))).collect();
    report::print(&lines.join("\n"));
    ExitCode::SUCCESS
}

/// What a server started here, without a file, would use.
fn of_environment() -> Result<String, oxherd_config::ConfigError> {
    let sources = Sources { environment: std::env::vars().collect(), ..Sources::default() };
    Ok(Parsed::load(&sources)?.config.auth.digest_algorithm)
}
