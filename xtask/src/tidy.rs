//! Rules that no other tool knows: sizes, words, names, and what the core crates may touch.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
/// Crates that know no socket, file, clock, thread or unseeded randomness.
const CORE: [&str; 4] = ["crates/proto/", "crates/tree/", "crates/zab/", "crates/replica/"];
const CORE_BANS: [&str; 10] = [
    "std::fs",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "Instant::now",
    "SystemTime::now",
    "tokio::",
    "rand::",
];
const NAME_BANS: [&str; 9] =
    ["util", "utils", "common", "helper", "helpers", "manager", "misc", "shared", "stuff"];
/// Written in two halves, so that this file does not break its own rule.
const WORD_BANS: [(&str, &str); 6] = [
    ("todo!", "("),
    ("unimplemented!", "("),
    ("#[ign", "ore"),
    ("should_", "panic"),
    ("FIX", "ME"),
    ("XX", "X"),
];
const PATH_BANS: [(&str, &str); 3] = [("/wo", "rk/"), ("/ro", "ot/"), ("/fa", "rm/")];

/// Prints every breach; fails if there is one.
pub(crate) fn report() -> Result<()> {
    let breaches = breaches(&root())?;
    for breach in &breaches {
        eprintln!("{breach}");
    }
    if breaches.is_empty() { Ok(()) } else { bail!("{} breaches of the rules", breaches.len()) }
}

fn breaches(root: &Path) -> Result<Vec<String>> {
    let allowed = std::fs::read_to_string(root.join("xtask/tidy.txt")).context("the list of reasons")?;
    let mut found = Vec::new();
    for path in files(root)? {
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else { continue };
        check_file(&path, &text, &mut found);
    }
    found.retain(|breach| !is_allowed(&allowed, breach));
    Ok(found)
}

/// A row of the list is a path (and line rule) that a breach starts with, a tab, and the reason.
fn is_allowed(allowed: &str, breach: &str) -> bool {
    allowed.lines().filter(|row| !row.starts_with('#')).any(|row| {
        row.split_once('\t').is_some_and(|(start, reason)| breach.starts_with(start) && !reason.is_empty())
    })
}

fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let output = git.output().context("git lists the files")?;
    let listed = String::from_utf8(output.stdout).context("names of files are UTF-8")?;
    Ok(listed.lines().map(str::to_owned).collect())
}

fn check_file(path: &str, text: &str, found: &mut Vec<String>) {
    if path.ends_with(".lock") || path.ends_with(".hex") {
        return;
    }
    for (head, tail) in PATH_BANS {
        if text.contains(&format!("{head}{tail}")) {
            found.push(format!("{path}: names a path of somebody's machine"));
        }
    }
    if !path.ends_with(".rs") {
        return;
    }
    check_name(path, found);
    check_words(path, text, found);
    check_sizes(path, text, found);
    if CORE.iter().any(|core| path.starts_with(core) && path[core.len()..].starts_with("src/")) {
        check_core(path, text, found);
    }
}

fn check_name(path: &str, found: &mut Vec<String>) {
    let name = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if NAME_BANS.contains(&name) {
        found.push(format!("{path}: a module is a noun of the domain, not {name}"));
    }
}

fn check_words(path: &str, text: &str, found: &mut Vec<String>) {
    for (at, line) in text.lines().enumerate() {
        for (head, tail) in WORD_BANS {
            if line.contains(&format!("{head}{tail}")) {
                found.push(format!("{path}:{}: {head}{tail} is left open", at + 1));
            }
        }
    }
}

/// The lines before an inline test module.
fn without_tests(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        let (at, line) = lines.next()?;
        let ends =
            line == "#[cfg(test)]" && lines.peek().is_some_and(|(_, next)| next.starts_with("mod tests"));
        (!ends).then_some((at, line))
    })
}

fn check_sizes(path: &str, text: &str, found: &mut Vec<String>) {
    let lines = without_tests(text).count();
    if lines > FILE_LINES_MAX {
        found.push(format!("{path}: {lines} lines without tests; split by noun, or give a reason"));
    }
    let mut open: Option<(usize, usize)> = None;
    for (at, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match open {
            None if starts_function(line) && !line.ends_with('}') && !line.ends_with(';') => {
                open = Some((at, indent));
            }
            Some((start, depth)) if indent == depth && line.trim_start().starts_with('}') => {
                let lines = at + 1 - start;
                if lines > FUNCTION_LINES_MAX {
                    found.push(format!("{path}:{}: function of {lines} lines", start + 1));
                }
                open = None;
            }
            Some((_, depth)) if indent == depth && line.ends_with(';') => open = None,
            _ => {}
        }
    }
}

fn starts_function(line: &str) -> bool {
    let mut words = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        words = words.strip_prefix(word).unwrap_or(words);
    }
    words.starts_with("fn ")
}

fn check_core(path: &str, text: &str, found: &mut Vec<String>) {
    for (at, line) in without_tests(text) {
        let code = line.split("//").next().unwrap_or_default();
        for ban in CORE_BANS {
            if code.contains(ban) {
                found.push(format!("{path}:{}: {ban} in a core crate", at + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check_file(path, text, &mut found);
        found
    }

    #[test]
    fn the_tree_is_tidy() {
        let breaches = breaches(&root()).expect("the files can be read");
        assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }

    #[test]
    fn a_long_function_is_found_and_a_short_one_is_not() {
        let long = format!("fn long() {{\n{}}}\n", "    work();\n".repeat(FUNCTION_LINES_MAX));
        assert_eq!(found("crates/server/src/a.rs", &long).len(), 1);
        assert!(found("crates/server/src/a.rs", "fn short() {\n    work();\n}\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "// line\n".repeat(FILE_LINES_MAX);
        let tested = format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert!(found("crates/server/src/a.rs", &tested).is_empty());
        assert_eq!(found("crates/server/src/a.rs", &format!("{code}// more\n")).len(), 1);
    }

    #[test]
    fn the_core_has_no_clock_but_the_shell_may() {
        let text = "let now = Instant::now();\n";
        assert_eq!(found("crates/zab/src/a.rs", text).len(), 1);
        assert!(found("crates/server/src/a.rs", text).is_empty());
        assert!(found("crates/zab/src/a.rs", "// not Instant::now()\n").is_empty());
    }

    #[test]
    fn open_ends_and_vague_names_are_found() {
        for (head, tail) in WORD_BANS {
            assert_eq!(found("crates/server/src/a.rs", &format!("{head}{tail}\n")).len(), 1);
        }
        assert_eq!(found("crates/server/src/util.rs", "").len(), 1);
        assert_eq!(found("docs.md", &format!("{}{}x", PATH_BANS[0].0, PATH_BANS[0].1)).len(), 1);
    }

    #[test]
    fn a_breach_with_a_reason_is_allowed() {
        assert!(is_allowed("a.rs: 900\tone table", "a.rs: 900 lines"));
        assert!(!is_allowed("a.rs: 900\t", "a.rs: 900 lines"));
        assert!(!is_allowed("b.rs\tone table", "a.rs: 900 lines"));
    }
}
