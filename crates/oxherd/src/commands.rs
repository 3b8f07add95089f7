//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Apache ZooKeeper as one native binary. Without a command it serves: port 2181, data in ./oxherd-data.
#[derive(Debug, Parser)]
#[command(name = "oxherd", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server in the foreground until SIGTERM or ctrl-c.
    Serve(Serve),
    /// Run a whole ensemble on this machine, for trying out; ctrl-c ends it.
    Ensemble(Ensemble),
    /// The ZooKeeper shell, interactive or one command; also as `zkCli.sh`.
    #[command(disable_help_flag = true)]
    Shell {
        /// As the shell of ZooKeeper: -server HOST:PORT, then a command with its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure any ZooKeeper server.
    #[command(disable_help_flag = true)]
    Bench {
        /// See `oxherd bench --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Look at configuration files.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Explain a data directory: snapshots, log, epochs, and any damage. Exit code 10 when no server starts on it.
    Repair(RepairOptions),
    /// Ask the leader to make way for another voter; clients keep their sessions.
    Lead(LeadOptions),
    /// Guide the swap of a live ensemble's members, one at a time, from Java to Oxherd or back.
    Replace(crate::replace::ReplaceOptions),
    /// Tell whether the server of this machine serves, and as what. Exit code 0 when it does, 1 when not.
    Status {
        /// Its zoo.cfg; without one, what `serve` without a file uses.
        file: Option<PathBuf>,
    },
    /// Make what `DigestAuthenticationProvider.superDigest` and ACLs of the scheme digest hold.
    Digest {
        /// USER:PASSWORD, one or more.
        #[arg(required = true)]
        identities: Vec<String>,
        /// Hash, in place of what the environment sets for servers: SHA1, SHA-256, SHA-512.
        #[arg(long)]
        algorithm: Option<String>,
    },
    /// Print the version.
    Version,
}

/// Who is to lead.
#[derive(Debug, Args)]
pub(crate) struct LeadOptions {
    /// The number in the server's myid.
    #[arg(long)]
    pub(crate) to: i64,
    /// Any members of the ensemble: HOST:PORT,HOST:PORT.
    #[arg(long, default_value = "localhost:2181")]
    pub(crate) server: String,
    /// Somebody who may write /zookeeper/config: SCHEME:TEXT, such as digest:super:secret.
    #[arg(long, value_parser = auth)]
    pub(crate) auth: Option<String>,
}

/// Takes an option of the form SCHEME:TEXT as it is.
pub(crate) fn auth(text: &str) -> Result<String, String> {
    text.contains(':').then(|| text.to_owned()).ok_or_else(|| "give SCHEME:TEXT".to_owned())
}

/// Which data to look at, and what to do.
#[derive(Debug, Args)]
pub(crate) struct RepairOptions {
    /// The dataDir of a server, or its zoo.cfg.
    pub(crate) dir: PathBuf,
    /// The dataLogDir, when it is another one.
    #[arg(long)]
    pub(crate) log_dir: Option<PathBuf>,
    /// Move damaged files aside and keep what can be kept. Without it nothing is changed.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with a configuration file.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Explain every key: its value, where it came from, what it means. Exit code 2 when it is not usable.
    Check {
        /// The file, such as zoo.cfg.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What ensemble to run.
#[derive(Debug, Args)]
pub(crate) struct Ensemble {
    /// How many servers; three go on without one, five without two.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) servers: u16,
    /// Client port of the first server; the others follow, and ports for peers 100 and 200 above.
    #[arg(long, default_value_t = 2181, value_parser = clap::value_parser!(u16).range(1..=65000))]
    pub(crate) client_port: u16,
    /// Where the servers' files are; what is there is gone on with.
    #[arg(long, default_value = "./oxherd-ensemble")]
    pub(crate) dir: PathBuf,
}

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// A zoo.cfg; or PORT DATADIR, then TICKTIME and MAXCNXNS if wanted. Nothing: port 2181, data in ./oxherd-data.
    pub(crate) config: Vec<String>,
    /// Port for clients, in place of the file's.
    #[arg(long)]
    pub(crate) client_port: Option<u16>,
    /// Directory of the data, in place of the file's.
    #[arg(long)]
    pub(crate) data_dir: Option<PathBuf>,
    /// What to log, such as `debug` or `warn,oxherd_server=debug`.
    #[arg(long, env = "OXHERD_LOG", default_value = "info")]
    pub(crate) log: String,
    /// How to log.
    #[arg(long, env = "OXHERD_LOG_FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: crate::logging::Format,
}

/// What was meant when `serve` was left out, as in `oxherd zoo.cfg` or `oxherd --client-port 2191`.
pub(crate) fn meant_serve(arguments: &[String]) -> Option<String> {
    let first = arguments.first()?;
    let is_place = first.ends_with(".cfg") || first.contains('/') || Path::new(first).is_file();
    if !is_place && !first.starts_with("--") && first.parse::<u16>().is_err() {
        return None;
    }
    let words = || arguments.iter().map(String::as_str);
    Arguments::try_parse_from(["oxherd", "serve"].into_iter().chain(words())).ok()?;
    Some(format!("oxherd serve {}", arguments.join(" ")))
}

/// What the binary does under the name of one of ZooKeeper's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// `zkCli.sh`
    Shell,
    /// `zkServer.sh`
    Server,
    /// `zkServer-initialize.sh`
    Initialize,
    /// `zkCleanup.sh`
    Cleanup,
    /// `zkSnapShotToolkit.sh`
    Snapshot,
    /// `zkTxnLogToolkit.sh`
    TxnLog,
}

/// The script whose name the program was started under, with its ending or without.
pub(crate) fn script_named(program: &OsStr) -> Option<Script> {
    let name = Path::new(program).file_name()?.to_str()?;
    match name.strip_suffix(".sh").unwrap_or(name) {
        "zkCli" => Some(Script::Shell),
        "zkServer" => Some(Script::Server),
        "zkServer-initialize" => Some(Script::Initialize),
        "zkCleanup" => Some(Script::Cleanup),
        "zkSnapShotToolkit" => Some(Script::Snapshot),
        "zkTxnLogToolkit" => Some(Script::TxnLog),
        _ => None,
    }
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
pub(crate) fn print_version() -> ExitCode {
    println!("oxherd {} (speaks ZooKeeper 3.9)", env!("CARGO_PKG_VERSION"));
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serve_is_offered_where_it_would_be_understood() {
        let meant = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            meant_serve(&words)
        };
        for line in ["zoo.cfg", "/etc/zk/conf", "--client-port 2191", "2181 data", "--data-dir=d zoo.cfg"] {
            assert_eq!(meant(line), Some(format!("oxherd serve {line}")));
        }
        for line in ["srve", "--bogus", "--client-port", "--help", "--version"] {
            assert_eq!(meant(line), None, "{line}");
        }
    }
}
