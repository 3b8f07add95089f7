//! What is enough: majorities, weights in groups, and two configurations at a time.

use std::collections::{BTreeMap, BTreeSet};

use oxherd_proto::{Epoch, ServerId, Zxid};

use crate::dynamic_config::EnsembleConfig;

impl EnsembleConfig {
    /// Whether these servers are a quorum; those that do not vote do not count.
    // Java: QuorumMaj.containsQuorum, QuorumHierarchical.containsQuorum
    pub fn is_quorum(&self, servers: &BTreeSet<ServerId>) -> bool {
        if self.groups.is_empty() {
            let present = self.voters().filter(|server| servers.contains(server)).count();
            return present > self.voters().count() / 2;
        }
        let mut total: BTreeMap<i64, i64> = BTreeMap::new();
        let mut present: BTreeMap<i64, i64> = BTreeMap::new();
        for (server, group) in &self.groups {
            let weight = self.weight(*server);
            *total.entry(*group).or_default() += weight;
            if servers.contains(server) {
                *present.entry(*group).or_default() += weight;
            }
        }
        total.retain(|_, weight| *weight > 0);
        let won = total
            .iter()
            .filter(|(group, weight)| present.get(group).is_some_and(|present| *present > **weight / 2));
        won.count() > total.len() / 2
    }
}

/// The configuration in force, and a newer one that was seen and not yet agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    active: EnsembleConfig,
    seen: Option<EnsembleConfig>,
}

impl Members {
    pub(crate) fn new(active: EnsembleConfig, seen: Option<EnsembleConfig>) -> Self {
        let seen = seen.filter(|seen| seen.version > active.version);
        Self { active, seen }
    }

    pub(crate) fn active(&self) -> &EnsembleConfig {
        &self.active
    }

    /// The newest configuration known.
    pub(crate) fn newest(&self) -> &EnsembleConfig {
        self.seen.as_ref().unwrap_or(&self.active)
    }

    /// What a learner that joins this epoch is to hold for in force. A change proposed in the epoch itself is
    /// not agreed on yet; one found proposed by its leader is, when the leader is established.
    // Java: LearnerHandler.run, which tells the last one proposed
    pub(crate) fn agreed_in(&self, epoch: Epoch) -> &EnsembleConfig {
        let version = Zxid(self.newest().version);
        let pending = version.epoch() == epoch && version.counter() > 0;
        if pending { &self.active } else { self.newest() }
    }

    /// Remembers a proposed configuration, or the one of a new leader; whether it is news. A leader may
    /// know an older one: a proposal that it lacks was given up.
    // Java: QuorumPeer.setLastSeenQuorumVerifier
    pub(crate) fn see(&mut self, config: EnsembleConfig) -> bool {
        let news = config.version != self.newest().version;
        if news {
            self.seen = (config.version > self.active.version).then_some(config);
        }
        news
    }

    /// Whether a server is in the configuration in force or in the newest one.
    pub(crate) fn has(&self, server: ServerId) -> bool {
        [self.active(), self.newest()].into_iter().any(|config| config.members.contains_key(&server))
    }

    /// Whether a change is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.seen.is_some()
    }

    /// Puts a configuration in force; the former one when there was a change.
    pub(crate) fn activate(&mut self, config: EnsembleConfig) -> Option<EnsembleConfig> {
        if config.version <= self.active.version {
            return None;
        }
        if self.seen.as_ref().is_some_and(|seen| seen.version <= config.version) {
            self.seen = None;
        }
        Some(std::mem::replace(&mut self.active, config))
    }

    /// Voters of both configurations, in order.
    // Java: QuorumPeer.getCurrentAndNextConfigVoters
    pub(crate) fn voters(&self) -> BTreeSet<ServerId> {
        let next = self.seen.iter().flat_map(EnsembleConfig::voters);
        self.active.voters().chain(next).collect()
    }

    /// Whether these servers are a quorum of each configuration.
    pub(crate) fn is_quorum(&self, servers: &BTreeSet<ServerId>) -> bool {
        self.active.is_quorum(servers) && self.seen.as_ref().is_none_or(|seen| seen.is_quorum(servers))
    }
}

/// What a leader's proposals need: a quorum of each configuration that was in play when they were made.
/// One made while a change was pending needs the former quorum even when the change is in force by then.
// Java: Leader.propose, SyncedLearnerTracker
#[derive(Debug, Default)]
pub(crate) struct Quorums {
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    config: EnsembleConfig,
    /// First and last zxid that need it; no last one while it is in play.
    first: Zxid,
    last: Option<Zxid>,
}

impl Span {
    fn covers(&self, zxid: Zxid) -> bool {
        self.first <= zxid && self.last.is_none_or(|last| zxid <= last)
    }
}

impl Quorums {
    pub(crate) fn new(config: EnsembleConfig) -> Self {
        Self { spans: vec![Span { config, first: Zxid(i64::MIN), last: None }] }
    }

    /// From `zxid` on, the proposal of the change itself, this configuration has a say too.
    pub(crate) fn propose(&mut self, zxid: Zxid, config: EnsembleConfig) {
        self.spans.push(Span { config, first: zxid, last: None });
    }

    /// The newest configuration is in force: the others have a say up to `last`, the last proposal.
    pub(crate) fn activate(&mut self, last: Zxid) {
        let former = self.spans.len().saturating_sub(1);
        for span in &mut self.spans[..former] {
            span.last.get_or_insert(last);
        }
    }

    /// Forgets what only concerned proposals up to `zxid`.
    pub(crate) fn committed(&mut self, zxid: Zxid) {
        self.spans.retain(|span| span.last.is_none_or(|last| last > zxid));
    }

    /// Whether these servers can still hold what waits for a former configuration. Its voters may have left or
    /// observe by now, and then nothing behind it is ever committed by this leader.
    pub(crate) fn can_end(&self, servers: &BTreeSet<ServerId>) -> bool {
        self.spans.iter().filter(|span| span.last.is_some()).all(|span| span.config.is_quorum(servers))
    }

    /// Whether these servers are enough for the proposal.
    pub(crate) fn are_enough(&self, zxid: Zxid, servers: &BTreeSet<ServerId>) -> bool {
        self.spans.iter().filter(|span| span.covers(zxid)).all(|span| span.config.is_quorum(servers))
    }

    /// The last proposal after `zxid` with the same needs as the one right after it, if they ever change.
    fn same_until(&self, zxid: Zxid) -> Option<Zxid> {
        let firsts = self.spans.iter().map(|span| span.first).filter(|first| first.0 > i64::MIN);
        let before = firsts.map(|first| Zxid(first.0 - 1));
        let ends = before.chain(self.spans.iter().filter_map(|span| span.last));
        ends.filter(|end| *end > zxid).min()
    }

    /// The last zxid after `committed` that may be committed, given what each server holds. None is
    /// committed before those below it.
    // Java: Leader.tryToCommit
    pub(crate) fn agreed(&self, committed: Zxid, held: &BTreeMap<ServerId, Zxid>) -> Option<Zxid> {
        let mut reached = committed;
        loop {
            let end = self.same_until(reached);
            let mut marks: Vec<Zxid> =
                held.values().map(|mark| end.map_or(*mark, |end| end.min(*mark))).collect();
            marks.sort_unstable();
            let holders = |mark: &Zxid| -> BTreeSet<ServerId> {
                held.iter().filter(|(_, zxid)| *zxid >= mark).map(|(server, _)| *server).collect()
            };
            let mut news = marks.into_iter().rev().take_while(|mark| *mark > reached);
            match news.find(|mark| self.are_enough(*mark, &holders(mark))) {
                Some(mark) => reached = mark,
                None => break,
            }
            if Some(reached) != end {
                break;
            }
        }
        (reached > committed).then_some(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(ids: &[i64]) -> BTreeSet<ServerId> {
        ids.iter().map(|id| ServerId(*id)).collect()
    }

    fn config(count: i64, more: &str, version: i64) -> EnsembleConfig {
        let lines: String = (1..=count).map(|n| format!("server.{n}=h{n}:1:2\n")).collect();
        EnsembleConfig::parse(&format!("{lines}{more}\nversion={version:x}")).unwrap()
    }

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        let four = config(4, "server.9=h9:1:2:observer", 0);
        assert!(!four.is_quorum(&servers(&[1, 2])));
        assert!(!four.is_quorum(&servers(&[1, 2, 9])), "an observer does not count");
        assert!(four.is_quorum(&servers(&[1, 2, 3])));
    }

    #[test]
    fn groups_need_most_of_the_weight_in_most_groups() {
        let more = "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7:8:9\nweight.1=5\n\
                    weight.7=0\nweight.8=0\nweight.9=0";
        let nine = config(9, more, 0);
        assert!(nine.is_quorum(&servers(&[1, 4, 5])), "server 1 outweighs its group; group 3 is empty");
        assert!(!nine.is_quorum(&servers(&[2, 3, 4, 5, 6])));
        assert!(!nine.is_quorum(&servers(&[1, 2, 3, 4, 7, 8, 9])));
    }

    #[test]
    fn both_configurations_must_agree_until_the_new_one_is_in_force() {
        let mut members = Members::new(config(3, "", 1), None);
        assert!(members.see(config(5, "", 2)));
        assert!(!members.is_quorum(&servers(&[1, 2])));
        assert!(!members.is_quorum(&servers(&[1, 4, 5])));
        assert!(members.is_quorum(&servers(&[1, 2, 5])));
        assert!(members.activate(config(5, "", 2)).is_some());
        assert!(members.is_quorum(&servers(&[1, 4, 5])));
        assert!(members.activate(config(3, "", 1)).is_none(), "an older one never comes back");
    }

    #[test]
    fn a_new_leader_that_lacks_a_proposed_configuration_takes_it_back() {
        let mut members = Members::new(config(3, "", 1), None);
        assert!(members.see(config(5, "", 7)));
        assert!(!members.see(config(5, "", 7)), "no news");
        assert!(members.see(config(3, "", 1)));
        assert!(!members.is_changing());
    }

    fn held(marks: &[(i64, i64)]) -> BTreeMap<ServerId, Zxid> {
        marks.iter().map(|(server, zxid)| (ServerId(*server), Zxid(*zxid))).collect()
    }

    /// Servers 1, 2, 3; at zxid 10 a change to 1, 4, 5 is proposed.
    fn joint() -> Quorums {
        let mut quorums = Quorums::new(config(3, "", 1));
        let next = "server.1=h:1:2\nserver.4=h:1:2\nserver.5=h:1:2\nversion=a";
        quorums.propose(Zxid(10), EnsembleConfig::parse(next).unwrap());
        quorums
    }

    #[test]
    fn what_was_proposed_before_a_change_needs_the_former_quorum_only() {
        let agreed = |marks: &[(i64, i64)]| joint().agreed(Zxid(7), &held(marks));
        assert_eq!(agreed(&[(1, 12), (2, 12), (3, 12)]), Some(Zxid(9)), "nobody of the new ones has it");
        assert_eq!(agreed(&[(1, 12), (4, 12), (5, 12)]), None);
        assert_eq!(agreed(&[(1, 12), (2, 11), (5, 10)]), Some(Zxid(10)));
        assert_eq!(agreed(&[(1, 12), (2, 11), (5, 12)]), Some(Zxid(11)));
    }

    #[test]
    fn what_was_proposed_during_a_change_needs_both_quorums_to_its_end() {
        let mut quorums = joint();
        quorums.committed(Zxid(10));
        quorums.activate(Zxid(12));
        let marks = [(1, 14), (4, 14), (5, 14)];
        assert_eq!(quorums.agreed(Zxid(10), &held(&marks)), None, "11 and 12 need server 2 or 3 as well");
        let marks = [(1, 14), (2, 12), (4, 14), (5, 14)];
        assert_eq!(quorums.agreed(Zxid(10), &held(&marks)), Some(Zxid(14)));
        quorums.committed(Zxid(14));
        assert_eq!(quorums.agreed(Zxid(14), &held(&[(1, 15), (2, 15), (3, 15)])), None);
        assert_eq!(quorums.agreed(Zxid(14), &held(&[(4, 15), (5, 15)])), Some(Zxid(15)));
    }
}
