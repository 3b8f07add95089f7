//! Logs on standard error, for people or for machines.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

/// Sets up logging for the process; a filter that cannot be read is reported and `info` used.
pub(crate) fn start(filter: &str, format: Format) {
    let parsed = EnvFilter::try_new(filter);
    let bad = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    match format {
        Format::Text => builder.with_ansi(terminal).with_target(false).init(),
        Format::Json => builder.json().init(),
    }
    if let Some(error) = bad {
        tracing::warn!(%error, "the log filter cannot be read; logging at info");
    }
}
