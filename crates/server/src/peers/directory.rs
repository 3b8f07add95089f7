//! Where members can be found, by the ensemble in force and by one that was proposed after it.

use std::collections::BTreeMap;

use oxherd_proto::ServerId;
use oxherd_zab::{EnsembleConfig, PeerAddress};

/// The addresses of all members that are known.
///
/// A change that moves a member may be proposed for long before it is in force, and the member itself may never hear
/// that it is: it then listens at its former address.
// Java: QuorumPeer.quorumVerifier, lastSeenQuorumVerifier
#[derive(Debug)]
pub(super) struct Directory {
    /// Of the ensemble in force and of the ones before it: whoever has left may still be asked.
    active: BTreeMap<ServerId, Vec<PeerAddress>>,
    version: i64,
    /// A newer ensemble, proposed and not in force.
    seen: Option<EnsembleConfig>,
}

impl Directory {
    /// Of an ensemble, and the one that was proposed after it.
    pub(super) fn new(active: &EnsembleConfig, seen: Option<EnsembleConfig>) -> Self {
        let mut directory = Self { active: BTreeMap::new(), version: active.version, seen: None };
        directory.activate(active);
        if let Some(seen) = seen {
            directory.see(seen);
        }
        directory
    }

    /// An ensemble was proposed, in the place of one that was proposed before; one that is no newer than the one in
    /// force says that the change was given up.
    pub(super) fn see(&mut self, config: EnsembleConfig) {
        self.seen = Some(config).filter(|config| config.version > self.version);
    }

    /// An ensemble is in force.
    pub(super) fn activate(&mut self, config: &EnsembleConfig) {
        self.version = config.version;
        self.seen = self.seen.take().filter(|seen| seen.version > config.version);
        let members = config.members.iter();
        self.active.extend(members.map(|(server, member)| (*server, member.addresses.clone())));
    }

    /// Where a server listens by the ensemble in force.
    pub(super) fn active(&self, server: ServerId) -> Vec<PeerAddress> {
        self.active.get(&server).cloned().unwrap_or_default()
    }

    /// Where a server may be found: where the ensemble in force has it first, then where the proposed one has it.
    // Java: QuorumCnxManager.connectOne; Learner.findLeader, which knows the ensemble in force alone
    pub(super) fn all(&self, server: ServerId) -> Vec<PeerAddress> {
        let mut addresses = self.active(server);
        let seen = self.seen.as_ref().and_then(|seen| seen.members.get(&server));
        for address in seen.into_iter().flat_map(|member| &member.addresses) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }
}
