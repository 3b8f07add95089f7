//! A look at the ensemble as a person reads it.

use std::fmt::Write as _;

use super::facts::{Answer, Facts, Kind, Member, Mode, Tree};
use super::kept::Kept;
use super::rules::{Finding, Severity};
use super::service::Service;
use super::step::{Step, Swap};
use super::target::Target;
use super::{Look, Replace, kept};

/// The whole look, ending with a line break.
pub(super) fn look(asked: &Replace, target: &Target, look: &Look, kept: Option<&Kept>) -> String {
    let mut out = String::new();
    if let Some(kept) = kept {
        out.push_str(&kept_lines(kept, asked, target));
    }
    out.push_str(&table(&look.facts));
    out.push_str(&totals(&look.facts));
    for finding in &look.findings {
        out.push_str(&finding_lines(finding));
    }
    out.push('\n');
    match &look.step {
        None => {
            out.push_str("No step is given while something is refused.\n");
            out.push_str(&restart_lines(&look.facts, asked, target));
        }
        Some(Step::Done) => drop(writeln!(out, "Every member runs {}. Nothing is left to do.", asked.to)),
        Some(Step::Swap(swap)) => out.push_str(&swap_lines(swap, asked, target)),
    }
    out
}

/// One row a member, columns as wide as their widest.
fn table(facts: &Facts) -> String {
    let head =
        ["server", "clients at", "runs", "mode", "zxid", "nodes", "clients", "watches", "clock", "tree"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(facts.members.iter().map(|(id, member)| row(*id, member)));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn row(id: i64, member: &Member) -> [String; 10] {
    let unknown = || "?".to_owned();
    let place = member.place.clone().unwrap_or_else(unknown);
    let Some(server) = member.server() else {
        let state = match member.answer {
            Answer::NotServing => "no quorum",
            Answer::Foreign(_) => "stranger",
            Answer::NotAsked | Answer::Silent(_) | Answer::Serving(_) => "down",
        };
        let dash = || "-".to_owned();
        return [
            id.to_string(),
            place,
            dash(),
            state.to_owned(),
            dash(),
            dash(),
            dash(),
            dash(),
            dash(),
            dash(),
        ];
    };
    let runs = match server.kind {
        Kind::Java => format!("Java {}", server.version.split('-').next().unwrap_or_default()),
        Kind::Oxherd => format!("Oxherd {}", server.version.rsplit('-').next().unwrap_or_default()),
    };
    let count = |value: Option<u64>| value.map_or_else(unknown, |value| value.to_string());
    let clock = member
        .clock
        .map_or_else(unknown, |clock| format!("{:+} ± {} ms", clock.ahead_ms, clock.precision_ms));
    [
        id.to_string(),
        place,
        runs,
        server.mode.word().to_owned(),
        server.zxid.to_string(),
        server.nodes.to_string(),
        count(server.connections),
        count(server.watches),
        clock,
        tree_word(server.mode, &member.tree),
    ]
}

fn tree_word(mode: Mode, tree: &Tree) -> String {
    match tree {
        Tree::NotCompared if mode == Mode::Leader => "as its own".to_owned(),
        Tree::NotCompared => "not compared".to_owned(),
        Tree::TooBig(_) => "too big".to_owned(),
        Tree::Unreadable(_) => "unreadable".to_owned(),
        Tree::Compared(seen) if !seen.different.is_empty() => format!("{} differ", seen.different.len()),
        Tree::Compared(seen) if seen.hidden > 0 => format!("equal but {} hidden", seen.hidden),
        Tree::Compared(seen) if seen.changing > 0 => format!("equal, {} moving", seen.changing),
        Tree::Compared(_) => "equal".to_owned(),
    }
}

fn totals(facts: &Facts) -> String {
    let sessions =
        facts.leader().and_then(|(_, server)| server.sessions.as_ref()).map(|sessions| sessions.len());
    let told = |count: Option<String>| count.unwrap_or_else(|| "an unknown number of".to_owned());
    format!(
        "{} sessions, {} watches\n",
        told(sessions.map(|count| count.to_string())),
        told(kept::watches(facts).map(|count| count.to_string()))
    )
}

fn finding_lines(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Refusal => "refused",
        Severity::Warning => "warning",
    };
    let mut out = format!("{word}: {} [{}]\n", finding.text, finding.rule);
    if !finding.way_out.is_empty() {
        let _ = writeln!(out, "         {}", finding.way_out);
    }
    out
}

fn kept_lines(kept: &Kept, asked: &Replace, target: &Target) -> String {
    let mut out = format!("\nServer {} runs {} and every member is in sync.\n", kept.member, asked.to);
    if let Some((before, still)) = kept.sessions {
        let _ = writeln!(out, "  sessions: {still} of {before} from before are still there");
    }
    if let Some((before, after)) = kept.watches {
        let _ = writeln!(out, "  watches: {before} before, {after} now");
    }
    let _ = writeln!(out, "  to go back with server {}:", kept.member);
    out.push_str(&command_lines(asked, target, asked.to.other()));
    out.push('\n');
    out
}

fn swap_lines(swap: &Swap, asked: &Replace, target: &Target) -> String {
    let mut out = format!(
        "Next: server {}, {} {} that runs {}; {} left after it.\n",
        swap.member,
        if swap.mode == Mode::Observer { "an" } else { "a" },
        swap.mode.word(),
        swap.from,
        swap.left
    );
    if let Some(to) = swap.lead_to {
        let place =
            target.members.get(&swap.member).and_then(|address| address.client.clone()).unwrap_or_default();
        let _ = writeln!(
            out,
            "  a stopped leader hands over by itself; to choose who leads, from anywhere (--auth may be needed):\n      \
             oxherd lead --to {to} --server {place}"
        );
    }
    let _ = writeln!(out, "  on the machine of server {}:", swap.member);
    out.push_str(&command_lines(asked, target, asked.to));
    let _ = writeln!(out, "  to go back, there:");
    out.push_str(&command_lines(asked, target, asked.to.other()));
    out.push_str(match asked.wait {
        true => "",
        false => "  then run this again: it compares the member with the leader and tells what is next.\n",
    });
    out
}

fn command_lines(asked: &Replace, target: &Target, to: Kind) -> String {
    let mut out = String::new();
    for service in services(asked) {
        for (place, line) in service.lines(to, asked.files(target)).iter().enumerate() {
            let label = if place == 0 { service.word() } else { "" };
            let _ = writeln!(out, "      {label:9}  {line}");
        }
        if to == Kind::Oxherd {
            let _ = writeln!(out, "      {:9}  # needs {}", "", service.needs(asked.files(target)));
        }
    }
    out
}

/// How to start those that are down, as either program: the data directory is the same for both.
fn restart_lines(facts: &Facts, asked: &Replace, target: &Target) -> String {
    let mut out = String::new();
    for id in facts.silent() {
        for kind in [asked.to, asked.to.other()] {
            let _ = writeln!(out, "  to start server {id} as {kind}, on its machine:");
            for service in services(asked) {
                let _ =
                    writeln!(out, "      {:9}  {}", service.word(), service.start(kind, asked.files(target)));
            }
        }
    }
    out
}

fn services(asked: &Replace) -> Vec<Service> {
    if asked.services.is_empty() { Service::ALL.to_vec() } else { asked.services.clone() }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::replace::facts::Comparison;
    use crate::replace::rules::tests::ensemble;

    pub(crate) fn asked() -> Replace {
        Replace {
            config: "zoo.cfg".into(),
            to: Kind::Oxherd,
            wait: false,
            timeout: Duration::ZERO,
            tree_nodes_max: 0,
            services: vec![Service::Systemd],
            image: None,
            clients: Vec::new(),
            auth: None,
            i_know: false,
            json: false,
        }
    }

    pub(crate) fn target() -> Target {
        Target {
            members: BTreeMap::new(),
            weights: BTreeMap::new(),
            config: Vec::new(),
            file: "/etc/zoo.cfg".into(),
            own: None,
        }
    }

    #[test]
    fn a_member_that_is_down_can_be_started_as_either_program() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower]);
        facts.members.get_mut(&3).unwrap().answer = Answer::Silent("refused".to_owned());
        let look = Look { facts, findings: Vec::new(), step: None };
        let told = super::look(&Replace { to: Kind::Java, ..asked() }, &target(), &look, None);
        let (_, told) = told.split_once("No step is given while something is refused.\n").unwrap();
        assert_eq!(
            told,
            "  to start server 3 as Java, on its machine:\n      systemd    sudo systemctl enable --now zookeeper\n  \
             to start server 3 as Oxherd, on its machine:\n      systemd    sudo systemctl enable --now oxherd\n"
        );
        let told = crate::replace::json::look(&asked(), &target(), &look, None);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["restart"][0]["server"], 3);
        assert_eq!(told["restart"][0]["java"]["plain"], "zkServer.sh start /etc/zoo.cfg");
        assert!(told["restart"][1].is_null(), "the others are there: {told}");
    }

    #[test]
    fn an_observer_has_its_article() {
        let (from, mode) = (Kind::Java, Mode::Observer);
        let swap = Swap { member: 6, from, mode, left: 5, lead_to: None };
        let (asked, target) = (asked(), target());
        let told = swap_lines(&swap, &asked, &target);
        assert!(told.starts_with("Next: server 6, an observer that runs Java; 5 left"), "{told}");
    }

    #[test]
    fn a_tree_that_was_read_in_part_is_not_simply_equal() {
        let word = |hidden, changing| {
            let seen = Comparison { nodes: 9, hidden, changing, different: Vec::new() };
            tree_word(Mode::Follower, &Tree::Compared(seen))
        };
        assert_eq!((word(0, 0), word(2, 0)), ("equal".to_owned(), "equal but 2 hidden".to_owned()));
        assert_eq!(word(0, 3), "equal, 3 moving");
    }
}
