//! A follower that serves observers in the leader's place.
// Java: ObserverMaster

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{Epoch, Id, PacketType, QuorumPacket, SessionId, Zxid};

use crate::io::{CloseReason, LinkId};
use crate::leader::LearnerCounts;
use crate::learners::{LearnerEvent, Learners};
use crate::local::Local;
use crate::packet;
use crate::storage::StorageEvent;
use crate::synchronize::Bounds;

/// Questions about sessions that may wait for the leader's answer; more are dropped with their link.
const REVALIDATIONS_MAX: usize = 100_000;

/// What an observer wants from the leader.
#[derive(Debug)]
pub(crate) enum Upward {
    Touched(Vec<(SessionId, i32)>),
    Request { data: Bytes, authinfo: Vec<Id> },
    Revalidate { session: SessionId, timeout_ms: i32 },
}

#[derive(Debug)]
pub(crate) struct ObserverMaster {
    observers: Learners,
    epoch: Epoch,
    ping_at: Instant,
    /// Asked for observers, in the order of the questions.
    revalidations: VecDeque<(SessionId, i32, LinkId)>,
}

impl ObserverMaster {
    pub(crate) fn start(epoch: Epoch, local: &Local) -> Self {
        let observers = Learners::for_observers();
        let ping_at = local.now() + local.config.tick / 2;
        Self { observers, epoch, ping_at, revalidations: VecDeque::new() }
    }

    pub(crate) fn timeout(&self) -> Instant {
        self.ping_at
    }

    pub(crate) fn tick(&mut self, local: &mut Local) {
        let now = local.now();
        if now >= self.ping_at {
            self.ping_at = now + local.config.tick / 2;
            self.observers.ping(local.history.committed(), local);
        }
    }

    pub(crate) fn link_up(&mut self, link: LinkId, local: &Local) {
        self.observers.up(link, local);
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.observers.down(link);
    }

    pub(crate) fn tree_taken(&mut self, link: LinkId, local: &Local) {
        self.observers.tree_taken(link, local);
    }

    pub(crate) fn counts(&self) -> LearnerCounts {
        self.observers.counts()
    }

    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.observers.has(link)
    }

    pub(crate) fn close(self, local: &mut Local) {
        self.observers.close_all(local);
    }

    fn bounds(&self, local: &Local) -> Bounds {
        Bounds { committed: local.history.committed(), epoch: self.epoch }
    }

    /// An observer's packet; what must go on to the leader comes back.
    pub(crate) fn packet(&mut self, link: LinkId, packet: QuorumPacket, local: &mut Local) -> Option<Upward> {
        match self.observers.packet(link, packet, local)? {
            LearnerEvent::Hello { .. } => self.observers.announce(self.epoch, local),
            LearnerEvent::EpochAcked { .. } => {
                let bounds = self.bounds(local);
                self.observers.synchronize_ready(bounds, local);
            }
            LearnerEvent::Synced => self.observers.up_to_date(Some(link), local),
            LearnerEvent::Touched { sessions, .. } => return Some(Upward::Touched(sessions)),
            LearnerEvent::Request { data, authinfo } => return Some(Upward::Request { data, authinfo }),
            LearnerEvent::Revalidate { session, timeout_ms, .. } => {
                if self.revalidations.len() < REVALIDATIONS_MAX {
                    self.revalidations.push_back((session, timeout_ms, link));
                    return Some(Upward::Revalidate { session, timeout_ms });
                }
            }
            LearnerEvent::Acked => {
                let reason = CloseReason::Misbehaved("an observer acknowledged a txn".to_owned());
                self.observers.drop_link(link, reason, local);
            }
        }
        None
    }

    /// The leader's answer about a session; the timeout when the question was an observer's.
    pub(crate) fn revalidated(&mut self, session: SessionId, valid: bool, local: &mut Local) -> Option<i32> {
        let (asked, timeout_ms, link) = *self.revalidations.front()?;
        if asked != session {
            return None;
        }
        self.revalidations.pop_front();
        if self.observers.has(link) {
            local.send(link, packet::revalidated(session, valid));
        }
        Some(timeout_ms)
    }

    /// A txn is committed; called before the history knows.
    pub(crate) fn commit(&mut self, zxid: Zxid, designated: Option<i64>, local: &mut Local) {
        let Some((next, payload)) = local.history.first_uncommitted().cloned() else { return };
        assert_eq!(next, zxid, "commits come in order");
        let packet = match designated {
            None => packet::with_data(PacketType::Inform, zxid, payload),
            Some(designated) => {
                let data = [&designated.to_be_bytes()[..], &payload].concat();
                packet::with_data(PacketType::InformAndActivate, zxid, data.into())
            }
        };
        self.observers.relay(&packet, local);
    }

    pub(crate) fn stored(&mut self, event: &StorageEvent, local: &mut Local) {
        if let StorageEvent::LogRead { id, txns } = event {
            let bounds = self.bounds(local);
            self.observers.log_read(*id, txns.as_deref(), bounds, local);
        }
    }

    /// A sync that an observer asked for is reached.
    pub(crate) fn answer_sync(&self, link: LinkId, local: &mut Local) {
        if self.observers.has(link) {
            local.send(link, packet::plain(PacketType::Sync, Zxid::ZERO));
        }
    }
}
