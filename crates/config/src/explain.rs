//! What `oxherd config check` shows: every key, its value, where it came from and what it means.

use std::fmt::Write as _;

use serde::Serialize;

use crate::config::Parsed;
use crate::report::{Finding, Severity};
use crate::settings::Origin;
use crate::table::{self, Key};

/// What is shown of a secret.
const SECRET: &str = "(set, not shown)";

/// One key explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Part of the server the key belongs to.
    pub section: &'static str,
    /// Key as written in `zoo.cfg`.
    pub key: String,
    /// Value as text; of secrets only that there is one.
    pub value: String,
    /// Value in effect where it is not what the text says: out of range, unreadable, or told by another key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_effect: Option<String>,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
    /// What this server does with it.
    pub status: &'static str,
    /// `OXHERD_*` variable that overrides it.
    pub variable: String,
    /// What it means.
    pub meaning: &'static str,
}

/// Every key of the table with its value, section by section.
pub fn explain(parsed: &Parsed) -> Vec<Row> {
    let values = parsed.config.values();
    let mut rows = Vec::new();
    for (section, key) in table::keys() {
        match key.family() {
            Some(_) => {
                let family = parsed.settings.family(key);
                rows.extend(
                    family.map(|(name, setting)| {
                        row(section, key, name, &setting.text, setting.origin.clone())
                    }),
                );
            }
            None => {
                let setting = parsed.settings.get(key, key.name);
                let (text, origin) = setting.map_or((key.default, Origin::Default), |setting| {
                    (&setting.text, setting.origin.clone())
                });
                let mut row = row(section, key, key.name, text, origin);
                row.in_effect = values
                    .get(key.name)
                    .filter(|value| differs(text, value))
                    .map(|value| if is_secret(key.name) { SECRET.to_owned() } else { value.clone() });
                rows.push(row);
            }
        }
    }
    rows
}

fn row(section: &'static str, key: &'static Key, name: &str, text: &str, origin: Origin) -> Row {
    let value = if is_secret(name) && !text.is_empty() { SECRET } else { text };
    Row {
        section,
        key: name.to_owned(),
        value: value.to_owned(),
        in_effect: None,
        origin,
        status: key.status_with(text).label(),
        variable: crate::settings::variable_of(name),
        meaning: key.meaning(),
    }
}

/// Case means nothing in the words of a switch, and a decimal number has several spellings.
fn differs(text: &str, value: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    !text.eq_ignore_ascii_case(value) && (number(text).is_none() || number(text) != number(value))
}

fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    name.ends_with("password") || name.ends_with("superdigest")
}

/// The findings and the rows as text: values that were given first, then the defaults.
pub fn to_text(parsed: &Parsed) -> String {
    let mut text = String::new();
    let mut findings: Vec<&Finding> = parsed.findings.iter().collect();
    findings.sort_by_key(|finding| finding.severity);
    for finding in findings {
        push_line(&mut text, &finding.to_string());
    }
    let (defaults, given): (Vec<Row>, Vec<Row>) =
        explain(parsed).into_iter().partition(|row| row.origin == Origin::Default);
    push_rows(&mut text, "\nGiven", &given);
    push_rows(&mut text, "\nDefaults", &defaults);
    push_line(&mut text, &summary(parsed));
    text
}

fn push_rows(text: &mut String, title: &str, rows: &[Row]) {
    push_line(text, title);
    let mut section = "";
    for row in rows {
        if row.section != section {
            section = row.section;
            push_line(text, &format!("  {section}"));
        }
        let value = if row.value.is_empty() { "-" } else { &row.value };
        let in_effect = row.in_effect.as_ref().map(|value| format!(" -> {value}")).unwrap_or_default();
        push_line(text, &format!("    {} = {value}{in_effect}  [{}; {}]", row.key, row.origin, row.status));
        push_line(text, &format!("        {}", row.meaning));
    }
}

fn summary(parsed: &Parsed) -> String {
    let count = |severity| parsed.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let verdict = if errors == 0 { "The server would start" } else { "The server would not start" };
    format!("\n{verdict}: {errors} errors, {warnings} warnings, {} notes.", count(Severity::Note))
}

fn push_line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}");
}

/// The same as one JSON object with `ok`, `findings` and `keys`.
pub fn to_json(parsed: &Parsed) -> String {
    let ok = parsed.findings.iter().all(|finding| finding.severity != Severity::Error);
    let object = serde_json::json!({ "ok": ok, "findings": parsed.findings, "keys": explain(parsed) });
    format!("{object:#}\n")
}
