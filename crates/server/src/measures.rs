//! What a member of an ensemble measures of its peers: proposals, ACKs, commits, elections.
//!
//! It looks at what goes into the replica and what comes out, so the core need not know of it.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use oxherd_metrics::{Metrics, Statistics};
use oxherd_proto::{PacketType, QuorumPacket, Zxid};
use oxherd_replica::{Input, Now, Output};
use oxherd_zab::{Role, StorageCommand, StorageEvent};

/// Where the time is in a txn header, after session, cxid and zxid.
const TIME_AT: std::ops::Range<usize> = 20..28;
/// Proposals remembered until they are committed; of more, the oldest are not measured.
const PROPOSALS_MAX: usize = 1 << 16;

/// What is remembered from turn to turn, under the replica's lock.
#[derive(Debug, Default)]
pub(crate) struct Measures {
    is_leading: bool,
    /// Zxid and time of the proposals that are not committed here yet.
    proposals: VecDeque<(Zxid, i64)>,
    looking_since: Option<Instant>,
    synchronizing_since: Option<Instant>,
    unavailable_since: Option<Instant>,
}

impl Measures {
    /// A member looks for a leader from the start.
    pub(crate) fn joined(&mut self, now: Instant, metrics: &Metrics) {
        self.looks(now, metrics);
    }

    fn looks(&mut self, now: Instant, metrics: &Metrics) {
        metrics.looking_count.add(1);
        self.looking_since = Some(now);
        self.synchronizing_since = None;
        self.unavailable_since.get_or_insert(now);
        self.proposals.clear();
    }

    /// Something goes into the replica.
    pub(crate) fn takes(&mut self, input: &Input, now: Now, metrics: &Metrics) {
        match input {
            Input::Peer(oxherd_zab::Input::Packet { packet, .. }) => self.hears(packet, now, metrics),
            // Java: SendAckRequestProcessor, AckRequestProcessor
            Input::Storage(StorageEvent::Synced(zxid)) => {
                let creation = &metrics.proposal_ack_creation_latency;
                self.up_to(*zxid).for_each(|time| creation.add_since(time, now));
            }
            _ => {}
        }
    }

    fn hears(&mut self, packet: &QuorumPacket, now: Now, metrics: &Metrics) {
        match packet.kind {
            // Java: Follower.processPacket
            PacketType::Proposal => {
                metrics.learner_proposal_received_count.add(1);
                let time = packet.data.as_ref().and_then(time_of);
                if let Some(time) = time {
                    metrics.proposal_latency.add_since(time, now);
                    self.remember(packet.zxid, time);
                }
            }
            // Java: FollowerZooKeeperServer.commit
            PacketType::Commit | PacketType::CommitAndActivate => {
                metrics.learner_commit_received_count.add(1);
                self.forget(packet.zxid, |time| metrics.commit_propagation_latency.add_since(time, now));
            }
            // Java: Observer.processPacket
            PacketType::Inform | PacketType::InformAndActivate => {
                metrics.learner_commit_received_count.add(1);
                if let Some(time) = packet.data.as_ref().and_then(time_of) {
                    metrics.commit_propagation_latency.add_since(time, now);
                }
            }
            PacketType::Revalidate if self.is_leading => metrics.revalidate_count.add(1),
            _ => {}
        }
    }

    /// Something comes out of the replica.
    pub(crate) fn does(&mut self, output: &Output, now: Now, statistics: &Statistics) {
        let metrics = &statistics.metrics;
        match output {
            // What a leader appends is what it proposes.
            // Java: Leader.propose
            Output::Storage(StorageCommand::Append { zxid, payload }) if self.is_leading => {
                metrics.proposal_count.add(1);
                statistics.proposal_sizes.add(i64::try_from(payload.len()).unwrap_or(i64::MAX));
                if let Some(time) = time_of(payload) {
                    self.remember(*zxid, time);
                }
            }
            // Java: LearnerHandler.run
            Output::Peer(oxherd_zab::Output::SendSnapshot { .. }) => metrics.snap_count.add(1),
            Output::Peer(oxherd_zab::Output::Send { packet, .. })
                if matches!(packet.kind, PacketType::Diff | PacketType::Trunc) =>
            {
                metrics.diff_count.add(1);
            }
            Output::Role(role) => self.becomes(*role, now.instant, metrics),
            _ => {}
        }
    }

    /// The tree is as of this txn.
    // Java: Leader.tryToCommit
    pub(crate) fn applied(&mut self, zxid: Zxid, now: Now, metrics: &Metrics) {
        if self.is_leading {
            self.forget(zxid, |time| {
                metrics.commit_count.add(1);
                metrics.quorum_ack_latency.add_since(time, now);
            });
        }
    }

    // Java: Leader.lead, Follower.followLeader, QuorumPeer.setZabState
    fn becomes(&mut self, role: Role, now: Instant, metrics: &Metrics) {
        self.is_leading = matches!(role, Role::Leading { .. });
        match role {
            Role::Looking => return self.looks(now, metrics),
            Role::Synchronizing { .. } => {
                if let Some(since) = self.looking_since.take() {
                    metrics.election_time.add(ms(since, now));
                }
                self.synchronizing_since.get_or_insert(now);
                return;
            }
            Role::ReadOnly | Role::Stopped { .. } => return,
            Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. } => {}
        }
        let synchronized = self.synchronizing_since.take().map(|since| ms(since, now));
        match role {
            Role::Following { .. } => {
                synchronized.iter().for_each(|&took| metrics.follower_sync_time.add(took))
            }
            Role::Observing { .. } => {
                synchronized.iter().for_each(|&took| metrics.observer_sync_time.add(took))
            }
            _ => {}
        }
        if let Some(since) = self.unavailable_since.take() {
            metrics.unavailable_time.add(ms(since, now));
            if self.is_leading {
                metrics.leader_unavailable_time.add(ms(since, now));
            }
        }
    }

    fn remember(&mut self, zxid: Zxid, time: i64) {
        if self.proposals.len() == PROPOSALS_MAX {
            self.proposals.pop_front();
        }
        self.proposals.push_back((zxid, time));
    }

    fn up_to(&self, zxid: Zxid) -> impl Iterator<Item = i64> + '_ {
        self.proposals.iter().take_while(move |(at, _)| *at <= zxid).map(|(_, time)| *time)
    }

    fn forget(&mut self, zxid: Zxid, mut each: impl FnMut(i64)) {
        while let Some((_, time)) = self.proposals.pop_front_if(|(at, _)| *at <= zxid) {
            each(time);
        }
    }
}

/// Measures from a moment that the leader noted: two clocks are compared, so it may come out negative.
// Java: Request.logLatency
trait Latency {
    fn add_since(&self, unix_ms: i64, now: Now);
}

impl Latency for oxherd_metrics::Percentiles {
    fn add_since(&self, unix_ms: i64, now: Now) {
        let took = now.unix_ms - unix_ms;
        if took >= 0 {
            self.add(took);
        }
    }
}

/// The time in a txn's header, ms since 1970.
fn time_of(payload: &Bytes) -> Option<i64> {
    let bytes = payload.get(TIME_AT)?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

fn ms(since: Instant, now: Instant) -> i64 {
    i64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(i64::MAX)
}
