//! One server of the ensemble: holds the current phase and routes inputs to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{
    DecodeError, Epoch, Id, Notification, PeerState, QuorumPacket, ServerId, SessionId, Zxid,
};

use crate::catch_up::CatchUp;
use crate::config::{DurableState, Past, PeerConfig};
use crate::discovery::{Discovering, Parting, Upstream};
use crate::dynamic_config::{EnsembleConfig, Member};
use crate::early::Early;
use crate::election::Looking;
use crate::io::{CloseReason, Input, LinkId, LinkKind, Output, Role};
use crate::leader::{Leader, LearnerCounts, Outcome};
use crate::learner::Learner;
use crate::local::{Local, Reach, Vote};
use crate::storage::StorageEvent;

/// Agreement as one server sees it.
///
/// Give it what happened with [`Peer::handle`], then drain [`Peer::poll_output`] and carry the outputs
/// out in order, then ask [`Peer::poll_timeout`] when to call again. A server of an ensemble starts with
/// its first input; [`Input::Timeout`] will do.
#[derive(Debug)]
pub struct Peer {
    local: Local,
    phase: Phase,
    early: Early,
}

/// What the server is doing. A transition consumes the former phase.
#[derive(Debug)]
enum Phase {
    Settling(Settling),
    Looking(Looking),
    Leading(Box<Leader>),
    Dialing { leader: ServerId, since: Instant },
    Discovering(Discovering),
    CatchingUp(CatchUp),
    Learning(Box<Learner>),
    Stopped,
}

/// Before it looks for a leader, a server brings disk and memory to the same point.
#[derive(Debug, Default)]
struct Settling {
    /// Not before this; observers spread out, and a server without room lets others go first.
    not_before: Option<Instant>,
    /// A reconfiguration named the leader to go to.
    designated: Option<ServerId>,
    /// The last notification of each server meanwhile.
    waiting: BTreeMap<ServerId, Notification>,
}

impl Peer {
    /// A server alone: its own leader from the start, whose history ends at `last_zxid`.
    // Java: ZooKeeperServerMain
    pub fn standalone(server: ServerId, last_zxid: Zxid) -> Self {
        let member = Member { addresses: Vec::new(), voter: true, client: None };
        let members = BTreeMap::from([(server, member)]);
        let ensemble = EnsembleConfig { members, ..EnsembleConfig::default() };
        let state = DurableState { past: Past::Whole(last_zxid), ..DurableState::default() };
        let config = PeerConfig { commit_log_count: 0, ..PeerConfig::new(server, ensemble) };
        let mut local = Local::new(config, state);
        let leader = Leader::alone(&mut local);
        Self { local, phase: Phase::Leading(Box::new(leader)), early: Early::default() }
    }

    /// A server of an ensemble, with what its disk held.
    pub fn new(config: PeerConfig, state: DurableState) -> Self {
        let phase = Phase::Settling(Settling::default());
        Self { local: Local::new(config, state), phase, early: Early::default() }
    }

    /// Takes what happened. A time before the last one counts as the last one.
    pub fn handle(&mut self, now: Instant, input: Input) {
        self.local.set_now(now);
        match input {
            Input::Timeout => {}
            Input::Storage(event) => self.stored(&event),
            Input::LinkUp { link, kind } => self.link_up(link, kind),
            Input::LinkDown { link } => self.link_down(link),
            Input::DialFailed { kind } => self.dial_failed(kind),
            Input::Notification { link, body } => self.notification(link, body),
            Input::Packet { link, packet } => self.packet(link, packet),
            Input::TreeTaken { link } => self.tree_taken(link),
            Input::Room(has_room) => self.room(has_room),
            Input::Stop => self.stop(),
        }
        self.tick();
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.local.out.pop_front()
    }

    /// When to call [`Peer::handle`] with [`Input::Timeout`], unless something happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.phase_timeout(), self.early.timeout()].into_iter().flatten().min()
    }

    fn phase_timeout(&self) -> Option<Instant> {
        let config = &self.local.config;
        match &self.phase {
            Phase::Settling(settling) => settling.not_before.filter(|_| self.local.is_settled()),
            Phase::Looking(looking) => Some(looking.timeout()),
            Phase::Leading(leader) => leader.timeout(),
            Phase::Dialing { since, .. } => Some(*since + config.connect_time()),
            Phase::Discovering(discovering) => Some(discovering.upstream.heard + config.init_time()),
            Phase::CatchingUp(catch_up) => self.silence_limit(catch_up),
            Phase::Learning(learner) => {
                let silent = learner.upstream.heard + config.sync_time();
                Some(learner.timeout().map_or(silent, |at| at.min(silent)))
            }
            Phase::Stopped => None,
        }
    }

    /// The zxid the next proposal must have; `None` unless leading in broadcast, and when the epoch's
    /// counter is used up or the leader is about to leave.
    pub fn next_zxid(&self) -> Option<Zxid> {
        match &self.phase {
            Phase::Leading(leader) => leader.next_zxid(),
            _ => None,
        }
    }

    /// Puts a txn into the log and before the ensemble. Panics when `zxid` is not [`Peer::next_zxid`].
    pub fn propose(&mut self, zxid: Zxid, payload: Bytes) {
        let Phase::Leading(leader) = &mut self.phase else {
            panic!("only a leader proposes, and {zxid} was proposed as {:?}", self.local.role);
        };
        leader.propose(zxid, payload, &mut self.local);
    }

    /// What this server is.
    pub fn role(&self) -> Role {
        self.local.role
    }

    /// The configuration in force.
    pub fn ensemble(&self) -> &EnsembleConfig {
        self.local.members.active()
    }

    /// The newest configuration seen; the one in force when no change is under way.
    pub fn ensemble_seen(&self) -> &EnsembleConfig {
        self.local.members.newest()
    }

    /// Whether what its disk holds is a whole history. One that learned a part only, or started without any among
    /// others that have one, has no vote before it has learned from a leader.
    pub fn knows_history(&self) -> bool {
        self.local.knows_history()
    }

    /// Last zxid given to [`Output::Deliver`] or held by the tree at the start.
    pub fn delivered(&self) -> Zxid {
        self.local.history.delivered()
    }

    /// Whether txns that are delivered are in the log.
    pub fn keeps_log(&self) -> bool {
        self.local.config.observer_log || !self.local.is_observer()
    }

    /// Last zxid known to be committed; [`Self::delivered`] once everything up to it is durable here.
    pub fn committed(&self) -> Zxid {
        self.local.history.committed()
    }

    /// Whether [`Self::hand_over_to`] would begin: this server leads, that one votes and follows closely.
    pub fn may_hand_over_to(&self, server: ServerId) -> bool {
        match &self.phase {
            Phase::Leading(leader) => leader.may_transfer(server, &self.local),
            _ => false,
        }
    }

    /// Leader: makes way for another voter. `payload` is a txn of [`Self::next_zxid`] that changes nothing.
    /// From here on nothing can be proposed; whether it begins.
    pub fn hand_over_to(&mut self, server: ServerId, payload: Bytes) -> bool {
        match &mut self.phase {
            Phase::Leading(leader) => leader.transfer(server, payload, &mut self.local),
            _ => false,
        }
    }

    /// Voters of `config` that hold this leader's history and follow it, itself included when it votes
    /// there; nobody unless it leads.
    pub fn synced_with(&self, config: &EnsembleConfig) -> BTreeSet<ServerId> {
        match &self.phase {
            Phase::Leading(leader) => leader.synced_with(config, &self.local),
            _ => BTreeSet::new(),
        }
    }

    /// Whom it leads, or serves as an observer master.
    pub fn learners(&self) -> LearnerCounts {
        match &self.phase {
            Phase::Leading(leader) => leader.counts(&self.local),
            Phase::Learning(learner) => learner.observers(),
            _ => LearnerCounts::default(),
        }
    }

    /// A client's session was heard of; a learner tells the leader at its next ping.
    pub fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        if let Phase::Learning(learner) = &mut self.phase {
            learner.touch(session, timeout_ms);
        }
    }

    /// Passes a client's request to the leader: session, xid, operation, body. Nothing happens unless
    /// this server is a learner.
    pub fn forward(&mut self, data: Bytes, authinfo: Vec<Id>) {
        if let Phase::Learning(learner) = &mut self.phase {
            learner.forward(data, authinfo, &mut self.local);
        }
    }

    /// Asks for [`Output::SyncReached`] once everything the leader has proposed until now is delivered
    /// here. A learner sends `data`, a request as for [`Peer::forward`].
    pub fn sync(&mut self, token: u64, data: Bytes, authinfo: Vec<Id>) {
        match &mut self.phase {
            Phase::Leading(leader) => leader.sync(token, &mut self.local),
            Phase::Learning(learner) => learner.sync(token, data, authinfo, &mut self.local),
            _ => {}
        }
    }

    /// Leader: the sync request of a learner has its turn among that learner's requests.
    pub fn answer_sync(&mut self, link: LinkId) {
        if let Phase::Leading(leader) = &mut self.phase {
            leader.answer_sync(link, &mut self.local);
        }
    }

    /// Learner: asks the leader whether a session may go on here.
    pub fn revalidate(&mut self, session: SessionId, timeout_ms: i32) {
        if let Phase::Learning(learner) = &mut self.phase {
            learner.revalidate(session, timeout_ms, &mut self.local);
        }
    }

    /// Leader: the answer to [`Output::Revalidate`].
    pub fn answer_revalidate(&mut self, link: LinkId, session: SessionId, valid: bool) {
        if let Phase::Leading(leader) = &mut self.phase {
            leader.answer_revalidate(link, session, valid, &mut self.local);
        }
    }

    fn stored(&mut self, event: &StorageEvent) {
        if let StorageEvent::Failed(_) = event {
            return self.end(true);
        }
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        self.local.stored(event);
        match &mut self.phase {
            Phase::Leading(leader) => {
                let outcome = leader.stored(event, &mut self.local);
                self.after(outcome);
            }
            Phase::Discovering(discovering) => {
                let StorageEvent::AcceptedEpochStored(_) = event else { return };
                if let Some(epoch) = discovering.accepted_epoch_stored(&mut self.local) {
                    let upstream = discovering.upstream;
                    self.phase = Phase::CatchingUp(CatchUp::start(upstream, epoch, &self.local));
                }
            }
            Phase::CatchingUp(catch_up) => {
                if let Err(parting) = catch_up.stored(event, &mut self.local) {
                    self.part(parting);
                }
            }
            Phase::Learning(learner) => learner.stored(event, &mut self.local),
            Phase::Settling(_) | Phase::Looking(_) | Phase::Dialing { .. } | Phase::Stopped => {}
        }
    }

    fn link_up(&mut self, link: LinkId, kind: LinkKind) {
        let now = self.local.now();
        match (kind, &mut self.phase) {
            (LinkKind::Election(server), phase) => {
                self.local.reach.insert(server, Reach::Up(link));
                if let Phase::Looking(looking) = phase {
                    looking.link_up(server, &mut self.local);
                }
            }
            (LinkKind::Learner, Phase::Leading(leader)) => leader.link_up(link, &mut self.local),
            (LinkKind::ObserverMaster, Phase::Learning(learner)) if learner.is_master() => {
                if let Some(master) = learner.master() {
                    master.link_up(link, &self.local);
                }
            }
            (LinkKind::Leader(server), Phase::Dialing { leader, .. }) if server == *leader => {
                let upstream = Upstream { leader: server, link, heard: now };
                self.phase = Phase::Discovering(Discovering::start(upstream, &mut self.local));
            }
            (LinkKind::Learner, Phase::Settling(_) | Phase::Looking(_)) => {
                self.early.up(link, &mut self.local)
            }
            // The leader may have named this server its successor: others hear of it earlier.
            (LinkKind::Learner, Phase::Learning(_)) if self.local.config.reconfig => {
                self.early.up(link, &mut self.local)
            }
            _ => self.local.close(link, CloseReason::RoleChanged),
        }
    }

    fn link_down(&mut self, link: LinkId) {
        let server = self.local.reach.iter().find(|(_, reach)| **reach == Reach::Up(link));
        if let Some(server) = server.map(|(server, _)| *server) {
            return self.unreachable(server);
        }
        if self.upstream().is_some_and(|upstream| upstream.link == link) {
            return self.look(None, None);
        }
        self.early.down(link);
        match &mut self.phase {
            Phase::Leading(leader) => leader.link_down(link),
            Phase::Learning(learner) => {
                if let Some(master) = learner.master() {
                    master.link_down(link);
                }
            }
            _ => {}
        }
    }

    fn tree_taken(&mut self, link: LinkId) {
        match &mut self.phase {
            Phase::Leading(leader) => leader.tree_taken(link, &self.local),
            Phase::Learning(learner) => {
                if let Some(master) = learner.master() {
                    master.tree_taken(link, &self.local);
                }
            }
            _ => {}
        }
    }

    fn dial_failed(&mut self, kind: LinkKind) {
        match (kind, &self.phase) {
            (LinkKind::Election(server), _)
                if !matches!(self.local.reach.get(&server), Some(Reach::Up(_))) =>
            {
                self.unreachable(server);
            }
            (LinkKind::Leader(server), Phase::Dialing { leader, .. }) if server == *leader => {
                self.look(None, None)
            }
            _ => {}
        }
    }

    /// Nobody waits for the vote of a server that is in no list, and it may have another number next time.
    fn unreachable(&mut self, server: ServerId) {
        if self.local.members.has(server) {
            self.local.reach.insert(server, Reach::Dead);
        } else {
            self.local.reach.remove(&server);
        }
        if let Phase::Looking(looking) = &mut self.phase {
            let decided = looking.link_down(&mut self.local);
            self.decided(decided);
        }
    }

    fn notification(&mut self, link: LinkId, body: Bytes) {
        let from = self.local.reach.iter().find(|(_, reach)| **reach == Reach::Up(link));
        let Some(from) = from.map(|(server, _)| *server) else { return };
        let notification = match Notification::decode(body) {
            Ok(notification) => notification,
            // A release to come may know more states.
            Err(DecodeError::Unknown { .. }) => return,
            Err(_) => {
                let reason = CloseReason::Misbehaved(format!("a torn notification from server {from}"));
                self.local.close(link, reason);
                return self.unreachable(from);
            }
        };
        let has_adopted = self.adopts_config(&notification);
        if self.local.is_belied_by(from, &notification) {
            self.give_up_vote(from, notification.state != PeerState::Looking);
        } else if has_adopted {
            self.look_again();
        }
        if !has_adopted {
            self.notified(from, &notification);
        }
    }

    /// An empty disk counts no longer for a new one. A leader that this server helped to elect has to do without it.
    fn give_up_vote(&mut self, known_by: ServerId, has_leader: bool) {
        self.local.give_up_vote(known_by, has_leader);
        match &self.phase {
            Phase::Looking(_) => self.look_again(),
            Phase::Settling(_) | Phase::Stopped => {}
            _ => {
                self.look(None, Some(CloseReason::RoleChanged));
                self.try_settle(self.local.now());
            }
        }
    }

    fn notified(&mut self, from: ServerId, notification: &Notification) {
        let is_voter = self.local.members.voters().contains(&from);
        let state = match &mut self.phase {
            Phase::Settling(settling) => {
                settling.waiting.insert(from, notification.clone());
                return;
            }
            Phase::Looking(looking) if is_voter => {
                let decided = looking.notification(from, notification, &mut self.local);
                return self.decided(decided);
            }
            Phase::Looking(looking) => return looking.answer_stranger(from, &mut self.local),
            Phase::Stopped => return,
            Phase::Leading(leader)
                if notification.state == PeerState::Looking && leader.is_left(from, &self.local) =>
            {
                return self.look(None, None);
            }
            Phase::Leading(_) => PeerState::Leading,
            _ if self.local.is_observer() => PeerState::Observing,
            _ => PeerState::Following,
        };
        if !is_voter || notification.state == PeerState::Looking {
            let round = if is_voter { self.local.vote.round } else { self.local.round };
            self.local.notify(from, state, Vote { round, ..self.local.vote });
        }
    }

    /// A newer configuration that comes with a vote is taken over while there is no leader.
    fn adopts_config(&mut self, notification: &Notification) -> bool {
        if !self.local.config.reconfig || !matches!(self.phase, Phase::Looking(_)) {
            return false;
        }
        let text = notification.config.as_ref().map(|text| text.to_text().into_owned());
        let Some(config) = text.and_then(|text| EnsembleConfig::parse(&text).ok()) else { return false };
        let before = self.local.members.active().clone();
        let news = config.version > before.version;
        self.local.activate_config(config, None);
        news && !before.is_same_ensemble(self.local.members.active())
    }

    fn packet(&mut self, link: LinkId, packet: QuorumPacket) {
        if self.upstream().is_some_and(|upstream| upstream.link == link) {
            return self.upstream_packet(packet);
        }
        match &mut self.phase {
            Phase::Leading(leader) if leader.has(link) => {
                let outcome = leader.packet(link, packet, &mut self.local);
                self.after(outcome);
            }
            Phase::Learning(learner) if learner.serves(link) => {
                learner.observer_packet(link, packet, &mut self.local);
            }
            Phase::Settling(_) | Phase::Looking(_) | Phase::Learning(_) => self.early.packet(link, packet),
            _ => {}
        }
    }

    fn upstream_packet(&mut self, packet: QuorumPacket) {
        let parting = match &mut self.phase {
            Phase::Discovering(discovering) => match discovering.packet(&packet, &mut self.local) {
                Ok(None) => None,
                Ok(Some(epoch)) => {
                    let upstream = discovering.upstream;
                    self.phase = Phase::CatchingUp(CatchUp::start(upstream, epoch, &self.local));
                    None
                }
                Err(parting) => Some(parting),
            },
            Phase::CatchingUp(catch_up) => match catch_up.packet(packet, &mut self.local) {
                Ok(None) => None,
                Ok(Some(caught_up)) => {
                    let learner = Learner::start(caught_up, &mut self.local);
                    self.phase = Phase::Learning(Box::new(learner));
                    None
                }
                Err(parting) => Some(parting),
            },
            Phase::Learning(learner) => learner.packet(packet, &mut self.local).err(),
            _ => None,
        };
        if let Some(parting) = parting {
            self.part(parting);
        }
    }

    fn upstream(&self) -> Option<Upstream> {
        match &self.phase {
            Phase::Discovering(discovering) => Some(discovering.upstream),
            Phase::CatchingUp(catch_up) => Some(catch_up.upstream),
            Phase::Learning(learner) => Some(learner.upstream),
            _ => None,
        }
    }

    fn part(&mut self, parting: Parting) {
        self.look(parting.designated, Some(parting.reason));
    }

    fn silence_limit(&self, catch_up: &CatchUp) -> Option<Instant> {
        let config = &self.local.config;
        let limit = if catch_up.is_acknowledged() { config.sync_time() } else { config.init_time() };
        (!catch_up.is_installing()).then(|| catch_up.upstream.heard + limit)
    }

    fn tick(&mut self) {
        let now = self.local.now();
        self.early.tick(&mut self.local);
        match &mut self.phase {
            Phase::Looking(looking) => {
                if looking.is_read_only_due(now) {
                    self.local.set_role(Role::ReadOnly);
                }
                let decided = looking.tick(&mut self.local);
                self.decided(decided);
            }
            Phase::Leading(leader) => {
                let outcome = leader.tick(&mut self.local);
                self.after(outcome);
            }
            Phase::Learning(learner) => {
                learner.tick(&mut self.local);
                self.check_silence(now);
            }
            Phase::Dialing { since, .. } if now >= *since + self.local.config.connect_time() => {
                self.look(None, None)
            }
            Phase::Discovering(_) | Phase::CatchingUp(_) => self.check_silence(now),
            Phase::Settling(_) | Phase::Dialing { .. } | Phase::Stopped => {}
        }
        self.try_settle(now);
    }

    fn try_settle(&mut self, now: Instant) {
        if let Phase::Settling(settling) = &self.phase
            && self.local.is_settled()
            && settling.not_before.is_none_or(|at| now >= at)
        {
            self.settled();
        }
    }

    fn check_silence(&mut self, now: Instant) {
        let limit = match &self.phase {
            Phase::CatchingUp(catch_up) => self.silence_limit(catch_up),
            Phase::Discovering(discovering) => {
                Some(discovering.upstream.heard + self.local.config.init_time())
            }
            Phase::Learning(learner) => Some(learner.upstream.heard + self.local.config.sync_time()),
            _ => None,
        };
        if limit.is_some_and(|limit| now >= limit) {
            let reason = CloseReason::TimedOut("nothing heard from the leader".to_owned());
            self.part(Parting { reason, designated: None });
        }
    }

    /// Disk and memory are at the same point: look for a leader, or go to the one that was named.
    fn settled(&mut self) {
        let Phase::Settling(settling) = std::mem::replace(&mut self.phase, Phase::Stopped) else { return };
        if let Some(leader) = settling.designated {
            let (zxid, round) = (self.local.last_zxid(), self.local.round);
            self.local.vote = Vote { leader, zxid, epoch: Epoch(-1), round };
            return self.go_to(leader);
        }
        let (looking, decided) = Looking::start(&mut self.local);
        self.phase = Phase::Looking(looking);
        self.decided(decided);
        for (from, notification) in settling.waiting {
            self.notified(from, &notification);
        }
    }

    fn look_again(&mut self) {
        let (looking, decided) = Looking::start(&mut self.local);
        self.phase = Phase::Looking(looking);
        self.decided(decided);
    }

    fn decided(&mut self, vote: Option<Vote>) {
        if let Some(vote) = vote {
            self.local.vote = vote;
            self.go_to(vote.leader);
        }
    }

    fn go_to(&mut self, leader: ServerId) {
        self.local.successor = None;
        if leader == self.local.me() {
            let leader = Leader::start(&mut self.local);
            self.phase = Phase::Leading(Box::new(leader));
            for (link, hello) in self.early.take() {
                self.link_up(link, LinkKind::Learner);
                if let Some(hello) = hello {
                    self.packet(link, hello);
                }
            }
            return;
        }
        self.early.refuse(&mut self.local);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let within_ms = ms(self.local.config.connect_time());
        let master = self.local.pick_observer_master(leader);
        let (server, observer_master) = (master.unwrap_or(leader), master.is_some());
        self.local.set_role(Role::Synchronizing { leader: server });
        // Java: Observer.waitForReconnectDelay, only after a whole round of observer masters
        let delay_max = self.local.config.observer_dial_delay_max;
        let delays = self.local.is_observer() && !observer_master && !delay_max.is_zero();
        let delay = if delays { self.local.pause(delay_max) } else { Duration::ZERO };
        let after_ms = ms(delay);
        self.local.out.push_back(Output::DialLeader { server, observer_master, after_ms, within_ms });
        self.phase = Phase::Dialing { leader: server, since: self.local.now() + delay };
    }

    fn after(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stay => {}
            Outcome::Look => self.look(None, None),
            Outcome::GoTo(server) => self.look(Some(server), None),
            Outcome::Stop => self.end(false),
        }
    }

    /// Leaves whatever it does, to look for a leader once the disk has settled.
    fn look(&mut self, designated: Option<ServerId>, farewell: Option<CloseReason>) {
        let is_fault = matches!(farewell, Some(CloseReason::Misbehaved(_)));
        if let (Some(upstream), Some(farewell)) = (self.upstream(), farewell) {
            self.local.close(upstream.link, farewell);
        }
        self.leave_phase();
        self.local.set_role(Role::Looking);
        let not_before = if is_fault {
            // Whatever was wrong will most likely be wrong again: not at once.
            Some(self.local.now() + self.local.config.notify_again_min)
        } else if designated.is_none() && self.local.is_observer() {
            let pause = self.local.pause(self.local.config.observer_delay_max);
            Some(self.local.now() + pause)
        } else if designated.is_none() && !self.local.has_room {
            Some(self.local.now() + self.local.config.no_room_delay)
        } else {
            None
        };
        self.phase = Phase::Settling(Settling { not_before, designated, waiting: BTreeMap::new() });
    }

    fn leave_phase(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Stopped) {
            Phase::Leading(leader) => leader.close(&mut self.local),
            Phase::Learning(learner) => learner.close(&mut self.local),
            _ => {}
        }
    }

    /// The disk became full, or is no longer. Only the moment it becomes full moves a leader: when nobody
    /// has room, somebody leads all the same.
    fn room(&mut self, has_room: bool) {
        self.local.has_room = has_room;
        if let (Phase::Leading(leader), false) = (&mut self.phase, has_room) {
            let outcome = leader.make_way(&mut self.local);
            self.after(outcome);
        }
    }

    fn stop(&mut self) {
        if let Phase::Leading(leader) = &mut self.phase {
            let outcome = leader.stop(&mut self.local);
            return self.after(outcome);
        }
        self.end(false);
    }

    fn end(&mut self, failed: bool) {
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        let upstream = self.upstream();
        self.leave_phase();
        if let Some(upstream) = upstream {
            self.local.close(upstream.link, CloseReason::RoleChanged);
        }
        self.early.refuse(&mut self.local);
        if failed {
            // What waits in the queue rests on a disk that cannot be trusted.
            self.local.out = VecDeque::new();
        }
        self.local.set_role(Role::Stopped { failed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs one instant to count from")]
    fn nothing_is_kept_of_who_is_in_no_list_and_has_gone() {
        let ensemble = EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2").unwrap();
        let state = DurableState { past: Past::Whole(Zxid::ZERO), ..DurableState::default() };
        let mut peer = Peer::new(PeerConfig::new(ServerId(1), ensemble), state);
        let now = Instant::now();
        let ids = [2, -1, -2, -3, 77];
        for (link, id) in (1..).map(LinkId).zip(ids) {
            peer.handle(now, Input::LinkUp { link, kind: LinkKind::Election(ServerId(id)) });
        }
        assert_eq!(peer.local.reach.len(), ids.len());
        for link in (1..=5).map(LinkId) {
            peer.handle(now, Input::LinkDown { link });
        }
        peer.handle(now, Input::DialFailed { kind: LinkKind::Election(ServerId(78)) });
        let reach: Vec<_> = peer.local.reach.iter().collect();
        assert_eq!(reach, [(&ServerId(2), &Reach::Dead)]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs one instant to count from")]
    fn an_observer_waits_before_it_dials_and_a_voter_does_not() {
        let ensemble =
            EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2:observer").unwrap();
        let dials = |me: i64, max: Duration, seed: u64| {
            let state = DurableState { past: Past::Whole(Zxid::ZERO), ..DurableState::default() };
            let base = PeerConfig::new(ServerId(me), ensemble.clone());
            let mut peer = Peer::new(PeerConfig { observer_dial_delay_max: max, seed, ..base }, state);
            peer.handle(Instant::now(), Input::Timeout);
            peer.go_to(ServerId(2));
            let Phase::Dialing { since, .. } = peer.phase else { panic!("{:?}", peer.phase) };
            let late = since - peer.local.now();
            let after = peer.local.out.iter().find_map(|output| match output {
                Output::DialLeader { after_ms, .. } => Some(Duration::from_millis(*after_ms)),
                _ => None,
            });
            assert!(after.is_some_and(|after| late >= after && late - after < Duration::from_millis(1)));
            late
        };
        let max = Duration::from_secs(100);
        let pauses: BTreeSet<_> = (0..9).map(|seed| dials(3, max, seed << 40)).collect();
        assert!(pauses.len() > 1 && pauses.iter().all(|pause| *pause < max), "{pauses:?}");
        assert_eq!([dials(1, max, 7), dials(3, Duration::ZERO, 7)], [Duration::ZERO; 2]);
    }
}
