//! The typed configuration and how it is put together from its sources.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use oxherd_proto::ServerId;

use crate::membership::Membership;
use crate::properties;
use crate::reader::Reader;
use crate::report::{Finding, Report, Severity};
use crate::settings::{Origin, Setting, Settings};
use crate::table::{
    self, Admin, Auth, ClientPort, ConnectionThrottle, Limits, Metrics, Purge, Quorum, QuorumAuth,
    RequestThrottle, Session, Storage, TlsClient, TlsQuorum,
};
use crate::validate;

/// Client port when there is no file.
pub const CLIENT_PORT_DEFAULT: u16 = 2181;
/// Data directory when there is no file, below the working directory.
pub const DATA_DIR_DEFAULT: &str = "./oxherd-data";

/// Everything a server is told at its start. Read once; nothing else in the process reads settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub client_port: ClientPort,
    /// Ticks and session timeouts; the two bounds are real milliseconds after reading, never -1.
    pub session: Session,
    /// Sizes of requests, containers, quotas.
    pub limits: Limits,
    /// Log and snapshots.
    pub storage: Storage,
    /// Removal of old files.
    pub purge: Purge,
    /// Token bucket over connections.
    pub connection_throttle: ConnectionThrottle,
    /// Limits of requests in progress.
    pub request_throttle: RequestThrottle,
    /// Ensemble.
    pub quorum: Quorum,
    /// SASL between peers.
    pub quorum_auth: QuorumAuth,
    /// Authentication and access.
    pub auth: Auth,
    /// TLS of clients.
    pub tls_client: TlsClient,
    /// TLS of peers.
    pub tls_quorum: TlsQuorum,
    /// HTTP admin server.
    pub admin: Admin,
    /// Metrics provider.
    pub metrics: Metrics,
    /// Number of this server out of `myid`, when that file exists.
    pub server_id: Option<ServerId>,
    /// Members named in the static or dynamic file; empty when standalone without a list.
    pub membership: Membership,
    /// Alone or with others.
    pub mode: Mode,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Its text as it was, for the admin command that shows it; empty without a file.
    pub initial_text: String,
}

/// Alone or in an ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One server, no peers.
    #[default]
    Standalone,
    /// A member of an ensemble.
    Ensemble,
}

impl Default for Config {
    /// What a start without any argument uses: port 2181, data under `./oxherd-data`.
    fn default() -> Self {
        Parsed::from_sources(&Sources::default()).config
    }
}

impl Config {
    /// Reads a file and nothing else: no environment, no flags.
    ///
    /// Errors: the file cannot be read or parsed, or a finding is an error.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let sources = Sources { file: Some(path.to_owned()), ..Sources::default() };
        Self::from_sources(&sources)
    }

    /// Reads all sources; the findings that are no errors are dropped (see [`Parsed::load`] to keep them).
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigError> {
        Parsed::load(sources)?.into_config().map(|(config, _)| config)
    }

    /// The values in effect by key, as they would be written.
    pub(crate) fn values(&self) -> BTreeMap<&'static str, String> {
        let sections = [
            self.client_port.values(),
            self.session.values(),
            self.limits.values(),
            self.storage.values(),
            self.purge.values(),
            self.connection_throttle.values(),
            self.request_throttle.values(),
            self.quorum.values(),
            self.quorum_auth.values(),
            self.auth.values(),
            self.tls_client.values(),
            self.tls_quorum.values(),
            self.admin.values(),
            self.metrics.values(),
        ];
        sections.into_iter().flatten().filter_map(|(key, value)| Some((key.name, value?))).collect()
    }

    /// Directory of the txn log.
    pub fn log_dir(&self) -> &Path {
        self.storage.log_dir.as_deref().unwrap_or(&self.storage.data_dir)
    }
}

/// What a configuration is made of. Nothing is read from the process's environment but what is handed in here.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Config file.
    pub file: Option<PathBuf>,
    /// `port datadir [ticktime] [maxcnxns]` instead of a file.
    pub positional: Vec<String>,
    /// Environment: `SERVER_JVMFLAGS`, `JVMFLAGS` and `OXHERD_*` are used.
    pub environment: Vec<(String, String)>,
    /// `--client-port`.
    pub client_port: Option<u16>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
}

/// A configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not in the properties format.
    #[error("{}:{line}: error: expected four hexadecimal digits after \\u", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
    },
    /// The number or kind of arguments is wrong.
    #[error("expected CONFIG, or PORT DATADIR [TICKTIME] [MAXCNXNS], found {0} arguments")]
    Arguments(usize),
    /// Values are wrong; all findings are listed.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Finding>),
}

struct Lines<'a>(&'a [Finding]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.0.iter().filter(|finding| finding.severity == Severity::Error);
        for (at, finding) in errors.enumerate() {
            write!(out, "{}{finding}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// A configuration with everything that is to be said about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The values; where there are errors, defaults stand in their place.
    pub config: Config,
    /// Texts and origins.
    pub settings: Settings,
    /// Errors, warnings and notes.
    pub findings: Vec<Finding>,
}

impl Parsed {
    /// Reads all sources, and the dynamic file and `myid` that they name.
    ///
    /// Errors: a file that cannot be read or is not in the properties format; wrong values are findings.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut sources = sources.clone();
        if let [file] = sources.positional.as_slice() {
            sources.file = Some(PathBuf::from(file));
            sources.positional.clear();
        }
        if sources.positional.len() > 4 {
            return Err(ConfigError::Arguments(sources.positional.len()));
        }
        let text = sources.file.as_deref().map(read).transpose()?;
        let entries = match (&sources.file, &text) {
            (Some(path), Some(text)) => parse(path, text)?,
            _ => Vec::new(),
        };
        let mut parsed = Self::assemble(&sources, &entries);
        parsed.config.initial_text =
            text.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
        validate::with_files(&mut parsed)?;
        Ok(parsed)
    }

    /// Puts sources together without any file.
    pub(crate) fn from_sources(sources: &Sources) -> Self {
        let mut parsed = Self::assemble(sources, &[]);
        validate::without_files(&mut parsed);
        parsed
    }

    fn assemble(sources: &Sources, entries: &[properties::Entry]) -> Self {
        let mut report = Report::default();
        let settings = settings(sources, entries, &mut report);
        let mut reader = Reader { settings: &settings, report: &mut report };
        let config = read_sections(&mut reader, sources.file.clone());
        Self { config, settings, findings: report.findings }
    }

    /// The configuration and its warnings and notes; errors when there are any.
    pub fn into_config(self) -> Result<(Config, Vec<Finding>), ConfigError> {
        if self.findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(ConfigError::Invalid(self.findings));
        }
        Ok((self.config, self.findings))
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Vec<properties::Entry>, ConfigError> {
    properties::parse(text).map_err(|error| ConfigError::Syntax { path: path.to_owned(), line: error.line })
}

/// Flags, then the file (which sets system properties too and so wins over flags), then the environment, then arguments.
fn settings(sources: &Sources, entries: &[properties::Entry], report: &mut Report) -> Settings {
    let mut settings = Settings::default();
    for variable in ["SERVER_JVMFLAGS", "JVMFLAGS"] {
        for (_, text) in sources.environment.iter().filter(|(name, _)| name == variable) {
            settings.add_flags(variable, text);
        }
    }
    match &sources.file {
        Some(path) => {
            report_duplicates(path, entries, report);
            settings.add_file(&path.display().to_string(), entries);
        }
        None => {
            put(&mut settings, "clientPort", CLIENT_PORT_DEFAULT.to_string(), Origin::Default);
            put(&mut settings, "dataDir", DATA_DIR_DEFAULT.to_owned(), Origin::Default);
        }
    }
    for variable in settings.add_environment(&sources.environment) {
        report_unknown_variable(variable, report);
    }
    add_arguments(&mut settings, sources);
    settings
}

fn report_duplicates(path: &Path, entries: &[properties::Entry], report: &mut Report) {
    for (at, entry) in entries.iter().enumerate() {
        if let Some(later) = entries[at + 1..].iter().find(|later| later.key == entry.key) {
            let origin = Origin::File { file: path.display().to_string(), line: entry.line };
            let text = format!("given again in line {}, which counts", later.line);
            report.add(Severity::Warning, Some((&entry.key, &origin)), text);
        }
    }
}

/// Variables that other parts of the program read, such as `OXHERD_LOG`, are no keys; only near misses are reported.
fn report_unknown_variable(variable: &str, report: &mut Report) {
    let distance = |name: &str| strsim::damerau_levenshtein(&crate::settings::variable_of(name), variable);
    let near = table::keys().map(|(_, key)| (distance(key.name), key.name)).min();
    if let Some((1..=2, name)) = near {
        let text = format!("no such setting; did you mean {}?", crate::settings::variable_of(name));
        report.warning(variable, text);
    }
}

// Java: ServerConfig.parse(String[]): without the last argument there is no limit of connections an address.
fn add_arguments(settings: &mut Settings, sources: &Sources) {
    let arguments = [
        ("clientPort", "argument 1"),
        ("dataDir", "argument 2"),
        ("tickTime", "argument 3"),
        ("maxClientCnxns", "argument 4"),
    ];
    for ((key, argument), text) in arguments.into_iter().zip(&sources.positional) {
        put(settings, key, text.clone(), Origin::CommandLine { argument });
    }
    if (2..4).contains(&sources.positional.len()) {
        put(settings, "maxClientCnxns", "0".to_owned(), Origin::CommandLine { argument: "arguments" });
    }
    if let Some(port) = sources.client_port {
        put(settings, "clientPort", port.to_string(), Origin::CommandLine { argument: "--client-port" });
    }
    if let Some(directory) = &sources.data_dir {
        let text = directory.to_string_lossy().into_owned();
        put(settings, "dataDir", text, Origin::CommandLine { argument: "--data-dir" });
    }
}

fn put(settings: &mut Settings, name: &str, text: String, origin: Origin) {
    let key = table::find(name).expect("the names put here are rows of the table");
    settings.insert(key, name, Setting { text, origin });
}

fn read_sections(reader: &mut Reader<'_>, file: Option<PathBuf>) -> Config {
    Config {
        client_port: ClientPort::read(reader),
        session: Session::read(reader),
        limits: Limits::read(reader),
        storage: Storage::read(reader),
        purge: Purge::read(reader),
        connection_throttle: ConnectionThrottle::read(reader),
        request_throttle: RequestThrottle::read(reader),
        quorum: Quorum::read(reader),
        quorum_auth: QuorumAuth::read(reader),
        auth: Auth::read(reader),
        tls_client: TlsClient::read(reader),
        tls_quorum: TlsQuorum::read(reader),
        admin: Admin::read(reader),
        metrics: Metrics::read(reader),
        server_id: None,
        membership: Membership::default(),
        mode: Mode::Standalone,
        file,
        initial_text: String::new(),
    }
}
