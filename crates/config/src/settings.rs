//! Texts by key with their origin, before any of them is understood.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::table::{self, Key, Place};
use crate::{flags, properties};

/// Where a value comes from. Later kinds override earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Built in.
    Default,
    /// A `-D` word in the named variable (`SERVER_JVMFLAGS`, overridden by `JVMFLAGS`).
    Flag {
        /// Name of the environment variable.
        variable: &'static str,
    },
    /// A line of a file.
    File {
        /// File as it was named.
        file: String,
        /// Line, counted from 1.
        line: usize,
    },
    /// An `OXHERD_*` environment variable.
    Environment {
        /// Name of the environment variable.
        variable: String,
    },
    /// An argument of the command.
    CommandLine {
        /// The option or the place of the argument.
        argument: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Flag { variable } => write!(out, "-D in {variable}"),
            Self::File { file, line } => write!(out, "{file}:{line}"),
            Self::Environment { variable } => write!(out, "{variable}"),
            Self::CommandLine { argument } => write!(out, "{argument}"),
        }
    }
}

/// One value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The text, trimmed when it comes from a file.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// All values given, in the two name spaces of the original: keys of the file and system properties.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    file: BTreeMap<String, Setting>,
    properties: BTreeMap<String, Setting>,
}

const PREFIX: &str = "zookeeper.";

impl Settings {
    /// Takes the `-D` words of one variable.
    pub fn add_flags(&mut self, variable: &'static str, text: &str) {
        for (name, text) in flags::properties(text) {
            self.properties.insert(name, Setting { text, origin: Origin::Flag { variable } });
        }
    }

    /// Takes the entries of the main file; a key that the file format does not know becomes a system property.
    // Java: QuorumPeerConfig.parseProperties
    pub fn add_file(&mut self, file: &str, entries: &[properties::Entry]) {
        for entry in entries {
            let origin = Origin::File { file: file.to_owned(), line: entry.line };
            self.insert_as_file(&entry.key, Setting { text: entry.value.clone(), origin });
        }
    }

    /// Takes `OXHERD_*` variables; answers those that name no key.
    pub fn add_environment<'a>(&mut self, variables: &'a [(String, String)]) -> Vec<&'a str> {
        let mut unknown = Vec::new();
        for (variable, text) in variables.iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)) {
            match key_of_variable(variable) {
                Some((name, key)) => {
                    let setting = Setting {
                        text: text.clone(),
                        origin: Origin::Environment { variable: variable.clone() },
                    };
                    self.insert(key, &name, setting);
                }
                None => unknown.push(variable.as_str()),
            }
        }
        unknown
    }

    /// Puts a value where `get` looks first.
    pub fn insert(&mut self, key: &Key, name: &str, setting: Setting) {
        match key.place {
            Place::File | Place::FileOrProperty => self.file.insert(name.to_owned(), setting),
            Place::Property | Place::PropertyOrBare => {
                self.properties.insert(format!("{PREFIX}{name}"), setting)
            }
            Place::Bare => self.properties.insert(name.to_owned(), setting),
        };
    }

    fn insert_as_file(&mut self, name: &str, setting: Setting) {
        match table::find(name).map(|key| key.place) {
            Some(Place::File | Place::FileOrProperty) => self.file.insert(name.to_owned(), setting),
            _ => self.properties.insert(format!("{PREFIX}{name}"), setting),
        };
    }

    /// The value of a key under one name of its row.
    pub fn get(&self, key: &Key, name: &str) -> Option<&Setting> {
        let prefixed = || self.properties.get(&format!("{PREFIX}{name}"));
        match key.place {
            Place::File => self.file.get(name),
            Place::Property => prefixed(),
            Place::PropertyOrBare => prefixed().or_else(|| self.properties.get(name)),
            Place::FileOrProperty => self.file.get(name).or_else(prefixed),
            Place::Bare => self.properties.get(name),
        }
    }

    /// All values of a family such as `server.*` that belong to no closer row, by full key.
    pub fn family<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = (&'a str, &'a Setting)> {
        let file = self.file.iter().map(|(name, setting)| (name.as_str(), setting));
        let properties =
            self.properties.iter().filter_map(|(name, setting)| Some((name.strip_prefix(PREFIX)?, setting)));
        let from_file = matches!(key.place, Place::File | Place::FileOrProperty);
        let all: Box<dyn Iterator<Item = _>> = if from_file { Box::new(file) } else { Box::new(properties) };
        all.filter(move |(name, _)| table::find(name) == Some(key))
    }

    /// Values that no row covers: `zookeeper.*` properties and file entries, by the name as it was written in a file.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.properties
            .iter()
            .filter_map(|(name, setting)| Some((name.strip_prefix(PREFIX)?, setting)))
            .filter(|(name, _)| {
                !table::find(name).is_some_and(|key| {
                    matches!(key.place, Place::Property | Place::PropertyOrBare | Place::FileOrProperty)
                })
            })
    }
}

const ENVIRONMENT_PREFIX: &str = "OXHERD_";

/// The `OXHERD_*` variable of a key: words in capitals with underscores, `clientPort` becomes `OXHERD_CLIENT_PORT`.
///
/// A word begins at a capital after a small letter or digit, at the last capital of a run before a small letter, and
/// after a character that is neither letter nor digit. Of a family the rest of the name stays as it is:
/// `OXHERD_SERVER_1`, `OXHERD_AUTH_PROVIDER_sasl`.
pub fn variable_of(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut variable = ENVIRONMENT_PREFIX.to_owned();
    for (at, &character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| characters[at]);
        let small_after = characters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let begins = character.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && small_after)
            });
        if begins {
            variable.push('_');
        }
        variable.push(if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' });
    }
    variable
}

fn key_of_variable(variable: &str) -> Option<(String, &'static Key)> {
    let exact = table::keys().find(|(_, key)| key.family().is_none() && variable_of(key.name) == variable);
    if let Some((_, key)) = exact {
        return Some((key.name.to_owned(), key));
    }
    table::keys().find_map(|(_, key)| {
        let prefix = key.family()?;
        let rest = variable.strip_prefix(&variable_of(prefix)).filter(|rest| !rest.is_empty())?;
        Some((format!("{prefix}{rest}"), key))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn variables_follow_the_words_of_the_key() {
        let cases = [
            ("clientPort", "OXHERD_CLIENT_PORT"),
            ("4lw.commands.whitelist", "OXHERD_4LW_COMMANDS_WHITELIST"),
            ("jute.maxbuffer", "OXHERD_JUTE_MAXBUFFER"),
            ("enableEagerACLCheck", "OXHERD_ENABLE_EAGER_ACL_CHECK"),
            ("fips-mode", "OXHERD_FIPS_MODE"),
        ];
        for (key, variable) in cases {
            assert_eq!(variable_of(key), variable);
        }
    }

    #[test]
    fn no_two_keys_share_a_variable() {
        let mut seen = BTreeSet::new();
        for (_, key) in table::keys() {
            assert!(seen.insert(variable_of(key.name)), "{}", key.name);
        }
    }

    #[test]
    fn a_family_keeps_the_rest_of_the_name() {
        let (name, key) = key_of_variable("OXHERD_SERVER_3").unwrap();
        assert_eq!((name.as_str(), key.name), ("server.3", "server.*"));
        assert_eq!(key_of_variable("OXHERD_NO_SUCH_THING"), None);
    }

    #[test]
    fn the_file_wins_over_a_flag_because_it_sets_the_property_later() {
        let mut settings = Settings::default();
        settings.add_flags("JVMFLAGS", "-Dzookeeper.snapCount=7");
        settings.add_file("zoo.cfg", &properties::parse(b"\nsnapCount=9").unwrap());
        let key = table::find("snapCount").unwrap();
        let found = settings.get(key, "snapCount").unwrap();
        assert_eq!((found.text.as_str(), found.origin.to_string()), ("9", "zoo.cfg:2".to_owned()));
    }
}
