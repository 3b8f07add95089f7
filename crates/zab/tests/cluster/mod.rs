//! An ensemble in memory and in virtual time: links are ordered pipes, disks carry out one command at a
//! time, and a crash loses what was not carried out. Each promise of agreement is checked as it is made.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test bed")]

pub(crate) mod disk;
pub(crate) mod judge;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{
    OpCode, PacketType, QuorumPacket, ServerId, SetDataTxn, TxnHeader, TxnRecord, Zxid, encode_txn,
};
use oxherd_zab::{
    CloseReason, EnsembleConfig, Input, LinkId, LinkKind, Output, Peer, PeerConfig, Role, StorageCommand,
    StorageEvent,
};

use disk::Disk;
use judge::Judge;

pub(crate) struct Server {
    pub(crate) peer: Option<Peer>,
    pub(crate) disk: Disk,
    /// Not carried out yet; lost in a crash.
    pub(crate) commands: VecDeque<StorageCommand>,
    /// The tree: the txns applied.
    pub(crate) applied: Vec<(Zxid, Bytes)>,
    pub(crate) role: Role,
    pub(crate) config: PeerConfig,
}

pub(crate) enum Message {
    Notification(Bytes),
    Packet(QuorumPacket),
    Snapshot(Vec<(Zxid, Bytes)>),
    Closed,
}

/// One end of a pipe: who, its number there, and what is on its way to it.
pub(crate) struct End {
    pub(crate) server: ServerId,
    pub(crate) link: LinkId,
    pub(crate) open: bool,
    pub(crate) queue: VecDeque<Message>,
}

pub(crate) struct Cluster {
    pub(crate) servers: BTreeMap<ServerId, Server>,
    pub(crate) pipes: BTreeMap<u64, [End; 2]>,
    pub(crate) is_election: BTreeSet<u64>,
    /// Pairs that cannot reach each other.
    pub(crate) cuts: BTreeSet<(ServerId, ServerId)>,
    pub(crate) now: Duration,
    pub(crate) judge: Judge,
    /// What happened, for scripts.
    pub(crate) story: Vec<String>,
    /// Servers whose disks do nothing for now.
    pub(crate) stalled: BTreeSet<ServerId>,
    /// Servers whose messages, in and out, are on their way for ever.
    pub(crate) held: BTreeSet<ServerId>,
    base: Instant,
    next: u64,
    pub(crate) next_payload: u32,
}

/// A reconfiguration txn as a leader logs it.
pub(crate) fn reconfig(zxid: Zxid, text: &str) -> Bytes {
    let header = TxnHeader { zxid, kind: OpCode::Reconfig.code(), ..TxnHeader::default() };
    let data = Some(Bytes::from(text.to_owned()));
    let record = TxnRecord::SetData(SetDataTxn { path: "/zookeeper/config".into(), data, version: -1 });
    encode_txn(&header, &record, None).into()
}

pub(crate) fn payload(zxid: Zxid, unique: u32) -> Bytes {
    let mut bytes = vec![0; 36];
    bytes[12..20].copy_from_slice(&zxid.0.to_be_bytes());
    bytes[28..32].copy_from_slice(&5i32.to_be_bytes());
    bytes[32..36].copy_from_slice(&unique.to_be_bytes());
    bytes.into()
}

impl Cluster {
    #[expect(clippy::disallowed_methods, reason = "virtual time counts from any instant")]
    pub(crate) fn new(config_text: &str) -> Self {
        let ensemble = EnsembleConfig::parse(config_text).unwrap();
        let mut cluster = Self {
            servers: BTreeMap::new(),
            pipes: BTreeMap::new(),
            is_election: BTreeSet::new(),
            cuts: BTreeSet::new(),
            now: Duration::ZERO,
            judge: Judge::new(ensemble.clone()),
            story: Vec::new(),
            stalled: BTreeSet::new(),
            held: BTreeSet::new(),
            base: Instant::now(),
            next: 0,
            next_payload: 0,
        };
        for server in ensemble.members.keys() {
            cluster.add_server(*server, ensemble.clone());
        }
        cluster
    }

    /// One more server, which may know another ensemble than the others.
    pub(crate) fn add_server(&mut self, server: ServerId, ensemble: EnsembleConfig) {
        let mut config = PeerConfig::new(server, ensemble);
        config.tick = Duration::from_millis(100);
        config.init_limit = 10;
        config.sync_limit = 5;
        config.commit_log_count = 5;
        config.notify_again_max = Duration::from_millis(1600);
        config.seed = server.0.unsigned_abs();
        let server_state = Server {
            peer: None,
            disk: Disk::default(),
            commands: VecDeque::new(),
            applied: Vec::new(),
            role: Role::Stopped { failed: false },
            config,
        };
        self.servers.insert(server, server_state);
    }

    pub(crate) fn instant(&self) -> Instant {
        self.base + self.now
    }

    pub(crate) fn ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    pub(crate) fn start(&mut self, id: ServerId) {
        let server = self.servers.get_mut(&id).unwrap();
        if server.peer.is_some() {
            return;
        }
        server.applied = server.disk.history();
        let state = server.disk.recover(server.config.commit_log_count);
        server.peer = Some(Peer::new(server.config.clone(), state));
        server.role = Role::Looking;
        self.handle(id, Input::Timeout);
    }

    /// The process dies: links break after a prefix, commands are lost.
    pub(crate) fn crash(&mut self, id: ServerId) {
        let server = self.servers.get_mut(&id).unwrap();
        server.peer = None;
        server.commands.clear();
        server.role = Role::Stopped { failed: false };
        let mine: Vec<u64> = self.pipes_of(id);
        for pipe in mine {
            self.break_pipe(pipe);
        }
    }

    fn pipes_of(&self, id: ServerId) -> Vec<u64> {
        let of = |ends: &[End; 2]| ends.iter().any(|end| end.server == id);
        self.pipes.iter().filter(|(_, ends)| of(ends)).map(|(pipe, _)| *pipe).collect()
    }

    /// What is on its way arrives, and then the end of the link.
    pub(crate) fn break_pipe(&mut self, pipe: u64) {
        let Some(ends) = self.pipes.get_mut(&pipe) else { return };
        for end in ends {
            if !end.queue.iter().any(|message| matches!(message, Message::Closed)) {
                end.queue.push_back(Message::Closed);
            }
        }
        self.forget_dead_pipes();
    }

    /// Only the first messages on their way arrive.
    pub(crate) fn lose_suffix(&mut self, pipe: u64, side: usize, kept: usize) {
        if let Some(ends) = self.pipes.get_mut(&pipe) {
            let queue = &mut ends[side].queue;
            if !queue.iter().any(|message| matches!(message, Message::Closed)) {
                queue.truncate(kept);
            }
        }
    }

    fn forget_dead_pipes(&mut self) {
        let servers = &self.servers;
        let is_alive = |end: &End| end.open && servers[&end.server].peer.is_some();
        self.pipes.retain(|_, ends| ends.iter().any(is_alive));
    }

    pub(crate) fn cut(&mut self, a: ServerId, b: ServerId) {
        self.cuts.insert((a.min(b), a.max(b)));
        let between = |ends: &[End; 2]| ends.iter().all(|end| end.server == a || end.server == b);
        let pipes: Vec<u64> =
            self.pipes.iter().filter(|(_, ends)| between(ends)).map(|(pipe, _)| *pipe).collect();
        for pipe in pipes {
            self.break_pipe(pipe);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    fn reaches(&self, a: ServerId, b: ServerId) -> bool {
        let up = self.servers.get(&b).is_some_and(|server| server.peer.is_some());
        up && !self.cuts.contains(&(a.min(b), a.max(b)))
    }

    pub(crate) fn handle(&mut self, id: ServerId, input: Input) {
        let now = self.instant();
        let Some(peer) = &mut self.servers.get_mut(&id).unwrap().peer else { return };
        peer.handle(now, input);
        self.drain(id);
    }

    pub(crate) fn propose(&mut self, id: ServerId) -> Option<Zxid> {
        let unique = self.next_payload;
        self.propose_payload(id, |zxid| payload(zxid, unique))
    }

    /// Proposes what `make` makes for the next zxid.
    pub(crate) fn propose_payload(&mut self, id: ServerId, make: impl FnOnce(Zxid) -> Bytes) -> Option<Zxid> {
        let peer = self.servers.get_mut(&id).unwrap().peer.as_mut()?;
        let zxid = peer.next_zxid()?;
        self.next_payload += 1;
        peer.propose(zxid, make(zxid));
        self.drain(id);
        Some(zxid)
    }

    /// The leader makes way; whether it begins to.
    pub(crate) fn hand_over(&mut self, id: ServerId, to: ServerId) -> bool {
        let unique = self.next_payload;
        self.next_payload += 1;
        let Some(peer) = self.servers.get_mut(&id).and_then(|server| server.peer.as_mut()) else {
            return false;
        };
        let begun = peer.next_zxid().is_some_and(|zxid| peer.hand_over_to(to, payload(zxid, unique)));
        self.drain(id);
        begun
    }

    pub(crate) fn sync(&mut self, id: ServerId, request: Bytes) {
        let Some(peer) = &mut self.servers.get_mut(&id).unwrap().peer else { return };
        peer.sync(7, request, Vec::new());
        self.drain(id);
    }

    pub(crate) fn ask(&mut self, id: ServerId, ask: impl FnOnce(&mut Peer)) {
        let Some(peer) = &mut self.servers.get_mut(&id).unwrap().peer else { return };
        ask(peer);
        self.drain(id);
    }

    /// What a replica does with a request that a learner passed on: only syncs, here.
    fn request(&mut self, id: ServerId, link: LinkId) {
        let Some(peer) = &mut self.servers.get_mut(&id).unwrap().peer else { return };
        peer.answer_sync(link);
    }

    pub(crate) fn leader(&self) -> Option<ServerId> {
        let leads = |server: &Server| server.peer.as_ref().is_some_and(|peer| peer.next_zxid().is_some());
        self.servers.iter().find(|(_, server)| leads(server)).map(|(id, _)| *id)
    }

    fn drain(&mut self, id: ServerId) {
        loop {
            let Some(peer) = &mut self.servers.get_mut(&id).unwrap().peer else { return };
            let Some(output) = peer.poll_output() else { return };
            self.judge.output(id, &output, &self.servers);
            self.tell_output(id, &output);
            self.carry_out(id, output);
        }
    }

    fn carry_out(&mut self, id: ServerId, output: Output) {
        let server = self.servers.get_mut(&id).unwrap();
        match output {
            Output::Storage(command) => server.commands.push_back(command),
            Output::Deliver { zxid, payload } => {
                server.applied.push((zxid, payload));
                self.judge.serves(id, &self.servers);
            }
            Output::Notify { server: to, body } => self.notify(id, to, body),
            Output::DialLeader { server: to, observer_master, .. } => {
                let kind = if observer_master { LinkKind::ObserverMaster } else { LinkKind::Learner };
                self.dial(id, to, kind);
            }
            Output::Send { link, packet } => self.transmit(id, link, Message::Packet(packet)),
            Output::SendSnapshot { link, zxid } => {
                let tree = server.applied.clone();
                let last = tree.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
                assert!(last <= zxid && zxid <= last.max(server.disk.snapshot_zxid), "the tree is at {last}");
                self.transmit(id, link, Message::Snapshot(tree));
            }
            Output::Close { link, .. } => self.close(id, link),
            Output::Role(role) => {
                server.role = role;
                if matches!(role, Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. }) {
                    self.judge.serves(id, &self.servers);
                }
                if let Role::Stopped { .. } = role {
                    self.crash(id);
                }
            }
            Output::Request { link, .. } => self.request(id, link),
            Output::ConfigSeen { text } => {
                server.config.ensemble_seen = Some(EnsembleConfig::parse(&text).unwrap());
            }
            Output::ConfigActive { text } => server.config.ensemble = EnsembleConfig::parse(&text).unwrap(),
            Output::Revalidate { link, session, .. } => {
                let Some(peer) = &mut server.peer else { return };
                peer.answer_revalidate(link, session, session.0 < 100);
            }
            _ => {}
        }
    }

    fn notify(&mut self, from: ServerId, to: ServerId, body: Bytes) {
        let between = |ends: &[End; 2]| {
            ends.iter().all(|end| (end.server == from || end.server == to) && end.open)
                && ends[0].server != ends[1].server
        };
        let pipe = self.is_election.iter().copied().find(|pipe| self.pipes.get(pipe).is_some_and(between));
        let pipe = match pipe {
            Some(pipe) => pipe,
            None if self.reaches(from, to) => {
                let pipe = self.connect(from, to);
                self.is_election.insert(pipe);
                let [a, b] = &self.pipes[&pipe];
                let (here, there) = (a.link, b.link);
                self.handle(from, Input::LinkUp { link: here, kind: LinkKind::Election(to) });
                self.handle(to, Input::LinkUp { link: there, kind: LinkKind::Election(from) });
                pipe
            }
            None => return self.handle(from, Input::DialFailed { kind: LinkKind::Election(to) }),
        };
        let Some(ends) = self.pipes.get_mut(&pipe) else { return };
        let end = ends.iter_mut().find(|end| end.server == to).unwrap();
        if !end.queue.iter().any(|message| matches!(message, Message::Closed)) {
            end.queue.push_back(Message::Notification(body));
        }
    }

    fn dial(&mut self, from: ServerId, to: ServerId, kind: LinkKind) {
        if !self.reaches(from, to) {
            return self.handle(from, Input::DialFailed { kind: LinkKind::Leader(to) });
        }
        let pipe = self.connect(from, to);
        let [a, b] = &self.pipes[&pipe];
        let (here, there) = (a.link, b.link);
        self.handle(to, Input::LinkUp { link: there, kind });
        self.handle(from, Input::LinkUp { link: here, kind: LinkKind::Leader(to) });
    }

    fn connect(&mut self, from: ServerId, to: ServerId) -> u64 {
        let pipe = self.next;
        let end = |server: ServerId, link: u64| End {
            server,
            link: LinkId(link),
            open: true,
            queue: VecDeque::new(),
        };
        let ends = [end(from, self.next * 2), end(to, self.next * 2 + 1)];
        self.next += 1;
        self.pipes.insert(pipe, ends);
        pipe
    }

    /// The pipe of a link and which end it is there.
    pub(crate) fn place(link: LinkId) -> (u64, usize) {
        (link.0 / 2, usize::from(link.0 % 2 == 1))
    }

    pub(crate) fn other_end(&self, link: LinkId) -> Option<ServerId> {
        let (pipe, side) = Self::place(link);
        Some(self.pipes.get(&pipe)?[1 - side].server)
    }

    fn transmit(&mut self, id: ServerId, link: LinkId, message: Message) {
        let (pipe, side) = Self::place(link);
        let Some(ends) = self.pipes.get_mut(&pipe) else { return };
        assert_eq!(ends[side].server, id, "a server sends on its own links");
        let end = &mut ends[1 - side];
        if !end.queue.iter().any(|message| matches!(message, Message::Closed)) {
            end.queue.push_back(message);
        }
    }

    fn close(&mut self, id: ServerId, link: LinkId) {
        self.transmit(id, link, Message::Closed);
        let (pipe, side) = Self::place(link);
        if let Some(ends) = self.pipes.get_mut(&pipe) {
            ends[side].open = false;
        }
        self.forget_dead_pipes();
    }

    /// Links that have a message their end can take now.
    pub(crate) fn deliverable(&self) -> Vec<LinkId> {
        let is_held = |ends: &&[End; 2]| ends.iter().any(|end| self.held.contains(&end.server));
        let ends = self.pipes.values().filter(|ends| !is_held(ends)).flatten();
        let ready = |end: &&End| match end.queue.front() {
            None | Some(Message::Snapshot(_)) => false,
            Some(_) => true,
        };
        ends.filter(ready).map(|end| end.link).collect()
    }

    pub(crate) fn deliver(&mut self, link: LinkId) {
        let (pipe, side) = Self::place(link);
        let Some(ends) = self.pipes.get_mut(&pipe) else { return };
        let end = &mut ends[side];
        let (id, open) = (end.server, end.open);
        let Some(message) = end.queue.pop_front() else { return };
        if matches!(message, Message::Closed) {
            ends[side].open = false;
            self.forget_dead_pipes();
        }
        if !open {
            return;
        }
        let input = match message {
            Message::Notification(body) => Input::Notification { link, body },
            Message::Packet(packet) => Input::Packet { link, packet },
            Message::Closed => Input::LinkDown { link },
            Message::Snapshot(_) => return,
        };
        self.handle(id, input);
    }

    /// Whether the disk of this server has something it can do.
    pub(crate) fn can_store(&self, id: ServerId) -> bool {
        let server = &self.servers[&id];
        if self.stalled.contains(&id) || server.peer.is_none() {
            return false;
        }
        match server.commands.front() {
            None => false,
            Some(StorageCommand::InstallSnapshot { link, .. }) => {
                let (pipe, side) = Self::place(*link);
                let Some(ends) = self.pipes.get(&pipe) else { return true };
                let front = ends[side].queue.front();
                !ends[side].open || matches!(front, Some(Message::Snapshot(_) | Message::Closed))
            }
            Some(_) => true,
        }
    }

    /// Carries out one command, or a batch of appends.
    pub(crate) fn store(&mut self, id: ServerId, batch_max: usize) {
        let server = self.servers.get_mut(&id).unwrap();
        let mut synced = None;
        for _ in 0..batch_max {
            let Some(StorageCommand::Append { .. }) = server.commands.front() else { break };
            let Some(StorageCommand::Append { zxid, payload }) = server.commands.pop_front() else { break };
            server.disk.append(zxid, payload);
            synced = Some(zxid);
        }
        let event = match synced {
            Some(zxid) => StorageEvent::Synced(zxid),
            None => {
                let Some(command) = server.commands.pop_front() else { return };
                self.store_one(id, command)
            }
        };
        self.story.push(format!("s{id} disk has {}", judge::event_text(&event)));
        self.handle(id, Input::Storage(event));
    }

    fn store_one(&mut self, id: ServerId, command: StorageCommand) -> StorageEvent {
        if let StorageCommand::InstallSnapshot { link, zxid } = command {
            let (pipe, side) = Self::place(link);
            let end = self.pipes.get_mut(&pipe).map(|ends| &mut ends[side]);
            let tree = match end {
                Some(end) if matches!(end.queue.front(), Some(Message::Snapshot(_))) => end.queue.pop_front(),
                _ => None,
            };
            let Some(Message::Snapshot(tree)) = tree else { return StorageEvent::SnapshotRefused(zxid) };
            let server = self.servers.get_mut(&id).unwrap();
            server.disk.install(zxid, tree.clone());
            server.applied = tree;
            return StorageEvent::SnapshotInstalled(zxid);
        }
        let server = self.servers.get_mut(&id).unwrap();
        server.disk.carry_out(command, &mut server.applied)
    }

    /// When the next timeout is due.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let timeouts = self.servers.values().filter_map(|server| server.peer.as_ref()?.poll_timeout());
        timeouts.map(|at| at.saturating_duration_since(self.base)).min()
    }

    /// Time moves to the next timeout.
    pub(crate) fn advance(&mut self) {
        let Some(at) = self.next_timeout() else { return };
        self.now = self.now.max(at);
        self.fire();
    }

    fn fire(&mut self) {
        let now = self.instant();
        for id in self.ids() {
            let due = |peer: &Peer| peer.poll_timeout().is_some_and(|at| at <= now);
            if self.servers[&id].peer.as_ref().is_some_and(due) {
                self.handle(id, Input::Timeout);
            }
        }
    }

    /// Everything that needs no time, in a fixed order.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if let Some(link) = self.deliverable().first() {
                self.deliver(*link);
            } else if let Some(id) = self.ids().into_iter().find(|id| self.can_store(*id)) {
                self.store(id, 100);
            } else {
                return;
            }
        }
        let story = self.story[self.story.len() - 60..].join("\n");
        panic!("the ensemble does not settle\n{story}");
    }

    /// Settles, and lets this much time pass in the steps that timeouts ask for.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while self.next_timeout().is_some_and(|at| at <= until) {
            self.advance();
            self.settle();
        }
        self.now = until;
    }

    fn tell_output(&mut self, id: ServerId, output: &Output) {
        let line = match output {
            Output::Send { packet, .. } if packet.kind == PacketType::Ping => return,
            Output::Storage(command) => format!("s{id} disk {}", judge::command_text(command)),
            Output::Deliver { zxid, .. } => format!("s{id} deliver {}", judge::zxid_text(*zxid)),
            Output::Notify { server, body } => {
                format!("s{id} → s{server} {}", judge::notification_text(body))
            }
            Output::Send { link, packet } => {
                let Some(to) = self.other_end(*link) else { return };
                format!("s{id} → s{to} {}", judge::packet_text(packet))
            }
            Output::SendSnapshot { link, zxid } => {
                let Some(to) = self.other_end(*link) else { return };
                format!("s{id} → s{to} snapshot of {}", judge::zxid_text(*zxid))
            }
            Output::DialLeader { server, .. } => format!("s{id} dials s{server}"),
            Output::Close { link, reason } => {
                let Some(to) = self.other_end(*link) else { return };
                let why = match reason {
                    CloseReason::RoleChanged => "role changed".to_owned(),
                    CloseReason::Misbehaved(why) | CloseReason::TimedOut(why) => why.clone(),
                };
                format!("s{id} closes the link to s{to}: {why}")
            }
            Output::Role(role) => format!("s{id} is {}", judge::role_text(*role)),
            Output::Request { .. } => format!("s{id} takes a request"),
            Output::VoteGivenUp { known_by, has_leader } => {
                let what = if *has_leader { "leader" } else { "history" };
                format!("s{id} gives up its vote: s{known_by} has a {what}")
            }
            Output::SyncReached { token } => format!("s{id} sync {token} reached"),
            Output::ConfigActive { text } => format!("s{id} config active, {}", judge::last_line(text)),
            Output::ConfigSeen { text } => format!("s{id} config seen, {}", judge::last_line(text)),
            Output::Touched { server, sessions } => {
                let sessions: Vec<_> =
                    sessions.iter().map(|(session, ms)| format!("{session} {ms}ms")).collect();
                format!("s{id} hears from s{server} of {}", sessions.join(", "))
            }
            Output::Revalidate { server, session, .. } => {
                format!("s{id} is asked by s{server} for {session}")
            }
            Output::Revalidated { session, valid } => format!("s{id} learns that {session} lives: {valid}"),
        };
        self.story.push(line);
    }
}
