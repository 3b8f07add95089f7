//! What a suite's results mean, next to those on the original server.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// Counts of one stage, and what has to be said about them.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    skipped: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Tally {
    /// A stage that did not come to an end.
    pub(super) fn broken(why: &str) -> Self {
        Self { failed: 1, failures: vec![why.to_owned()], ..Self::default() }
    }

    /// A stage that cannot run here.
    pub(super) fn skip(reason: &str) -> Self {
        Self { skipped: BTreeMap::from([(reason.to_owned(), 1)]), ..Self::default() }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.failures.push(why);
    }

    fn pass_over(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Prints failures, reasons and the closing line.
    pub(super) fn print(&self, name: &str) {
        for failure in &self.failures {
            println!("{name}: FAILED {failure}");
        }
        for (reason, count) in &self.skipped {
            println!("{name}: skipped {count}: {reason}");
        }
        let skipped: usize = self.skipped.values().sum();
        println!("{name}: {} passed, {} failed, {skipped} skipped", self.passed, self.failed);
    }
}

/// Lines `PASS|FAIL|FLAKY|SKIP`, tab, test; several verdicts on one test make the worst.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = std::fs::read(path).with_context(|| format!("no results in {}", path.display()))?;
    let mut verdicts = BTreeMap::new();
    for line in String::from_utf8_lossy(&bytes).lines().filter(|line| !line.starts_with('#')) {
        let Some((verdict, test)) = line.split_once('\t') else { continue };
        let slot = verdicts.entry(test.to_owned()).or_insert_with(|| verdict.to_owned());
        if verdict == "FAIL" {
            "FAIL".clone_into(slot);
        }
    }
    Ok(verdicts)
}

/// Tests of one suite that wait for something: the test (a star at the end means all that start so) and the reason.
fn waiting(list: &Path, suite: &str) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let rows = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut cells = line.splitn(3, '\t');
        let (name, test, reason) = (cells.next()?, cells.next()?, cells.next()?);
        (name == suite).then(|| (test.to_owned(), reason.to_owned()))
    });
    Ok(rows.collect())
}

fn reason_for<'a>(waiting: &'a [(String, String)], test: &str) -> Option<&'a str> {
    let row = waiting.iter().find(|(pattern, _)| {
        pattern.strip_suffix('*').map_or(pattern == test, |start| test.starts_with(start))
    });
    row.map(|(_, reason)| reason.as_str())
}

/// Judges results by the original's and by the list of waiting tests.
pub(super) fn judge(suite: &str, results: &Path, baseline: Option<&Path>, list: &Path) -> Result<Tally> {
    let got = read(results)?;
    let base = baseline.map_or_else(|| Ok(BTreeMap::new()), read)?;
    Ok(compare(&got, &base, &waiting(list, suite)?))
}

fn compare(
    got: &BTreeMap<String, String>,
    base: &BTreeMap<String, String>,
    waiting: &[(String, String)],
) -> Tally {
    let mut tally = Tally::default();
    for (test, verdict) in got {
        let on_java = base.get(test).map(String::as_str);
        let reason = reason_for(waiting, test);
        match (verdict.as_str(), on_java, reason) {
            ("PASS", _, _) => tally.passed += 1,
            (_, _, Some(reason)) => tally.pass_over(reason),
            ("FAIL", Some("FAIL" | "FLAKY"), None) => tally.pass_over("fails on the original server too"),
            ("SKIP", Some("PASS"), None) => tally.fail(format!("{test}: skipped, but runs on the original")),
            ("SKIP", _, None) => tally.pass_over("the suite skips it"),
            _ => tally.fail(test.clone()),
        }
    }
    for test in base.iter().filter(|(test, verdict)| *verdict == "PASS" && !got.contains_key(*test)) {
        match reason_for(waiting, test.0) {
            Some(reason) => tally.pass_over(reason),
            None => tally.fail(format!("{}: did not run", test.0)),
        }
    }
    if got.is_empty() {
        tally.fail("nothing ran".to_owned());
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
        rows.iter().map(|(test, verdict)| ((*test).to_owned(), (*verdict).to_owned())).collect()
    }

    #[test]
    fn only_what_fails_on_the_original_or_waits_may_fail() {
        let base = map(&[("a", "PASS"), ("b", "FAIL"), ("c", "PASS"), ("d", "PASS"), ("e", "PASS")]);
        let got = map(&[("a", "PASS"), ("b", "FAIL"), ("c", "FAIL"), ("d", "FAIL"), ("new", "FAIL")]);
        let waiting = [("d*".to_owned(), "waits for TLS".to_owned())];
        let tally = compare(&got, &base, &waiting);
        assert_eq!(tally.passed, 1);
        assert_eq!(tally.failures, ["c", "new", "e: did not run"]);
        assert_eq!(tally.skipped.len(), 2);
    }

    #[test]
    fn a_suite_that_ran_nothing_has_failed() {
        assert_eq!(compare(&map(&[]), &map(&[]), &[]).failed, 1);
    }
}
