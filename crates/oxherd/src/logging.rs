//! Logs on standard error, for people or for machines.

use clap::ValueEnum;
use oxherd_server::AUDIT_TARGET;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

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
///
/// Lines of the audit log pass every filter that does not speak of them: who turns them on wants them.
pub(crate) fn start(filter: &str, format: Format) {
    let parsed = EnvFilter::try_new(filter_with_audit(filter));
    let bad = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    match format {
        Format::Text => {
            let fields = tracing_subscriber::fmt::format().with_ansi(terminal).with_target(false);
            let targets = tracing_subscriber::fmt::format().with_ansi(terminal).with_target(true);
            builder.with_ansi(terminal).event_format(TextFormat { fields, targets }).init();
        }
        Format::Json => builder.json().init(),
    }
    if let Some(error) = bad {
        tracing::warn!(%error, "the log filter cannot be read; logging at info");
    }
}

/// The audit log is off unless asked for by a key, so its lines need no second switch.
fn filter_with_audit(filter: &str) -> String {
    let speaks_of_it = |directive: &str| {
        let target = directive.trim().split(['=', '[']).next().unwrap_or_default();
        target == AUDIT_TARGET
    };
    if filter.split(',').any(speaks_of_it) {
        return filter.to_owned();
    }
    let others = if filter.trim().is_empty() { "error" } else { filter };
    format!("{others},{AUDIT_TARGET}=info")
}

/// Lines for people: the target only where it tells something, as in the audit log.
struct TextFormat {
    fields: Style,
    targets: Style,
}

type Style = tracing_subscriber::fmt::format::Format;

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let audited = event.metadata().target() == AUDIT_TARGET;
        if audited { &self.targets } else { &self.fields }.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_lines_pass_unless_the_filter_speaks_of_them() {
        let cases = [
            ("info", "info,audit=info"),
            ("warn,oxherd_server=debug", "warn,oxherd_server=debug,audit=info"),
            ("warn,audit=off", "warn,audit=off"),
            ("off, audit", "off, audit"),
            ("", "error,audit=info"),
        ];
        for (filter, want) in cases {
            assert_eq!(filter_with_audit(filter), want);
        }
    }
}
