//! What speaks against a swap: facts in, findings out. One function a rule; each refusal has a test.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use oxherd_config::PeerAddress;
use oxherd_proto::Zxid;

use super::facts::{Answer, ConfigWeight, Facts, Kind, Mode, Peers, Server, Tree};

/// Furthest that a member may be behind the leader, in txns. Words are asked one after the other, under load.
pub(crate) const LAG_MAX: i64 = 20_000;
/// Clocks further apart than this are reported, in milliseconds.
pub(crate) const CLOCK_MS_MAX: i64 = 1_000;
/// Space that is needed beside twice the data: two log files as they are preallocated, in bytes.
const DISK_RESERVE: u64 = 128 << 20;

/// What is asked for, as far as the rules care.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// What the members are to become.
    pub(crate) to: Kind,
    /// The user knows the risks that may be taken.
    pub(crate) i_know: bool,
    /// Trees are to be compared.
    pub(crate) trees: bool,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// No step is given.
    Refusal,
    /// To be read before the step.
    Warning,
}

/// One thing that speaks against a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How much it matters.
    pub(crate) severity: Severity,
    /// Name of the rule, for scripts.
    pub(crate) rule: &'static str,
    /// The member it is about.
    pub(crate) member: Option<i64>,
    /// What is wrong, and why it matters.
    pub(crate) text: String,
    /// What to do about it; may be empty.
    pub(crate) way_out: String,
}

fn finding(
    severity: Severity,
    rule: &'static str,
    member: impl Into<Option<i64>>,
    text: impl Into<String>,
    way_out: impl Into<String>,
) -> Finding {
    Finding { severity, rule, member: member.into(), text: text.into(), way_out: way_out.into() }
}

use Severity::{Refusal, Warning};

/// Everything that speaks against a swap, refusals first.
pub(crate) fn judge(facts: &Facts, wanted: Wanted) -> Vec<Finding> {
    let mut found = Vec::new();
    ensemble(facts, &mut found);
    let is_none = !found.is_empty();
    // A file that cannot be understood may name no members for that reason.
    config(facts, wanted, &mut found);
    if is_none {
        found.sort_by_key(|finding| finding.severity);
        return found;
    }
    names(facts, &mut found);
    answers(facts, &mut found);
    words(facts, &mut found);
    versions(facts, wanted, &mut found);
    leaders(facts, &mut found);
    identity(facts, &mut found);
    membership(facts, &mut found);
    addresses(facts, &mut found);
    in_sync(facts, &mut found);
    spare_voter(facts, wanted, &mut found);
    clocks(facts, &mut found);
    let mut data = Vec::new();
    disk(facts, &mut data);
    digests(facts, &mut data);
    trees(facts, wanted, &mut data);
    if wanted.to == Kind::Java {
        // Nobody is kept from going back by what Oxherd may have done to the data.
        data.iter_mut().for_each(|finding| finding.severity = Warning);
    }
    found.append(&mut data);
    found.sort_by_key(|finding| finding.severity);
    found
}

/// Whether one of them forbids the step.
pub(crate) fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Refusal)
}

fn ensemble(facts: &Facts, found: &mut Vec<Finding>) {
    let alone =
        facts.members.len() == 1 && facts.serving().any(|(_, server)| server.mode == Mode::Standalone);
    let text = match facts.members.is_empty() {
        true => "the configuration names no members",
        false if alone => "the configuration names one member, which serves standalone",
        false => return,
    };
    let way = "a server alone is swapped by stopping the one and starting the other on the same zoo.cfg";
    found.push(finding(Refusal, "ensemble", None, text, way));
}

fn config(facts: &Facts, wanted: Wanted, found: &mut Vec<Finding>) {
    for fact in &facts.config {
        // On the way back nothing new reads this file.
        let severity = match (fact.weight, wanted.to) {
            (ConfigWeight::Harmless, _) | (_, Kind::Java) => Warning,
            (ConfigWeight::Error | ConfigWeight::Unserved, Kind::Oxherd) => Refusal,
        };
        let way = match fact.weight {
            ConfigWeight::Error => "`oxherd config check` explains the file",
            ConfigWeight::Unserved => "stay with Java until Oxherd has it, or take the key out",
            ConfigWeight::Harmless => "",
        };
        found.push(finding(severity, "config", None, fact.text.clone(), way));
    }
}

fn names(facts: &Facts, found: &mut Vec<Finding>) {
    for (id, member) in &facts.members {
        for reason in &member.unresolved {
            let text = format!("a name of server {id} does not resolve here: {reason}");
            found.push(finding(Refusal, "names", *id, text, "the members need it too: put DNS right first"));
        }
    }
}

fn answers(facts: &Facts, found: &mut Vec<Finding>) {
    for (id, member) in &facts.members {
        let place = member.place.as_deref().unwrap_or("?");
        let (text, way) = match &member.answer {
            Answer::Serving(_) => continue,
            Answer::NotAsked => (
                format!("the configuration does not say where clients of server {id} connect"),
                format!("give --client {id}=HOST:PORT"),
            ),
            Answer::Silent(reason) => (
                format!("server {id} does not answer on {place}: {reason}"),
                "start it, as either program, or take it out of the ensemble, before another one is stopped".to_owned(),
            ),
            Answer::NotServing => (
                format!("server {id} on {place} runs without a quorum"),
                "look at its log; the others must be able to reach its peer ports".to_owned(),
            ),
            Answer::Foreign(line) if line.is_empty() => (
                format!("server {id} on {place} closed the connection without an answer"),
                "it may take no more from this address (maxClientCnxns), ask for TLS there, or be just starting".to_owned(),
            ),
            Answer::Foreign(line) => {
                (format!("what answers on {place} is no ZooKeeper server: {line:?}"), String::new())
            }
        };
        found.push(finding(Refusal, "down", *id, text, way));
    }
}

fn words(facts: &Facts, found: &mut Vec<Finding>) {
    for (id, member) in &facts.members {
        if member.closed.is_empty() {
            continue;
        }
        let closed: Vec<&str> = member.closed.iter().copied().collect();
        let (severity, what) = match member.closed.contains("mntr") {
            true => (Refusal, "so nobody can see from outside whether the followers are in sync"),
            false => (Warning, "so this report leaves out what they tell"),
        };
        let text = format!("server {id} does not answer {}, {what}", closed.join(" and "));
        let way = "in its zoo.cfg: 4lw.commands.whitelist=srvr,mntr,conf,cons,hash,dump (read at a restart)";
        found.push(finding(severity, "words", *id, text, way));
    }
}

/// Releases that are no company for a swap.
fn versions(facts: &Facts, wanted: Wanted, found: &mut Vec<Finding>) {
    for (id, server) in facts.serving().filter(|(_, server)| server.kind == Kind::Java) {
        let Some((reason, refused)) = reason_against(server.release) else {
            continue;
        };
        let severity = if refused && !wanted.i_know { Refusal } else { Warning };
        let way = match severity {
            Refusal => "upgrade the Java members to 3.9.4 or later first; --i-know goes on all the same",
            Warning => "3.9.4 or later has the fixes",
        };
        found.push(finding(
            severity,
            "version",
            id,
            format!("server {id} is {}: {reason}", server.version),
            way,
        ));
    }
}

/// Why a release of Java is bad company, and whether it is too bad.
fn reason_against(release: Option<[u32; 3]>) -> Option<(&'static str, bool)> {
    match release {
        None => Some(("a version that cannot be read, so nobody knows which defects it has", true)),
        Some([3, 9, 3]) => Some((
            "after it has synchronized, it may hand on a log with a hole, and txns are lost (ZOOKEEPER-4925)",
            true,
        )),
        Some(old) if old < [3, 7, 2] || ([3, 8, 0]..[3, 8, 2]).contains(&old) => Some((
            "of a multi that contains create2 it applies only what stands before, and its tree differs for \
             ever (ZOOKEEPER-4026)",
            true,
        )),
        Some(old) if old < [3, 9, 4] => Some((
            "a follower that is stopped or loses its leader while it writes may end with a log unlike the \
             others' (ZOOKEEPER-4541, 4712)",
            false,
        )),
        Some(_) => None,
    }
}

fn leaders(facts: &Facts, found: &mut Vec<Finding>) {
    let leading: Vec<i64> =
        facts.serving().filter(|(_, server)| server.mode == Mode::Leader).map(|(id, _)| id).collect();
    let way = "wait for the election to end; if it does not, look at the logs";
    match leading[..] {
        [_] => {}
        [] if facts.members.is_empty() => {}
        [] => found.push(finding(Refusal, "leader", None, "no member leads", way)),
        _ => {
            let text = format!("servers {} all say that they lead", list(&leading));
            found.push(finding(Refusal, "leader", None, text, way));
        }
    }
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

/// Each member must have been asked itself: behind one place for two of them, one was not looked at.
fn identity(facts: &Facts, found: &mut Vec<Finding>) {
    let way = |id: i64| format!("--client {id}=HOST:PORT says where its clients connect");
    for (id, server) in facts.serving() {
        let place = facts.members[&id].place.as_deref().unwrap_or("?");
        if let Some(number) = server.number.filter(|number| *number != id) {
            let text = format!("what answers on {place} is server {number}, not server {id}");
            found.push(finding(Refusal, "identity", id, text, way(id)));
        } else if let Some((other, _)) = facts
            .members
            .iter()
            .find(|(other, member)| **other < id && member.place.as_deref() == Some(place))
        {
            let text = format!("servers {other} and {id} were both asked on {place}");
            found.push(finding(Refusal, "identity", id, text, way(id)));
        }
    }
}

const RUNNING_FILE: &str = "take the zoo.cfg and the dynamic file of a running member";

/// What the file says must be what the ensemble lives by.
fn membership(facts: &Facts, found: &mut Vec<Finding>) {
    let ours: Vec<i64> = facts.members.keys().copied().collect();
    for (id, server) in facts.serving() {
        if let Some(theirs) = &server.members {
            let theirs: Vec<i64> = theirs.keys().copied().collect();
            if theirs != ours {
                let text =
                    format!("server {id} knows the members {}, this file {}", list(&theirs), list(&ours));
                found.push(finding(Refusal, "membership", id, text, RUNNING_FILE));
            }
        }
        let votes = facts.members[&id].votes;
        let fits = match server.mode {
            Mode::Leader | Mode::Follower => votes,
            Mode::Observer => !votes,
            Mode::Standalone | Mode::ReadOnly => false,
        };
        if !fits {
            let role = if votes { "a voter" } else { "an observer" };
            let text = format!("server {id} is {role} in this file, and says {}", server.mode.word());
            found.push(finding(Refusal, "membership", id, text, "look at its zoo.cfg and its log"));
        }
    }
}

/// Where members are must be the same to all. A name may differ: of one machine each may know another.
fn addresses(facts: &Facts, found: &mut Vec<Finding>) {
    for (id, server) in facts.serving() {
        for (other, theirs) in server.members.iter().flatten() {
            let Some(ours) = facts.members.get(other).map(|member| &member.peers) else { continue };
            let (severity, way) = match apart(ours, theirs) {
                None => continue,
                Some(Apart::Ports) => (Refusal, RUNNING_FILE),
                Some(Apart::Names) => (Warning, "see that both are names of the same machine"),
            };
            let (theirs, ours) = (places(theirs), places(ours));
            let text = format!("server {id} finds server {other} at {theirs}, by this file it is at {ours}");
            found.push(finding(severity, "membership", id, text, way));
        }
    }
}

/// How two lists of addresses of one member differ.
enum Apart {
    Ports,
    Names,
}

fn apart(ours: &Peers, theirs: &Peers) -> Option<Apart> {
    if ours.is_empty() || theirs.is_empty() {
        return None;
    }
    let ports = |peers: &Peers| -> BTreeSet<_> {
        peers.iter().map(|peer| (peer.quorum_port, peer.election_port)).collect()
    };
    // A member's own file may name it by the wildcard.
    let is_any = |peer: &PeerAddress| matches!(peer.host.as_str(), "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0");
    let names =
        |peers: &Peers| -> BTreeSet<_> { peers.iter().map(|peer| peer.host.to_lowercase()).collect() };
    if ports(ours) != ports(theirs) {
        Some(Apart::Ports)
    } else if names(ours) != names(theirs) && !ours.iter().chain(theirs).any(is_any) {
        Some(Apart::Names)
    } else {
        None
    }
}

fn places(peers: &Peers) -> String {
    let place = |peer: &PeerAddress| format!("{}:{}:{}", peer.host, peer.quorum_port, peer.election_port);
    peers.iter().map(place).collect::<Vec<_>>().join("|")
}

fn in_sync(facts: &Facts, found: &mut Vec<Finding>) {
    let Some((leader, at)) = facts.leader() else {
        return;
    };
    let way = "wait until it has caught up, and run this again";
    let observers = facts.members.len() - facts.voters();
    let expected = [
        ("followers", at.synced_followers, facts.voters().saturating_sub(1)),
        ("observers", at.synced_observers, observers),
    ];
    for (what, synced, all) in expected {
        let all = all as u64;
        let (severity, text) = match synced {
            Some(synced) if synced < all => {
                (Refusal, format!("the leader, server {leader}, has {synced} of {all} {what} in sync"))
            }
            None if all > 0 && !facts.members[&leader].closed.contains("mntr") => (
                // Old releases do not count observers; of the voters each does.
                if what == "observers" { Warning } else { Refusal },
                format!("the leader, server {leader}, did not say how many of {all} {what} are in sync"),
            ),
            _ => continue,
        };
        found.push(finding(severity, "sync", None, text, way));
    }
    for (id, server) in facts.serving().filter(|(id, _)| *id != leader) {
        let text = match lag(at, server) {
            None => {
                format!("server {id} is in a later epoch ({}) than the leader ({})", server.zxid, at.zxid)
            }
            Some(lag) if lag > LAG_MAX => format!("server {id} is {lag} txns behind the leader"),
            Some(_) => continue,
        };
        found.push(finding(Refusal, "sync", id, text, way));
    }
}

/// Txns that a member is behind the leader, at least; `None` when it is in a later epoch.
///
/// A member that was elected for shows the last zxid of the epoch before until the first write of the new one.
pub(crate) fn lag(leader: &Server, member: &Server) -> Option<i64> {
    let epoch = |zxid: Zxid| zxid.0 >> 32;
    match epoch(member.zxid).cmp(&epoch(leader.zxid)) {
        Ordering::Less => Some(leader.zxid.0 & 0xffff_ffff),
        Ordering::Equal => Some((leader.zxid.0 - member.zxid.0).max(0)),
        Ordering::Greater => None,
    }
}

/// A stop must leave a quorum, of whomever is still to be stopped.
fn spare_voter(facts: &Facts, wanted: Wanted, found: &mut Vec<Finding>) {
    let ahead = facts.serving().filter(|(_, server)| server.kind != wanted.to).map(|(id, _)| id);
    let needed: Vec<i64> = ahead.filter(|id| !facts.spares(&[*id])).collect();
    if needed.is_empty() {
        return;
    }
    let severity = if wanted.i_know { Warning } else { Refusal };
    let (text, way) = match facts.weights.is_empty() {
        true => {
            let voters = facts.voters();
            (
                format!("with {voters} voters there is no quorum while one of them is stopped: clients wait"),
                "add a voter first (`reconfig`), or accept the pause with --i-know",
            )
        }
        false => (
            format!(
                "by groups and weights there is no quorum while server {} is stopped: clients wait",
                list(&needed).replace(", ", " or ")
            ),
            "change the weights first, or accept the pause with --i-know",
        ),
    };
    found.push(finding(severity, "quorum", None, text, way));
}

fn clocks(facts: &Facts, found: &mut Vec<Finding>) {
    let clocks = facts.members.iter().filter_map(|(id, member)| Some((*id, member.clock?)));
    let Some((first, least)) = clocks.clone().min_by_key(|(_, clock)| clock.ahead_ms) else {
        return;
    };
    let Some((last, most)) = clocks.max_by_key(|(_, clock)| clock.ahead_ms) else {
        return;
    };
    let apart = most.ahead_ms - least.ahead_ms;
    let precision = most.precision_ms + least.precision_ms;
    if apart - precision > CLOCK_MS_MAX {
        let text = format!(
            "the clocks of servers {first} and {last} are {apart} ms apart (± {precision} ms): times of nodes \
             jump when the leader changes"
        );
        found.push(finding(Warning, "clocks", None, text, "let NTP run on every machine"));
    }
}

fn disk(facts: &Facts, found: &mut Vec<Finding>) {
    let Some(disk) = &facts.disk else {
        return;
    };
    let needed = disk.data.saturating_mul(2).saturating_add(DISK_RESERVE);
    if disk.free < needed {
        let mib = |bytes: u64| bytes >> 20;
        let text = format!(
            "{} has {} MiB free; {} MiB are wanted for a snapshot, logs and what is there already",
            disk.dir.display(),
            mib(disk.free),
            mib(needed)
        );
        found.push(finding(Refusal, "disk", disk.member, text, "make room first: a full disk stops writes"));
    }
}

/// Digests of the same zxid must be the same. Java notes a wrong one now and then after it got a whole snapshot under
/// load, so the trees have the last word where they were compared.
fn digests(facts: &Facts, found: &mut Vec<Finding>) {
    let Some((leader, at)) = facts.leader() else {
        return;
    };
    for (id, server) in facts.serving().filter(|(id, _)| *id != leader) {
        let unlike = server
            .digests
            .iter()
            .find(|(zxid, digest)| at.digests.get(zxid).is_some_and(|theirs| theirs != *digest));
        let Some((zxid, _)) = unlike else {
            continue;
        };
        let tree = &facts.members[&id].tree;
        let text = format!("the digests of servers {id} and {leader} differ at zxid {}", Zxid(*zxid));
        let (severity, way) = match tree {
            Tree::Compared(seen) if !seen.different.is_empty() => (Refusal, "the trees differ, see there"),
            Tree::Compared(seen) if seen.hidden > 0 => (
                Refusal,
                "nodes that may not be read can be the reason: --auth SCHEME:TEXT of somebody who may",
            ),
            Tree::Compared(seen) if seen.changing > 0 => {
                (Refusal, "nodes that clients wrote all the while can be the reason: run this again")
            }
            Tree::Compared(_) => (
                Warning,
                "the trees are equal, so it is a miscount that Java makes after a snapshot under load",
            ),
            _ => (Refusal, "compare the trees (leave out --no-tree, raise --tree-nodes)"),
        };
        found.push(finding(severity, "digests", id, text, way));
    }
}

fn trees(facts: &Facts, wanted: Wanted, found: &mut Vec<Finding>) {
    let leader = facts.leader().map_or(0, |(id, _)| id);
    for (id, member) in &facts.members {
        match &member.tree {
            Tree::NotCompared => {}
            Tree::TooBig(nodes) => {
                let text = format!("the tree of server {id} was not compared: it has {nodes} nodes");
                found.push(finding(Warning, "trees", *id, text, "--tree-nodes N raises the bound"));
            }
            Tree::Unreadable(reason) if !wanted.trees => {
                let text = format!("server {id} gives no session to see its clock by: {reason}");
                found.push(finding(Warning, "trees", *id, text, "see whether its clients get theirs"));
            }
            Tree::Unreadable(reason) => {
                let text = format!("the tree of server {id} could not be read: {reason}");
                let way = "run this again, with the right --auth; --no-tree leaves it out";
                found.push(finding(Refusal, "trees", *id, text, way));
            }
            Tree::Compared(seen) if !seen.different.is_empty() => {
                let text = format!(
                    "{} nodes of server {id} differ from those of the leader, server {leader}: {}",
                    seen.different.len(),
                    seen.different.iter().take(3).cloned().collect::<Vec<_>>().join(", ")
                );
                let way = "stop server, move its version-2 directories aside, start it again: it learns all from the leader";
                found.push(finding(
                    Refusal,
                    "trees",
                    *id,
                    text,
                    way.replace("stop server", &format!("stop server {id}")),
                ));
            }
            Tree::Compared(seen) if seen.hidden > 0 => {
                let text = format!(
                    "{} nodes of server {id} were not compared, nor what is below them: they may not be read",
                    seen.hidden
                );
                found.push(finding(
                    Warning,
                    "trees",
                    *id,
                    text,
                    "give --auth SCHEME:TEXT of somebody who may",
                ));
            }
            Tree::Compared(_) => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
