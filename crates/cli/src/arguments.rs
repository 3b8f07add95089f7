//! Options and words of a command.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::answer::Failure;
use crate::commands::Spec;

/// A command's arguments, sorted into options and words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    flags: BTreeSet<&'static str>,
    values: BTreeMap<&'static str, String>,
    /// Words in their order, without the command.
    pub(crate) words: Vec<String>,
}

impl Arguments {
    /// Options may stand anywhere; `-sw` is `-s -w`, `-v1` and `-v=1` are `-v 1`, `--` ends them, and a
    /// negative number is a word.
    // Java: commons-cli DefaultParser
    pub(crate) fn parse(spec: &Spec, given: &[String]) -> Result<Self, Failure> {
        let mut parsed = Self::default();
        let mut given = given.iter();
        while let Some(token) = given.next() {
            if token == "--" {
                parsed.words.extend(given.cloned());
                break;
            }
            let name = match token.strip_prefix("--").or_else(|| token.strip_prefix('-')) {
                Some(name) if !name.is_empty() && token.parse::<f64>().is_err() => name,
                _ => {
                    parsed.words.push(token.clone());
                    continue;
                }
            };
            if let Some(option) = find(spec.valued, name) {
                let value = given.next().filter(|value| !is_option(spec, value));
                let missing =
                    || Failure::new(format!("option -{option} needs a value; usage: {}", spec.usage()));
                parsed.values.insert(option, value.ok_or_else(missing)?.clone());
            } else if !parsed.take_joined(spec, name) {
                let message = format!("Unrecognized option: {token}; usage: {}", spec.usage());
                return Err(Failure::new(message));
            }
        }
        Ok(parsed)
    }

    fn take_joined(&mut self, spec: &Spec, name: &str) -> bool {
        if let Some(flag) = find(spec.flags, name) {
            self.flags.insert(flag);
            return true;
        }
        if let Some((option, value)) = name.split_once('=')
            && let Some(option) = find(spec.valued, option)
        {
            self.values.insert(option, value.to_owned());
            return true;
        }
        let mut rest = name.char_indices();
        let mut flags = Vec::new();
        while let Some((at, letter)) = rest.next() {
            let letter = &name[at..at + letter.len_utf8()];
            if let Some(flag) = find(spec.flags, letter) {
                flags.push(flag);
            } else if let Some(option) = find(spec.valued, letter) {
                self.values.insert(option, rest.as_str().to_owned());
                break;
            } else {
                return false;
            }
        }
        self.flags.extend(flags);
        true
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// An option's value.
    pub(crate) fn value(&self, option: &str) -> Option<&str> {
        self.values.get(option).map(String::as_str)
    }

    /// An option's value as a number.
    pub(crate) fn number<N: FromStr>(&self, option: &str) -> Result<Option<N>, Failure> {
        let parse = |value: &str| {
            value.parse().map_err(|_| Failure::new(format!("-{option} needs a number, not {value:?}")))
        };
        self.value(option).map(parse).transpose()
    }

    /// The word at `index`, which the command cannot do without.
    pub(crate) fn word(&self, spec: &Spec, index: usize) -> Result<&str, Failure> {
        let word = self.words.get(index).map(String::as_str);
        word.ok_or_else(|| Failure::new(spec.usage()))
    }
}

fn find(options: &'static [&'static str], name: &str) -> Option<&'static str> {
    options.iter().copied().find(|option| *option == name)
}

fn is_option(spec: &Spec, token: &str) -> bool {
    let name = token.trim_start_matches('-');
    name.len() < token.len() && (find(spec.flags, name).is_some() || find(spec.valued, name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    fn parse(line: &str) -> Result<Arguments, Failure> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Arguments::parse(commands::find(&words[0]).expect("known"), &words[1..])
    }

    #[test]
    fn options_stand_anywhere_and_may_be_joined() {
        for line in ["set -s -v 3 /a x", "set /a x -s -v3", "set /a -sv3 x", "set /a x -v=3 -s"] {
            let parsed = parse(line).expect(line);
            assert!(parsed.has("s"), "{line}");
            assert_eq!(parsed.value("v"), Some("3"), "{line}");
            assert_eq!(parsed.words, ["/a", "x"], "{line}");
        }
    }

    #[test]
    fn negative_numbers_and_what_follows_two_dashes_are_words() {
        assert_eq!(parse("create /a -5").expect("valid").words, ["/a", "-5"]);
        assert_eq!(parse("create /a -- -s").expect("valid").words, ["/a", "-s"]);
        assert_eq!(parse("delete -v -1 /a").expect("valid").value("v"), Some("-1"));
    }

    #[test]
    fn unknown_options_and_missing_values_are_told_with_the_usage() {
        for line in ["ls -q /a", "delete /a -v", "set -v -s /a x", "ls -sq /a"] {
            let failure = parse(line).expect_err(line);
            assert!(failure.message.contains("usage: "), "{}", failure.message);
        }
    }
}
