//! A leader that changes who belongs to the ensemble.
//!
//! The change is a txn like any other, but from its proposal on both quorums have a say, and its commit
//! puts it in force, here at once and at the learners with the packet that tells them. A leader that the
//! new ensemble does not know at its place names the next one and commits nothing more.
// Java: Leader.propose, Leader.tryToCommit

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use oxherd_proto::{ServerId, Zxid};

use crate::dynamic_config::EnsembleConfig;
use crate::leader::{Leader, Outcome};
use crate::learners::Stage;
use crate::local::Local;
use crate::packet;

/// From the commit to the end of a leader that hands over: its own client gets an answer first.
const FAREWELL: Duration = Duration::from_millis(10);

impl Leader {
    /// A proposal that changes the ensemble is remembered before it is logged.
    pub(crate) fn see_proposed(&mut self, zxid: Zxid, payload: &Bytes, local: &mut Local) {
        let config = packet::reconfig_text(payload).and_then(|text| EnsembleConfig::parse(&text).ok());
        if let Some(config) = config {
            local.see_config(config.clone());
            if local.members.is_changing() {
                self.quorums.propose(zxid, config);
            }
        }
    }

    /// Tells everybody that a txn is committed; the next leader when this one may commit nothing more.
    pub(crate) fn announce_commit(
        &mut self,
        zxid: Zxid,
        payload: &Bytes,
        local: &mut Local,
    ) -> Option<ServerId> {
        let config = packet::reconfig_text(payload).and_then(|text| EnsembleConfig::parse(&text).ok());
        let Some(config) = config else {
            self.learners.commit(zxid, payload, local);
            return None;
        };
        let designated = self.designated(zxid, &config, local);
        self.learners.commit_and_activate(zxid, designated, payload, local);
        self.quorums.activate(self.last);
        local.activate_config(config, Some(designated));
        (designated != local.me()).then_some(designated)
    }

    /// Who leads the new ensemble: this server when it keeps vote and address, else the voter that holds
    /// most of what is proposed.
    // Java: Leader.getDesignatedLeader
    pub(crate) fn designated(&self, zxid: Zxid, config: &EnsembleConfig, local: &Local) -> ServerId {
        let me = local.me();
        let place = config.voter_places(me);
        if place.is_some() && place == local.members.active().voter_places(me) {
            return me;
        }
        let synced = self.learners.iter().filter(|(_, learner)| learner.stage == Stage::Synced);
        let holders = synced.filter(|(_, learner)| learner.acked >= zxid && config.is_voter(learner.server));
        let best = holders.max_by_key(|(_, learner)| (learner.acked, std::cmp::Reverse(learner.server)));
        best.map_or(me, |(_, learner)| learner.server)
    }

    /// Voters of `config` that are up with this leader, itself included when it is one. Each has this leader's
    /// epoch on disk: joiners that are still learning have no vote, and if power were lost with the change proposed
    /// nobody could be elected any more.
    // Java: Leader.isQuorumSynced, which counts those that are still learning too
    pub(crate) fn synced_with(&self, config: &EnsembleConfig, local: &Local) -> BTreeSet<ServerId> {
        let mut servers = self.learners.synced(local);
        servers.insert(local.me());
        servers.retain(|server| config.is_voter(*server));
        servers
    }

    /// Leaves as soon as the change is told: what is not committed is for the next leader to decide.
    pub(crate) fn hand_over(&mut self, designated: ServerId, local: &Local) {
        self.leave_at(local.now() + FAREWELL, Outcome::GoTo(designated));
    }
}
