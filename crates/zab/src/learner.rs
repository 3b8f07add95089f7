//! A follower or an observer in broadcast.
//!
//! A proposal is appended, acknowledged when durable, and delivered when committed too. Anything out of
//! order costs the link, never the process.
// Java: Follower.processPacket, Observer.processPacket

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{Epoch, Id, OpCode, PacketType, QuorumPacket, ServerId, SessionId, Zxid};

use crate::catch_up::{self, CaughtUp};
use crate::discovery::{Parting, Upstream};
use crate::history::History;
use crate::io::{LinkId, Output, Role};
use crate::leader::LearnerCounts;
use crate::local::Local;
use crate::observer_master::{ObserverMaster, Upward};
use crate::packet;
use crate::storage::StorageEvent;

/// Who waits for a sync.
#[derive(Clone, Copy, Debug)]
enum SyncOrigin {
    Own(u64),
    Observer(LinkId),
}

#[derive(Debug)]
pub(crate) struct Learner {
    pub(crate) upstream: Upstream,
    pub(crate) epoch: Epoch,
    /// Acknowledges proposals; an observer hears of what is committed only.
    follows: bool,
    /// Proposals that were appended and owe an ACK.
    unacked: VecDeque<Zxid>,
    /// Sessions heard of since the last ping, with their timeouts.
    touched: BTreeMap<SessionId, i32>,
    /// Syncs under way; the leader answers in order.
    syncs: VecDeque<SyncOrigin>,
    master: Option<ObserverMaster>,
}

impl Learner {
    pub(crate) fn start(caught_up: CaughtUp, local: &mut Local) -> Self {
        let CaughtUp { upstream, epoch, held } = caught_up;
        let follows = !local.is_observer();
        let serves = follows && local.config.observer_master;
        let leader = upstream.leader;
        let role =
            if follows { Role::Following { leader, epoch } } else { Role::Observing { leader, epoch } };
        local.set_role(role);
        let mut learner = Self {
            upstream,
            epoch,
            follows,
            unacked: VecDeque::new(),
            touched: BTreeMap::new(),
            syncs: VecDeque::new(),
            master: serves.then(|| ObserverMaster::start(epoch, local)),
        };
        for each in held {
            learner.append(each.zxid, each.payload, local);
            if each.committed {
                learner.commit_through(each.zxid, local);
            }
        }
        learner
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.master.as_ref().map(ObserverMaster::timeout)
    }

    pub(crate) fn tick(&mut self, local: &mut Local) {
        if let Some(master) = &mut self.master {
            master.tick(local);
        }
    }

    pub(crate) fn master(&mut self) -> Option<&mut ObserverMaster> {
        self.master.as_mut()
    }

    /// The observers that this follower serves.
    pub(crate) fn observers(&self) -> LearnerCounts {
        self.master.as_ref().map(ObserverMaster::counts).unwrap_or_default()
    }

    pub(crate) fn is_master(&self) -> bool {
        self.master.is_some()
    }

    pub(crate) fn serves(&self, link: LinkId) -> bool {
        self.master.as_ref().is_some_and(|master| master.has(link))
    }

    pub(crate) fn close(self, local: &mut Local) {
        if let Some(master) = self.master {
            master.close(local);
        }
    }

    pub(crate) fn packet(&mut self, packet: QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        self.upstream.heard = local.now();
        match (packet.kind, self.follows) {
            (PacketType::Ping, _) => self.ping(packet.zxid, local),
            (PacketType::Proposal, true) => self.proposal(packet, local)?,
            (PacketType::Commit, true) => self.commit(packet.zxid, local)?,
            (PacketType::CommitAndActivate, true) => self.commit_and_activate(&packet, local)?,
            (PacketType::Inform | PacketType::InformAndActivate, false) => self.inform(packet, local)?,
            // Java observers pass these over too.
            (PacketType::Proposal | PacketType::Commit, false) | (PacketType::UpToDate, _) => {}
            (PacketType::Sync, _) => self.sync_reached(local),
            (PacketType::Revalidate, _) => self.revalidated(&packet, local)?,
            (other, _) => return Err(Parting::misbehaved(format!("{other:?} in broadcast"))),
        }
        Ok(())
    }

    fn sync_reached(&mut self, local: &mut Local) {
        match (self.syncs.pop_front(), &self.master) {
            (Some(SyncOrigin::Own(token)), _) => local.out.push_back(Output::SyncReached { token }),
            (Some(SyncOrigin::Observer(link)), Some(master)) => master.answer_sync(link, local),
            _ => {}
        }
    }

    // Java: Learner.ping
    fn ping(&mut self, zxid: Zxid, local: &mut Local) {
        let answer = packet::touches(zxid, std::mem::take(&mut self.touched));
        local.send(self.upstream.link, answer);
    }

    fn proposal(&mut self, packet: QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let zxid = packet.zxid;
        let payload = packet.data.unwrap_or_default();
        self.check_next(zxid, &payload, local)?;
        catch_up::see_reconfig(&payload, local);
        self.append(zxid, payload, local);
        Ok(())
    }

    fn check_next(&self, zxid: Zxid, payload: &Bytes, local: &Local) -> Result<(), Parting> {
        if !packet::is_txn(payload, zxid) {
            return Err(Parting::misbehaved(format!("proposal {zxid} holds another txn or none")));
        }
        let last = local.history.appended();
        if !History::may_follow(last, zxid) || zxid.epoch() != self.epoch {
            return Err(Parting::misbehaved(format!("proposal {zxid} after {last}")));
        }
        Ok(())
    }

    fn append(&mut self, zxid: Zxid, payload: Bytes, local: &mut Local) {
        if self.follows {
            self.unacked.push_back(zxid);
        }
        local.append(zxid, payload);
    }

    fn commit(&mut self, zxid: Zxid, local: &mut Local) -> Result<(), Parting> {
        let next = local.history.first_uncommitted().map(|(zxid, _)| *zxid);
        if next != Some(zxid) {
            let next = next.map_or_else(|| "none".to_owned(), |next| next.to_string());
            let reason = format!("COMMIT {zxid}, but the next proposal is {next}");
            return Err(Parting::misbehaved(reason));
        }
        self.commit_through(zxid, local);
        Ok(())
    }

    fn commit_through(&mut self, zxid: Zxid, local: &mut Local) {
        if let Some(master) = &mut self.master {
            master.commit(zxid, None, local);
        }
        local.commit(zxid);
    }

    fn commit_and_activate(&mut self, packet: &QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let zxid = packet.zxid;
        let (designated, _) =
            packet::split_activate(packet).ok_or_else(|| Parting::misbehaved("a torn COMMITANDACTIVATE"))?;
        let next = local.history.first_uncommitted().cloned();
        let Some((_, payload)) = next.filter(|(next, _)| *next == zxid) else {
            return self.commit(zxid, local);
        };
        if let Some(master) = &mut self.master {
            master.commit(zxid, Some(designated), local);
        }
        local.commit(zxid);
        catch_up::activate(&payload, Some(ServerId(designated)), local)
    }

    fn inform(&mut self, packet: QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let zxid = packet.zxid;
        let activates = packet.kind == PacketType::InformAndActivate;
        let (designated, payload) = if activates {
            packet::split_activate(&packet).ok_or_else(|| Parting::misbehaved("a torn INFORMANDACTIVATE"))?
        } else {
            (0, packet.data.unwrap_or_default())
        };
        if zxid <= local.history.appended() {
            return Ok(());
        }
        self.check_next(zxid, &payload, local)?;
        self.append(zxid, payload.clone(), local);
        local.commit(zxid);
        if activates {
            catch_up::activate(&payload, Some(ServerId(designated)), local)?;
        }
        Ok(())
    }

    fn revalidated(&mut self, packet: &QuorumPacket, local: &mut Local) -> Result<(), Parting> {
        let (session, valid) =
            packet::read_revalidated(packet).ok_or_else(|| Parting::misbehaved("a torn REVALIDATE"))?;
        if let Some(master) = &mut self.master
            && let Some(timeout_ms) = master.revalidated(session, valid, local)
        {
            if valid {
                self.touched.insert(session, timeout_ms);
            }
            return Ok(());
        }
        local.out.push_back(Output::Revalidated { session, valid });
        Ok(())
    }

    /// Storage has answered: what is durable now is acknowledged.
    // Java: SendAckRequestProcessor
    pub(crate) fn stored(&mut self, event: &StorageEvent, local: &mut Local) {
        let logged = local.history.logged();
        while self.unacked.front().is_some_and(|zxid| *zxid <= logged) {
            if let Some(zxid) = self.unacked.pop_front() {
                local.send(self.upstream.link, packet::plain(PacketType::Ack, zxid));
            }
        }
        if let (Some(master), StorageEvent::LogRead { .. }) = (&mut self.master, event) {
            master.stored(event, local);
        }
    }

    pub(crate) fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        self.touched.insert(session, timeout_ms);
    }

    pub(crate) fn forward(&self, data: Bytes, authinfo: Vec<Id>, local: &mut Local) {
        let (kind, zxid) = (PacketType::Request, Zxid(-1));
        let packet = QuorumPacket { kind, zxid, data: Some(data), authinfo: Some(authinfo) };
        local.send(self.upstream.link, packet);
    }

    pub(crate) fn sync(&mut self, token: u64, data: Bytes, authinfo: Vec<Id>, local: &mut Local) {
        self.syncs.push_back(SyncOrigin::Own(token));
        self.forward(data, authinfo, local);
    }

    pub(crate) fn revalidate(&self, session: SessionId, timeout_ms: i32, local: &mut Local) {
        local.send(self.upstream.link, packet::revalidate(session, timeout_ms));
    }

    /// A packet from an observer that this follower serves.
    pub(crate) fn observer_packet(&mut self, link: LinkId, packet: QuorumPacket, local: &mut Local) {
        let Some(master) = &mut self.master else { return };
        match master.packet(link, packet, local) {
            Some(Upward::Touched(sessions)) => self.touched.extend(sessions),
            Some(Upward::Request { data, authinfo }) => {
                if packet::request_op(&data) == Some(OpCode::Sync.code()) {
                    self.syncs.push_back(SyncOrigin::Observer(link));
                }
                self.forward(data, authinfo, local);
            }
            Some(Upward::Revalidate { session, timeout_ms }) => self.revalidate(session, timeout_ms, local),
            None => {}
        }
    }
}
