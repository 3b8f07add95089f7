//! The links of those who learn from this server: handshake, synchronization, liveness.
//!
//! Used by a leader, and by a follower that serves observers. What needs a decision of the ensemble
//! goes up as a [`LearnerEvent`].
// Java: LearnerHandler

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{Epoch, Id, LearnerInfo, PacketType, QuorumPacket, ServerId, SessionId, Zxid};

use crate::io::{CloseReason, LinkId};
use crate::leader::LearnerCounts;
use crate::local::Local;
use crate::packet;
use crate::storage::{ReadId, StorageCommand};
use crate::synchronize::{self, Bounds, Plan};

/// Most bytes that wait for one learner's ACK of NEWLEADER; more, and it has to come again.
const HELD_BYTES_MAX: usize = 512 << 20;
/// What a packet that waits takes beside its data, roughly.
const HELD_BYTES_EACH: usize = 96;

/// How far a learner has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Connected and silent.
    Hello,
    /// Waits for LEADERINFO.
    Epoch,
    /// Owes an ACKEPOCH.
    AckEpoch,
    /// Waits for the leader to be ready, its log ends here.
    Ready(Zxid),
    /// The log files are read for it.
    Reading(ReadId, Zxid),
    /// Gets all broadcasts, owes the ACK of NEWLEADER. From here on it is forwarded to.
    Synchronizing { snap: bool },
    /// Acknowledged NEWLEADER.
    Synced,
}

#[derive(Debug)]
pub(crate) struct LearnerLink {
    pub(crate) server: ServerId,
    pub(crate) observer: bool,
    pub(crate) stage: Stage,
    /// Durable there, as far as it said so on this link.
    pub(crate) acked: Zxid,
    /// A proposal that went to this learner alone.
    extra: Option<Zxid>,
    /// What the ACK of NEWLEADER will make durable there.
    brought_to: Zxid,
    /// What is proposed and committed behind NEWLEADER; it goes out behind UPTODATE.
    held: Vec<QuorumPacket>,
    held_bytes: usize,
    heard: Instant,
    slow: OldestUnacked,
}

impl LearnerLink {
    fn is_forwarded(&self) -> bool {
        matches!(self.stage, Stage::Synchronizing { .. } | Stage::Synced)
    }

    /// Sends a proposal or a commit. A follower that owes the ACK of NEWLEADER gets it behind UPTODATE: between the
    /// two the original stumbles. It falls over the COMMIT of a proposal that came before NEWLEADER, overlooks the
    /// change of an ensemble unless it is the first proposal, and takes the ensemble that NEWLEADER tells for the
    /// last one proposed. It would log and acknowledge nothing of it before UPTODATE anyway.
    // Java: Learner.syncWithLeader (ZOOKEEPER-4394), QuorumPeer.setLastSeenQuorumVerifier
    fn forward(&mut self, link: LinkId, packet: QuorumPacket, local: &mut Local) {
        if self.stage == Stage::Synced || self.observer {
            local.send(link, packet);
        } else {
            self.held_bytes += packet.data.as_ref().map_or(0, Bytes::len) + HELD_BYTES_EACH;
            self.held.push(packet);
        }
    }
}

/// Watches the age of proposals that were not acknowledged, with two marks instead of a queue.
// Java: LearnerHandler.SyncLimitCheck
#[derive(Debug, Default)]
struct OldestUnacked {
    oldest: Option<(Zxid, Instant)>,
    next: Option<(Zxid, Instant)>,
}

impl OldestUnacked {
    fn proposed(&mut self, zxid: Zxid, now: Instant) {
        if self.oldest.is_none() {
            self.oldest = Some((zxid, now));
        } else if self.next.is_none() {
            self.next = Some((zxid, now));
        }
    }

    fn acked(&mut self, zxid: Zxid) {
        if self.oldest.is_some_and(|(oldest, _)| oldest <= zxid) {
            self.oldest = self.next.take().filter(|(next, _)| *next > zxid);
        }
    }

    fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.oldest.is_some_and(|(_, since)| now > since + age)
    }
}

/// What a learner says that the ensemble must weigh.
#[derive(Debug)]
pub(crate) enum LearnerEvent {
    Hello {
        server: ServerId,
        observer: bool,
        accepted: Epoch,
    },
    /// `current` is `None` when the learner is not to be counted.
    EpochAcked {
        server: ServerId,
        current: Option<Epoch>,
        last: Zxid,
    },
    /// ACK of NEWLEADER.
    Synced,
    /// ACK of a txn.
    Acked,
    Touched {
        server: ServerId,
        sessions: Vec<(SessionId, i32)>,
    },
    Request {
        data: Bytes,
        authinfo: Vec<Id>,
    },
    Revalidate {
        server: ServerId,
        session: SessionId,
        timeout_ms: i32,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Learners {
    links: BTreeMap<LinkId, LearnerLink>,
    next_read: u64,
    epoch: Epoch,
    /// Whether learners may be served that vote.
    observers_only: bool,
}

impl Learners {
    pub(crate) fn for_observers() -> Self {
        Self { observers_only: true, ..Self::default() }
    }

    pub(crate) fn up(&mut self, link: LinkId, local: &Local) {
        let learner = LearnerLink {
            server: ServerId(-1),
            observer: true,
            stage: Stage::Hello,
            acked: Zxid::ZERO,
            extra: None,
            brought_to: Zxid::ZERO,
            held: Vec::new(),
            held_bytes: 0,
            heard: local.now(),
            slow: OldestUnacked::default(),
        };
        self.links.insert(link, learner);
    }

    pub(crate) fn down(&mut self, link: LinkId) -> bool {
        self.links.remove(&link).is_some()
    }

    pub(crate) fn has(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &LearnerLink)> {
        self.links.iter().map(|(link, learner)| (*link, learner))
    }

    pub(crate) fn counts(&self) -> LearnerCounts {
        let mut counts = LearnerCounts::default();
        for learner in self.links.values() {
            counts.connected += 1;
            let synced = usize::from(learner.stage == Stage::Synced);
            if learner.observer {
                counts.synced_observers += synced;
            } else {
                counts.synced_voters += synced;
            }
        }
        counts
    }

    pub(crate) fn close_all(self, local: &mut Local) {
        for link in self.links.into_keys() {
            local.close(link, CloseReason::RoleChanged);
        }
    }

    /// Ends one link for its own fault or silence.
    pub(crate) fn drop_link(&mut self, link: LinkId, reason: CloseReason, local: &mut Local) {
        self.links.remove(&link);
        local.close(link, reason);
    }

    /// A learner takes the tree: its time to acknowledge counts from the last part on. A tree may take longer than that
    /// to send, and a learner that was dropped for it would never get one.
    // Java: LearnerHandler.run, where the socket's timeout is for what is read
    pub(crate) fn tree_taken(&mut self, link: LinkId, local: &Local) {
        if let Some(learner) = self.links.get_mut(&link)
            && learner.stage == (Stage::Synchronizing { snap: true })
        {
            learner.heard = local.now();
        }
    }

    /// A packet; a bad one ends the link and nothing else.
    pub(crate) fn packet(
        &mut self,
        link: LinkId,
        packet: QuorumPacket,
        local: &mut Local,
    ) -> Option<LearnerEvent> {
        let learner = self.links.get_mut(&link)?;
        learner.heard = local.now();
        let stage = learner.stage;
        let kind = packet.kind;
        let event = match (stage, kind) {
            (Stage::Hello, PacketType::FollowerInfo | PacketType::ObserverInfo) => {
                self.hello(link, packet, local)
            }
            (Stage::AckEpoch, PacketType::AckEpoch) => Self::epoch_acked(learner, &packet),
            (Stage::Synchronizing { .. } | Stage::Synced, _) => {
                Self::synced_packet(learner, packet, self.epoch, local)
            }
            _ => Err(format!("{kind:?} in stage {stage:?}")),
        };
        match event {
            Ok(event) => event,
            Err(reason) => {
                self.drop_link(link, CloseReason::Misbehaved(reason), local);
                None
            }
        }
    }

    fn hello(
        &mut self,
        link: LinkId,
        packet: QuorumPacket,
        local: &mut Local,
    ) -> Result<Option<LearnerEvent>, String> {
        let observer = packet.kind == PacketType::ObserverInfo;
        if self.observers_only && !observer {
            return Err("only observers are served here".to_owned());
        }
        let info = LearnerInfo::decode(packet.data.unwrap_or_default()).map_err(|error| error.to_string())?;
        if info.protocol_version < LearnerInfo::PROTOCOL_VERSION {
            return Err(format!("learner protocol {:#x} is too old", info.protocol_version));
        }
        let active = local.members.active().version;
        if info.config_version > active {
            return Err(later_ensemble(info.server, info.config_version, active));
        }
        if info.server == local.me() {
            return Err(format!("server id {} is this server's own; check its myid", info.server));
        }
        let accepted = packet.zxid.epoch();
        if !(0..i64::from(i32::MAX)).contains(&accepted.0) {
            return Err(format!(
                "server {} accepted epoch {accepted}, which leaves none to come",
                info.server
            ));
        }
        let same_server = |(_, learner): &(&LinkId, &LearnerLink)| {
            learner.server == info.server && learner.stage != Stage::Hello
        };
        if let Some((former, _)) = self.links.iter().find(same_server) {
            let former = *former;
            let reason = format!("server {} connected again; do two servers share this id?", info.server);
            self.drop_link(former, CloseReason::Misbehaved(reason), local);
        }
        let learner = self.links.get_mut(&link).ok_or("gone")?;
        learner.server = info.server;
        learner.observer = observer;
        learner.stage = Stage::Epoch;
        Ok(Some(LearnerEvent::Hello { server: info.server, observer, accepted }))
    }

    fn epoch_acked(learner: &mut LearnerLink, packet: &QuorumPacket) -> Result<Option<LearnerEvent>, String> {
        let current = packet::acked_epoch(packet).ok_or("ACKEPOCH without an epoch")?;
        learner.stage = Stage::Ready(packet.zxid);
        Ok(Some(LearnerEvent::EpochAcked { server: learner.server, current, last: packet.zxid }))
    }

    fn synced_packet(
        learner: &mut LearnerLink,
        packet: QuorumPacket,
        epoch: Epoch,
        local: &Local,
    ) -> Result<Option<LearnerEvent>, String> {
        match packet.kind {
            PacketType::Ack => Self::ack(learner, packet.zxid, epoch, local),
            PacketType::Ping => {
                let sessions = packet::touched(&packet).ok_or("a torn touch table")?;
                Ok(Some(LearnerEvent::Touched { server: learner.server, sessions }))
            }
            PacketType::Revalidate => {
                let (session, timeout_ms) = packet::read_revalidate(&packet).ok_or("a torn REVALIDATE")?;
                Ok(Some(LearnerEvent::Revalidate { server: learner.server, session, timeout_ms }))
            }
            PacketType::Request => {
                let data = packet.data.unwrap_or_default();
                packet::request_op(&data).ok_or("a torn REQUEST")?;
                Ok(Some(LearnerEvent::Request { data, authinfo: packet.authinfo.unwrap_or_default() }))
            }
            other => Err(format!("{other:?} from a learner")),
        }
    }

    /// ACKs come in order and each stands for all before it. One with counter 0 is for NEWLEADER, and
    /// comes again after UPTODATE.
    fn ack(
        learner: &mut LearnerLink,
        zxid: Zxid,
        epoch: Epoch,
        local: &Local,
    ) -> Result<Option<LearnerEvent>, String> {
        if zxid.counter() == 0 {
            if zxid.epoch() != epoch {
                return Err(format!("ACK of NEWLEADER {zxid} in epoch {epoch}"));
            }
            if learner.stage == Stage::Synced {
                return Ok(None);
            }
            learner.stage = Stage::Synced;
            learner.acked = learner.acked.max(learner.brought_to);
            return Ok(Some(LearnerEvent::Synced));
        }
        if zxid > local.history.appended() && learner.extra != Some(zxid) {
            return Err(format!("ACK of {zxid}, which was never proposed"));
        }
        learner.acked = learner.acked.max(zxid);
        learner.slow.acked(zxid);
        Ok(Some(LearnerEvent::Acked))
    }

    /// Tells the epoch to all that wait for it.
    pub(crate) fn announce(&mut self, epoch: Epoch, local: &mut Local) {
        self.epoch = epoch;
        for (link, learner) in &mut self.links {
            if learner.stage == Stage::Epoch {
                learner.stage = Stage::AckEpoch;
                local.send(*link, packet::leader_info(epoch));
            }
        }
    }

    /// Starts the synchronization of all that wait for it.
    pub(crate) fn synchronize_ready(&mut self, bounds: Bounds, local: &mut Local) {
        let ready = |(link, learner): (&LinkId, &LearnerLink)| match learner.stage {
            Stage::Ready(last) => Some((*link, last)),
            _ => None,
        };
        let ready: Vec<_> = self.links.iter().filter_map(ready).collect();
        for (link, last) in ready {
            self.synchronize(link, last, bounds, local);
        }
    }

    fn synchronize(&mut self, link: LinkId, last: Zxid, bounds: Bounds, local: &mut Local) {
        let mut plan = match local.config.force_snapshot {
            true => Plan::Snap,
            false => Plan::choose(&local.history, bounds, last),
        };
        if plan == Plan::ReadLog && local.config.log_sync {
            let id = ReadId(self.next_read);
            self.next_read += 1;
            if let Some(learner) = self.links.get_mut(&link) {
                learner.stage = Stage::Reading(id, last);
            }
            let through = local.history.kept_after();
            return local.command(StorageCommand::ReadLog { id, from: last, through });
        }
        if plan == Plan::ReadLog {
            plan = Plan::Snap;
        }
        if self.begin(link, plan == Plan::Snap, local) {
            synchronize::send_committed(local, link, plan, bounds);
            self.finish(link, bounds, local);
        }
    }

    /// The log files were read: a diff when they lead to the kept txns without a gap, else a snapshot.
    pub(crate) fn log_read(
        &mut self,
        id: ReadId,
        txns: Option<&[(Zxid, Bytes)]>,
        bounds: Bounds,
        local: &mut Local,
    ) {
        let waits = |(link, learner): (&LinkId, &LearnerLink)| match learner.stage {
            Stage::Reading(read, last) if read == id => Some((*link, last)),
            _ => None,
        };
        let Some((link, last)) = self.links.iter().find_map(waits) else { return };
        let txns = txns.filter(|txns| synchronize::is_gap_free(&local.history, last, txns));
        if !self.begin(link, txns.is_none(), local) {
            return;
        }
        let Some(txns) = txns else {
            synchronize::send_committed(local, link, Plan::Snap, bounds);
            return self.finish(link, bounds, local);
        };
        let until = txns.last().map_or(last, |(zxid, _)| *zxid).min(bounds.committed);
        local.send(link, packet::plain(PacketType::Diff, bounds.committed));
        let missing: Vec<_> = txns[1..].iter().filter(|(zxid, _)| *zxid <= until).cloned().collect();
        synchronize::send_pairs(local, link, &missing);
        let kept = synchronize::kept_between(&local.history, until, bounds.committed);
        synchronize::send_pairs(local, link, &kept);
        self.finish(link, bounds, local);
    }

    /// Marks the learner as one that is forwarded to, unless too many observers are synchronized.
    fn begin(&mut self, link: LinkId, snap: bool, local: &mut Local) -> bool {
        let busy =
            self.links.values().filter(|learner| learner.stage == Stage::Synchronizing { snap }).count();
        let busy_max = if snap { local.config.snap_syncs_max } else { local.config.diff_syncs_max };
        let Some(learner) = self.links.get_mut(&link) else { return false };
        if learner.observer && busy >= busy_max {
            let reason = format!("{busy} synchronizations are under way already; come again");
            self.drop_link(link, CloseReason::TimedOut(reason), local);
            return false;
        }
        learner.stage = Stage::Synchronizing { snap };
        true
    }

    /// NEWLEADER; what is proposed and not committed follows behind UPTODATE.
    // Java: Leader.startForwarding
    fn finish(&mut self, link: LinkId, bounds: Bounds, local: &mut Local) {
        let Some(learner) = self.links.get_mut(&link) else { return };
        learner.brought_to = bounds.committed;
        if !learner.observer && !self.observers_only {
            let end = local.history.appended();
            for (zxid, payload) in synchronize::kept_between(&local.history, bounds.committed, end) {
                learner.forward(link, packet::with_data(PacketType::Proposal, zxid, payload), local);
            }
        }
        let config = Bytes::from(local.members.agreed_in(bounds.epoch).to_string());
        let start = Zxid::new(bounds.epoch, 0);
        local.send(link, packet::with_data(PacketType::NewLeader, start, config));
    }

    /// Ends the synchronization of all that acknowledged it, or of one.
    pub(crate) fn up_to_date(&mut self, one: Option<LinkId>, local: &mut Local) {
        for (link, learner) in &mut self.links {
            if learner.stage == Stage::Synced && one.is_none_or(|one| one == *link) {
                local.send(*link, packet::plain(PacketType::UpToDate, Zxid(-1)));
                std::mem::take(&mut learner.held).into_iter().for_each(|packet| local.send(*link, packet));
                learner.held_bytes = 0;
            }
        }
    }

    /// This learner alone gets this proposal.
    pub(crate) fn expect(&mut self, link: LinkId, zxid: Zxid) {
        if let Some(learner) = self.links.get_mut(&link) {
            learner.extra = Some(zxid);
        }
    }

    /// To every voter that is forwarded to.
    pub(crate) fn propose(&mut self, zxid: Zxid, payload: &Bytes, local: &mut Local) {
        let now = local.maybe_now();
        for (link, learner) in self.links.iter_mut().filter(|(_, learner)| !learner.observer) {
            if learner.is_forwarded() {
                let proposal = packet::with_data(PacketType::Proposal, zxid, payload.clone());
                learner.forward(*link, proposal, local);
            }
            if let (Stage::Synced, Some(now)) = (learner.stage, now) {
                learner.slow.proposed(zxid, now);
            }
        }
    }

    /// COMMIT to voters, INFORM to observers.
    pub(crate) fn commit(&mut self, zxid: Zxid, payload: &Bytes, local: &mut Local) {
        for (link, learner) in self.links.iter_mut().filter(|(_, learner)| learner.is_forwarded()) {
            let packet = if learner.observer {
                packet::with_data(PacketType::Inform, zxid, payload.clone())
            } else {
                packet::plain(PacketType::Commit, zxid)
            };
            learner.forward(*link, packet, local);
        }
    }

    /// As [`Self::commit`], for a txn that changes the ensemble: the packets say who leads from here on.
    // Java: Leader.commitAndActivate, Leader.informAndActivate
    pub(crate) fn commit_and_activate(
        &mut self,
        zxid: Zxid,
        designated: ServerId,
        payload: &Bytes,
        local: &mut Local,
    ) {
        let designated = Bytes::copy_from_slice(&designated.0.to_be_bytes());
        let inform = Bytes::from([&designated[..], payload].concat());
        for (link, learner) in self.links.iter_mut().filter(|(_, learner)| learner.is_forwarded()) {
            let packet = if learner.observer {
                packet::with_data(PacketType::InformAndActivate, zxid, inform.clone())
            } else {
                packet::with_data(PacketType::CommitAndActivate, zxid, designated.clone())
            };
            learner.forward(*link, packet, local);
        }
    }

    /// The same packet to every learner that is forwarded to.
    pub(crate) fn relay(&self, packet: &QuorumPacket, local: &mut Local) {
        for (link, _) in self.links.iter().filter(|(_, learner)| learner.is_forwarded()) {
            local.send(*link, packet.clone());
        }
    }

    /// Pings, and drops those that are silent or slow.
    pub(crate) fn ping(&mut self, zxid: Zxid, local: &mut Local) {
        self.expire(local);
        self.relay(&packet::plain(PacketType::Ping, zxid), local);
    }

    fn expire(&mut self, local: &mut Local) {
        let now = local.now();
        let (init, sync) = (local.config.init_time(), local.config.sync_time());
        let fault = |learner: &LearnerLink| {
            let limit = if learner.stage == Stage::Synced { sync } else { init };
            if now > learner.heard + limit {
                Some(format!("nothing heard from server {} for {limit:?}", learner.server))
            } else if learner.held_bytes > HELD_BYTES_MAX {
                Some(format!(
                    "server {} synchronizes too slowly: {HELD_BYTES_MAX} bytes wait",
                    learner.server
                ))
            } else if learner.slow.is_older_than(sync, now) {
                Some(format!("server {} did not acknowledge a proposal for {sync:?}", learner.server))
            } else {
                None
            }
        };
        let late: Vec<_> =
            self.links.iter().filter_map(|(link, learner)| Some((*link, fault(learner)?))).collect();
        for (link, reason) in late {
            self.drop_link(link, CloseReason::TimedOut(reason), local);
        }
    }

    /// Followers that acknowledged NEWLEADER and were heard of within the limits.
    pub(crate) fn synced(&self, local: &Local) -> BTreeSet<ServerId> {
        let alive = self.alive(local);
        let is_synced = |learner: &&LearnerLink| learner.stage == Stage::Synced && !learner.observer;
        let followers = self.links.values().filter(is_synced);
        followers.map(|learner| learner.server).filter(|server| alive.contains(server)).collect()
    }

    /// Servers that were heard of within the limits; one that synchronizes has more time.
    // Java: LearnerHandler.synced
    pub(crate) fn alive(&self, local: &Local) -> BTreeSet<ServerId> {
        let (init, sync) = (local.config.init_time(), local.config.sync_time());
        let is_alive = |learner: &&LearnerLink| {
            let limit = if learner.stage == Stage::Synced { sync } else { init + sync };
            learner.stage > Stage::Hello && !learner.observer && local.now() <= learner.heard + limit
        };
        self.links.values().filter(is_alive).map(|learner| learner.server).collect()
    }
}

/// Why a learner is turned away that was told of a change of the ensemble which this leader never heard of.
fn later_ensemble(learner: ServerId, theirs: i64, ours: i64) -> String {
    format!(
        "server {learner} holds version {theirs:x} of the ensemble for the one in force, and this leader version {ours:x}, \
         which is older: it cannot follow; if {theirs:x} is right, put its zoo.cfg.dynamic.{theirs:x} in force at the \
         members that lack it (dynamicConfigFile in zoo.cfg), else take {ours:x} to server {learner}, and start them again"
    )
}
