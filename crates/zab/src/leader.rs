//! A leader: founds its epoch, synchronizes a quorum, then broadcasts.
//!
//! The stages follow each other only in the handlers of what they wait for: a quorum has called, the
//! accepted epoch is durable, a quorum has accepted it, the current epoch is durable, a quorum holds
//! this history.
// Java: Leader.lead

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{Epoch, PacketType, QuorumPacket, ServerId, SessionId, Zxid};

use crate::discovery::Gathering;
use crate::io::{CloseReason, LinkId, Output, Role};
use crate::learners::{LearnerEvent, LearnerLink, Learners, Stage as LearnerStage};
use crate::local::Local;
use crate::packet;
use crate::quorum::Quorums;
use crate::storage::{StorageCommand, StorageEvent};
use crate::synchronize::Bounds;
use crate::transfer::Transfer;

/// How many learners a leader has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnerCounts {
    /// With a link.
    pub connected: usize,
    /// Voters that hold the leader's history.
    pub synced_voters: usize,
    /// Others that do.
    pub synced_observers: usize,
    /// Of the first, those that the configuration in force gives no vote.
    pub synced_non_voters: usize,
}

/// What becomes of the leader after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stay,
    /// It leads no longer.
    Look,
    /// It leads no longer, and this server does.
    GoTo(ServerId),
    /// It ends.
    Stop,
}

#[derive(Debug)]
enum Stage {
    /// Waits for a quorum to call.
    Gathering(Gathering),
    /// The accepted epoch is on its way to the disk.
    StoringAccepted,
    /// Waits for a quorum to accept the epoch.
    Accepting(BTreeSet<ServerId>),
    /// The current epoch is on its way to the disk.
    StoringCurrent,
    /// Waits for a quorum to hold this history.
    Synchronizing,
    /// Established.
    Broadcast,
}

/// Who waits for a sync.
#[derive(Clone, Copy, Debug)]
enum SyncOrigin {
    Own(u64),
    Learner(LinkId),
}

/// A leader on its way out: nothing new is proposed.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    outcome: Outcome,
    /// When it no longer waits for the others.
    until: Instant,
}

#[derive(Debug)]
pub(crate) struct Leader {
    pub(crate) learners: Learners,
    stage: Stage,
    epoch: Epoch,
    /// Last proposed; the epoch's start before the first.
    pub(crate) last: Zxid,
    /// Who must hold a proposal before it is committed.
    pub(crate) quorums: Quorums,
    /// When the stage must have been passed.
    deadline: Option<Instant>,
    ping_at: Option<Instant>,
    /// Every second ping counts the quorum.
    counts: bool,
    syncs: VecDeque<(Zxid, SyncOrigin)>,
    leaving: Option<Leaving>,
    /// To whom it makes way.
    pub(crate) transfer: Option<Transfer>,
    /// A server without an ensemble.
    alone: bool,
    // Java: Leader.propose, which goes no further either
    counter_max: u32,
}

impl Leader {
    /// A server that leads nobody but itself, at once.
    pub(crate) fn alone(local: &mut Local) -> Self {
        let last = local.history.appended();
        local.set_role(Role::Leading { epoch: last.epoch() });
        Self {
            stage: Stage::Broadcast,
            last,
            epoch: last.epoch(),
            quorums: Quorums::new(local.members.active().clone()),
            alone: true,
            ..Self::empty(local.config.counter_max)
        }
    }

    /// A server that was elected.
    pub(crate) fn start(local: &mut Local) -> Self {
        assert!(local.is_settled(), "leading rests on the durable log");
        local.set_role(Role::Synchronizing { leader: local.me() });
        let highest = local.accepted_epoch.max(local.heard_epoch);
        let gathering = Gathering::new(local.me(), highest);
        let now = local.now();
        let mut leader = Self {
            stage: Stage::Gathering(gathering),
            deadline: Some(now + local.config.init_time()),
            ping_at: Some(now + local.config.tick / 2),
            ..Self::empty(local.config.counter_max)
        };
        leader.try_epoch(local);
        leader
    }

    fn empty(counter_max: u32) -> Self {
        Self {
            learners: Learners::default(),
            stage: Stage::Broadcast,
            epoch: Epoch(0),
            last: Zxid::ZERO,
            quorums: Quorums::default(),
            deadline: None,
            ping_at: None,
            counts: false,
            syncs: VecDeque::new(),
            leaving: None,
            transfer: None,
            alone: false,
            counter_max,
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        let leaving = self.leaving.map(|leaving| leaving.until);
        [self.deadline, self.ping_at, leaving].into_iter().flatten().min()
    }

    pub(crate) fn link_up(&mut self, link: LinkId, local: &mut Local) {
        self.learners.up(link, local);
    }

    /// Another server looks for a leader. If it had elected this one, which waits for its quorum for long
    /// already, this one looks again too.
    // Java: Leader.reportLookingSid
    pub(crate) fn is_left(&self, by: ServerId, local: &Local) -> bool {
        let (Stage::Gathering(_), Some(wait), Some(deadline)) =
            (&self.stage, local.config.epoch_wait, self.deadline)
        else {
            return false;
        };
        local.elected_by.contains(&by) && local.now() + local.config.init_time() > deadline + wait
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        self.learners.down(link);
    }

    pub(crate) fn tree_taken(&mut self, link: LinkId, local: &Local) {
        self.learners.tree_taken(link, local);
    }

    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.learners.has(link)
    }

    pub(crate) fn close(self, local: &mut Local) {
        self.learners.close_all(local);
    }

    pub(crate) fn packet(&mut self, link: LinkId, packet: QuorumPacket, local: &mut Local) -> Outcome {
        let Some(event) = self.learners.packet(link, packet, local) else { return Outcome::Stay };
        match event {
            LearnerEvent::Hello { server, observer, accepted } => {
                self.hello(server, observer, accepted, local);
            }
            LearnerEvent::EpochAcked { server, current, last } => {
                self.epoch_acked(link, server, current, last, local);
            }
            LearnerEvent::Synced => self.learner_synced(link, local),
            LearnerEvent::Acked => self.try_commit(local),
            LearnerEvent::Touched { sessions, .. } if sessions.is_empty() => {}
            LearnerEvent::Touched { server, sessions } => {
                local.out.push_back(Output::Touched { server, sessions });
            }
            LearnerEvent::Request { data, authinfo } => {
                local.out.push_back(Output::Request { link, data, authinfo });
            }
            LearnerEvent::Revalidate { server, session, timeout_ms } => {
                local.out.push_back(Output::Revalidate { link, server, session, timeout_ms });
            }
        }
        self.outcome(local)
    }

    fn hello(&mut self, server: ServerId, observer: bool, accepted: Epoch, local: &mut Local) {
        match &mut self.stage {
            Stage::Gathering(gathering) => {
                gathering.hello(server, observer, accepted);
                self.try_epoch(local);
            }
            Stage::StoringAccepted => {}
            _ => {
                // A voter that accepted a later epoch can never follow this one: make a newer one.
                if !observer && accepted > self.epoch && local.members.active().is_voter(server) {
                    local.heard_epoch = local.heard_epoch.max(accepted);
                    self.leave(Outcome::Look, local);
                }
                self.learners.announce(self.epoch, local);
            }
        }
    }

    // Java: Leader.getEpochToPropose
    fn try_epoch(&mut self, local: &mut Local) {
        let Stage::Gathering(gathering) = &self.stage else { return };
        let Some(epoch) = gathering.decide(&local.members) else { return };
        self.epoch = epoch;
        self.last = Zxid::new(epoch, 0);
        self.stage = Stage::StoringAccepted;
        local.command(StorageCommand::StoreAcceptedEpoch(epoch));
    }

    // Java: Leader.waitForEpochAck
    fn epoch_acked(
        &mut self,
        link: LinkId,
        server: ServerId,
        current: Option<Epoch>,
        last: Zxid,
        local: &mut Local,
    ) {
        let Stage::Accepting(accepted) = &mut self.stage else { return self.synchronize(local) };
        let Some(current) = current else { return };
        // Who votes in a proposed ensemble alone may have what the others never agreed on: their votes elected a leader
        // that has all they did agree on. It is cut to that.
        let elects = local.members.active().voters().any(|voter| voter == server);
        if elects && (current, last) > (local.current_epoch, local.last_zxid()) {
            let reason = format!("server {server} is ahead of the leader: epoch {current}, zxid {last}");
            return self.learners.drop_link(link, CloseReason::Misbehaved(reason), local);
        }
        if last != Zxid(-1) {
            accepted.insert(server);
        }
        self.try_accepted(local);
    }

    fn try_accepted(&mut self, local: &mut Local) {
        let Stage::Accepting(accepted) = &self.stage else { return };
        if local.members.is_quorum(accepted) {
            self.stage = Stage::StoringCurrent;
            local.command(StorageCommand::StoreCurrentEpoch(self.epoch));
        }
    }

    /// Storage has answered; what it made durable is already in `local`.
    pub(crate) fn stored(&mut self, event: &StorageEvent, local: &mut Local) -> Outcome {
        match event {
            StorageEvent::Synced(_) => self.try_commit(local),
            StorageEvent::AcceptedEpochStored(_) if matches!(self.stage, Stage::StoringAccepted) => {
                self.stage = Stage::Accepting(BTreeSet::from([local.me()]));
                self.deadline = Some(local.now() + local.config.init_time());
                self.learners.announce(self.epoch, local);
                self.try_accepted(local);
            }
            StorageEvent::CurrentEpochStored(_) if matches!(self.stage, Stage::StoringCurrent) => {
                self.stage = Stage::Synchronizing;
                self.deadline = Some(local.now() + local.config.init_time());
                self.see_first_config(local);
                self.synchronize(local);
                self.try_establish(local);
            }
            StorageEvent::LogRead { id, txns } => {
                let bounds = self.bounds(local);
                self.learners.log_read(*id, txns.as_deref(), bounds, local);
            }
            _ => {}
        }
        self.outcome(local)
    }

    /// A configuration from a file gets its version with the first leader, where changes are enabled.
    fn see_first_config(&self, local: &mut Local) {
        if local.members.newest().version == 0 {
            let mut config = local.members.active().clone();
            config.version = Zxid::new(self.epoch, 0).0;
            local.see_config(config);
        }
    }

    fn bounds(&self, local: &Local) -> Bounds {
        let established = matches!(self.stage, Stage::Broadcast);
        let history = &local.history;
        let committed = if established { history.committed() } else { history.appended() };
        Bounds { committed, epoch: self.epoch }
    }

    fn synchronize(&mut self, local: &mut Local) {
        if matches!(self.stage, Stage::Synchronizing | Stage::Broadcast) {
            let bounds = self.bounds(local);
            self.learners.synchronize_ready(bounds, local);
        }
    }

    fn learner_synced(&mut self, link: LinkId, local: &mut Local) {
        match self.stage {
            Stage::Broadcast => {
                self.learners.up_to_date(Some(link), local);
                self.try_commit(local);
            }
            _ => self.try_establish(local),
        }
    }

    // Java: Leader.startZkServer
    fn try_establish(&mut self, local: &mut Local) {
        let mut holders = self.synced_voters();
        holders.insert(local.me());
        if !matches!(self.stage, Stage::Synchronizing) || !local.members.is_quorum(&holders) {
            return;
        }
        self.stage = Stage::Broadcast;
        self.deadline = None;
        local.commit(local.history.appended());
        let newest = local.members.newest().clone();
        self.quorums = Quorums::new(newest.clone());
        let designated = self.designated(Zxid(i64::MIN), &newest, local);
        let moved = local.activate_config(newest, Some(designated));
        local.learned();
        local.vote.epoch = self.epoch;
        local.set_role(Role::Leading { epoch: self.epoch });
        self.learners.up_to_date(None, local);
        if moved {
            self.leave(Outcome::Look, local);
        }
    }

    // Java: Leader.getNonVotingFollowers
    pub(crate) fn counts(&self, local: &Local) -> LearnerCounts {
        let active = local.members.active();
        let synced = |learner: &&LearnerLink| !learner.observer && learner.stage == LearnerStage::Synced;
        let followers = self.learners.iter().map(|(_, learner)| learner).filter(synced);
        let synced_non_voters = followers.filter(|learner| !active.is_voter(learner.server)).count();
        LearnerCounts { synced_non_voters, ..self.learners.counts() }
    }

    fn synced_voters(&self) -> BTreeSet<ServerId> {
        let synced = self.learners.iter().filter(|(_, learner)| learner.stage == LearnerStage::Synced);
        synced.filter(|(_, learner)| !learner.observer).map(|(_, learner)| learner.server).collect()
    }

    pub(crate) fn next_zxid(&self) -> Option<Zxid> {
        if !matches!(self.stage, Stage::Broadcast) || self.leaving.is_some() {
            return None;
        }
        let is_last = self.last.counter() >= self.counter_max;
        match (is_last, self.alone) {
            (false, _) => Some(self.last.next()),
            (true, true) => Some(Zxid::new(Epoch(self.last.epoch().0 + 1), 1)),
            (true, false) => None,
        }
    }

    pub(crate) fn propose(&mut self, zxid: Zxid, payload: Bytes, local: &mut Local) {
        assert_eq!(Some(zxid), self.next_zxid(), "proposals are contiguous");
        self.last = zxid;
        self.see_proposed(zxid, &payload, local);
        self.learners.propose(zxid, &payload, local);
        local.append(zxid, payload);
        if self.next_zxid().is_none() {
            self.leave(Outcome::Look, local);
        }
    }

    // Java: Leader.tryToCommit
    fn try_commit(&mut self, local: &mut Local) {
        if !matches!(self.stage, Stage::Broadcast) || self.is_gone() {
            return;
        }
        let Some(zxid) = self.agreed(local) else { return };
        let before = local.history.committed();
        let txns: Vec<_> = local.history.undelivered(before, zxid).cloned().collect();
        for (zxid, payload) in &txns {
            let next_leader = self.announce_commit(*zxid, payload, local);
            self.answer_learners(*zxid, local);
            if let Some(next_leader) = next_leader {
                local.commit(*zxid);
                return self.hand_over(next_leader, local);
            }
        }
        local.commit(zxid);
        self.quorums.committed(zxid);
        self.release_syncs(local);
    }

    /// The last zxid that all quorums concerned hold, when that is news.
    fn agreed(&self, local: &Local) -> Option<Zxid> {
        let mut held = BTreeMap::from([(local.me(), local.history.logged())]);
        for (_, learner) in self.learners.iter() {
            if learner.stage == LearnerStage::Synced && !learner.observer {
                held.insert(learner.server, learner.acked);
            }
        }
        self.quorums.agreed(local.history.committed(), &held)
    }

    /// A sync of one of this server's own clients.
    pub(crate) fn sync(&mut self, token: u64, local: &mut Local) {
        self.syncs.push_back((self.last, SyncOrigin::Own(token)));
        self.release_syncs(local);
    }

    /// A sync that a learner asked for, in its place among that learner's requests.
    // Java: Leader.processSync
    pub(crate) fn answer_sync(&mut self, link: LinkId, local: &mut Local) {
        self.syncs.push_back((self.last, SyncOrigin::Learner(link)));
        self.release_syncs(local);
    }

    /// Learners hear of a sync right behind the commit it waited for: what they asked for later comes later.
    fn answer_learners(&mut self, committed: Zxid, local: &mut Local) {
        let mut due = Vec::new();
        self.syncs.retain(|(zxid, origin)| match origin {
            SyncOrigin::Learner(link) if *zxid <= committed => {
                due.push(*link);
                false
            }
            _ => true,
        });
        for link in due.into_iter().filter(|link| self.learners.has(*link)) {
            local.send(link, packet::plain(PacketType::Sync, Zxid::ZERO));
        }
    }

    fn release_syncs(&mut self, local: &mut Local) {
        let all = local.history.committed() == local.history.appended();
        while self.syncs.front().is_some_and(|(zxid, _)| all || *zxid <= local.history.committed()) {
            match self.syncs.pop_front() {
                Some((_, SyncOrigin::Own(token))) => local.out.push_back(Output::SyncReached { token }),
                Some((_, SyncOrigin::Learner(link))) if self.learners.has(link) => {
                    local.send(link, packet::plain(PacketType::Sync, Zxid::ZERO));
                }
                _ => {}
            }
        }
    }

    pub(crate) fn answer_revalidate(
        &mut self,
        link: LinkId,
        session: SessionId,
        valid: bool,
        local: &mut Local,
    ) {
        if self.learners.has(link) {
            local.send(link, packet::revalidated(session, valid));
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, local: &mut Local) -> Outcome {
        let now = local.now();
        if self.ping_at.is_some_and(|at| now >= at) {
            self.ping_at = Some(now + local.config.tick / 2);
            self.learners.ping(self.last, local);
            self.counts = !self.counts;
            if self.counts && !self.has_quorum(local) {
                return Outcome::Look;
            }
        }
        let founding = !matches!(self.stage, Stage::Broadcast);
        if founding && self.deadline.is_some_and(|at| now >= at) {
            return Outcome::Look;
        }
        self.outcome(local)
    }

    fn has_quorum(&self, local: &Local) -> bool {
        if !matches!(self.stage, Stage::Broadcast) {
            return true;
        }
        let mut heard = self.learners.alive(local);
        heard.insert(local.me());
        local.members.is_quorum(&heard) && self.quorums.can_end(&heard)
    }

    /// The operator wants the server to end: no new proposals, the rest is brought to the others.
    pub(crate) fn stop(&mut self, local: &mut Local) -> Outcome {
        if !matches!(self.stage, Stage::Broadcast) {
            return Outcome::Stop;
        }
        self.leave(Outcome::Stop, local);
        self.outcome(local)
    }

    /// Others shall lead, if they can without this server.
    pub(crate) fn make_way(&mut self, local: &mut Local) -> Outcome {
        let mut others = self.synced_voters();
        others.remove(&local.me());
        let is_free = matches!(self.stage, Stage::Broadcast) && self.leaving.is_none();
        if !is_free || !local.members.is_quorum(&others) {
            return Outcome::Stay;
        }
        self.leave(Outcome::Look, local);
        self.outcome(local)
    }

    pub(crate) fn leave(&mut self, outcome: Outcome, local: &Local) {
        let until = local.maybe_now().map(|now| now + local.config.tick);
        if let (Some(until), false) = (until, self.leaving.is_some_and(|old| old.outcome == Outcome::Stop)) {
            self.leaving = Some(Leaving { outcome, until });
        }
    }

    /// Leaves in a moment, whatever is on its way.
    pub(crate) fn leave_at(&mut self, until: Instant, outcome: Outcome) {
        self.leaving = Some(Leaving { outcome, until });
    }

    /// Whether it has handed over and commits nothing more.
    fn is_gone(&self) -> bool {
        self.leaving.is_some_and(|leaving| matches!(leaving.outcome, Outcome::GoTo(_)))
    }

    /// Whether a leaving leader may go: all is committed and each synchronized voter holds it.
    fn outcome(&mut self, local: &mut Local) -> Outcome {
        self.advance_transfer(local);
        let Some(leaving) = self.leaving else { return Outcome::Stay };
        if self.is_gone() || self.transfer.is_some() {
            return if local.now() >= leaving.until { leaving.outcome } else { Outcome::Stay };
        }
        let end = local.history.appended();
        let active = local.members.active();
        let voters = self.learners.iter().filter(|(_, learner)| active.is_voter(learner.server));
        let behind =
            voters.filter(|(_, learner)| learner.stage == LearnerStage::Synced && learner.acked < end);
        let done = local.history.committed() == end && local.is_settled() && behind.count() == 0;
        if done || local.now() >= leaving.until { leaving.outcome } else { Outcome::Stay }
    }
}
