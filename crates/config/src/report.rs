//! What is to be said about a configuration: errors, warnings and notes, each with its place.

use std::fmt;

use serde::Serialize;

use crate::settings::Origin;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The server does not start.
    Error,
    /// The server starts, but something is not as written or not safe.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where the value came from, when it is about a value.
    #[serde(flatten)]
    pub origin: Option<Origin>,
    /// Key it is about, when it is about one.
    pub key: Option<String>,
    /// What is wrong, and what was expected.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        if let Some(origin) = &self.origin {
            write!(out, "{origin}: ")?;
        }
        write!(out, "{severity}: ")?;
        if let Some(key) = &self.key {
            write!(out, "{key}: ")?;
        }
        out.write_str(&self.text)
    }
}

/// Findings in the order they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(
        &mut self,
        severity: Severity,
        about: Option<(&str, &Origin)>,
        text: impl Into<String>,
    ) {
        let (key, origin) =
            about.map_or((None, None), |(key, origin)| (Some(key.to_owned()), Some(origin.clone())));
        self.findings.push(Finding { severity, origin, key, text: text.into() });
    }

    pub(crate) fn error(&mut self, key: &str, text: impl Into<String>) {
        let key = Some(key.to_owned());
        self.findings.push(Finding { severity: Severity::Error, origin: None, key, text: text.into() });
    }

    pub(crate) fn warning(&mut self, key: &str, text: impl Into<String>) {
        let key = Some(key.to_owned());
        self.findings.push(Finding { severity: Severity::Warning, origin: None, key, text: text.into() });
    }
}
