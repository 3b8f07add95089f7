//! Files that only the original's start scripts read, beside the config file.

use std::path::Path;

use crate::report::{Report, Severity};
use crate::settings::{Settings, variable_of};
use crate::table::{self, Key, Place, Status};

/// In the order in which the scripts read them.
// Java: zkEnv.sh
const FILES: [&str; 2] = ["zookeeper-env.sh", "java.env"];

/// Warns of properties in such files that would have an effect here and were not given in another way.
pub(super) fn check(config_file: &Path, settings: &Settings, report: &mut Report) {
    let directory = config_file.parent().unwrap_or_else(|| Path::new(""));
    for path in FILES.map(|name| directory.join(name)) {
        let Ok(text) = std::fs::read(&path) else { continue };
        let mut missed: Vec<(String, String)> = Vec::new();
        for property in properties(&String::from_utf8_lossy(&text)) {
            let Some((key, name)) = row(&property) else { continue };
            let variable = variable_in_environment(key, name);
            if key.status != Status::Jvm
                && settings.get(key, name).is_none()
                && !missed.iter().any(|(other, _)| *other == property)
            {
                missed.push((property, variable));
            }
        }
        if !missed.is_empty() {
            report.add(Severity::Warning, None, warning(&path, &missed));
        }
    }
}

fn warning(path: &Path, missed: &[(String, String)]) -> String {
    let names: Vec<String> = missed.iter().map(|(property, _)| format!("-D{property}")).collect();
    let variables: Vec<&str> = missed.iter().map(|(_, variable)| variable.as_str()).collect();
    format!(
        "{} is read by zkServer.sh alone, so it does not set {}; give them in JVMFLAGS or SERVER_JVMFLAGS, or as {}",
        path.display(),
        names.join(", "),
        variables.join(", ")
    )
}

/// Of a family the part behind the prefix is kept as it is.
fn variable_in_environment(key: &Key, name: &str) -> String {
    match key.family() {
        Some(prefix) => format!("{}{}", variable_of(prefix), &name[prefix.len()..]),
        None => variable_of(name),
    }
}

/// Names behind `-D` in a script; lines that are comments have none.
fn properties(text: &str) -> Vec<String> {
    let begins = |before: char| before.is_whitespace() || "\"'=".contains(before);
    let ends = |character: char| character.is_whitespace() || "\"'=;".contains(character);
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for (at, _) in line.match_indices("-D") {
            if line[..at].chars().next_back().is_none_or(begins) {
                names.push(line[at + 2..].split(ends).next().unwrap_or_default().to_owned());
            }
        }
    }
    names
}

/// The row that a system property belongs to, and its name there.
fn row(property: &str) -> Option<(&'static Key, &str)> {
    let prefixed = property.strip_prefix("zookeeper.");
    let found = prefixed.and_then(|name| Some((table::find(name)?, name)));
    let found = found.filter(|(key, _)| !matches!(key.place, Place::File | Place::Bare));
    found.or_else(|| {
        let key = table::find(property)?;
        matches!(key.place, Place::Bare | Place::PropertyOrBare).then_some((key, property))
    })
}
