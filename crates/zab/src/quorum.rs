//! What is enough: majorities, weights in groups, and two configurations at a time.

use std::collections::{BTreeMap, BTreeSet};

use oxherd_proto::ServerId;

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

    /// Remembers a proposed configuration; whether it is news.
    pub(crate) fn see(&mut self, config: EnsembleConfig) -> bool {
        let news = config.version > self.newest().version;
        if news {
            self.seen = Some(config);
        }
        news
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
}
