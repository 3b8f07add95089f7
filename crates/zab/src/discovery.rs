//! A new epoch: FOLLOWERINFO, LEADERINFO, ACKEPOCH, from both ends.

use std::collections::BTreeSet;
use std::time::Instant;

use oxherd_proto::{Epoch, LearnerInfo, PacketType, QuorumPacket, ServerId, Zxid};

use crate::io::{CloseReason, LinkId};
use crate::local::Local;
use crate::packet;
use crate::quorum::Members;
use crate::storage::StorageCommand;

/// The leader's side: who has called, and the highest epoch they had accepted.
// Java: Leader.getEpochToPropose
#[derive(Debug)]
pub(crate) struct Gathering {
    callers: BTreeSet<ServerId>,
    highest: Epoch,
}

impl Gathering {
    pub(crate) fn new(me: ServerId, accepted: Epoch) -> Self {
        Self { callers: BTreeSet::from([me]), highest: accepted }
    }

    pub(crate) fn hello(&mut self, server: ServerId, observer: bool, accepted: Epoch) {
        self.highest = self.highest.max(accepted);
        if !observer {
            self.callers.insert(server);
        }
    }

    /// The new epoch, once a quorum has called.
    pub(crate) fn decide(&self, members: &Members) -> Option<Epoch> {
        members.is_quorum(&self.callers).then_some(Epoch(self.highest.0 + 1))
    }
}

/// A learner's link to its leader, with the time of the last packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstream {
    pub(crate) leader: ServerId,
    pub(crate) link: LinkId,
    pub(crate) heard: Instant,
}

/// Why a learner leaves its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parting {
    pub(crate) reason: CloseReason,
    /// A reconfiguration named the next leader; no election is needed.
    pub(crate) designated: Option<ServerId>,
}

impl Parting {
    pub(crate) fn misbehaved(reason: impl Into<String>) -> Self {
        Self { reason: CloseReason::Misbehaved(reason.into()), designated: None }
    }
}

/// The learner's side: it has called and learns the epoch.
// Java: Learner.registerWithLeader
#[derive(Debug)]
pub(crate) struct Discovering {
    pub(crate) upstream: Upstream,
    /// The epoch that is on its way to the disk.
    storing: Option<Epoch>,
}

impl Discovering {
    pub(crate) fn start(upstream: Upstream, local: &mut Local) -> Self {
        let info = LearnerInfo {
            server: local.me(),
            protocol_version: LearnerInfo::PROTOCOL_VERSION,
            config_version: local.members.active().version,
        };
        let kind = if local.is_observer() { PacketType::ObserverInfo } else { PacketType::FollowerInfo };
        let accepted = Zxid::new(local.accepted_epoch, 0);
        local.send(upstream.link, packet::with_data(kind, accepted, info.to_bytes()));
        Self { upstream, storing: None }
    }

    /// LEADERINFO. The epoch, when this ends discovery at once.
    pub(crate) fn packet(
        &mut self,
        packet: &QuorumPacket,
        local: &mut Local,
    ) -> Result<Option<Epoch>, Parting> {
        self.upstream.heard = local.now();
        if packet.kind != PacketType::LeaderInfo || self.storing.is_some() {
            return Err(Parting::misbehaved(format!("{:?} in discovery", packet.kind)));
        }
        let epoch = packet.zxid.epoch();
        if epoch < local.accepted_epoch {
            let reason = format!("epoch {epoch} is below the accepted {}", local.accepted_epoch);
            return Err(Parting::misbehaved(reason));
        }
        if epoch == local.accepted_epoch {
            // Accepted once already: it may not count a second time.
            local.send(self.upstream.link, packet::ack_epoch(local.last_zxid(), None));
            return Ok(Some(epoch));
        }
        self.storing = Some(epoch);
        local.command(StorageCommand::StoreAcceptedEpoch(epoch));
        Ok(None)
    }

    /// The accepted epoch is durable: only now may it be acknowledged.
    pub(crate) fn accepted_epoch_stored(&self, local: &mut Local) -> Option<Epoch> {
        let epoch = self.storing?;
        assert_eq!(epoch, local.accepted_epoch, "one epoch is stored at a time");
        let ack = packet::ack_epoch(local.last_zxid(), Some(local.current_epoch));
        local.send(self.upstream.link, ack);
        Some(epoch)
    }
}
