//! What three voters say, hear and write in a run, as `spec/ZabTrace.tla` reads it.
//!
//! A trace is a list of flat events, one JSON line each. Every event is one step of `spec/Zab.tla`; what
//! agreement does not rest on (pings, requests, sessions) is left out.

pub mod module;
pub mod mutation;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use oxherd_proto::{Epoch, Notification, PacketType, PeerState, QuorumPacket, ServerId, Zxid};
use oxherd_zab::{LinkId, Role, StorageCommand, StorageEvent};
use serde::{Deserialize, Serialize};

/// One step of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Event {
    /// What happened: `start`, `crash`, `vote`, `elect`, `look`, `lead`, `follow`, `up`, `down`, `send`, `recv`,
    /// `queue` (given to the disk), `disk` (durable), `propose`, `deliver`.
    pub ev: String,
    /// At which server.
    pub s: i64,
    /// The link's number in this trace, or the other server, or the accepted epoch of a start.
    pub l: i64,
    /// The kind of packet or of storage command.
    pub m: String,
    /// Epoch, or the epoch of the zxid.
    pub e: i64,
    /// Counter of the zxid.
    pub c: i64,
    /// A further epoch or server.
    pub x: i64,
}

impl Event {
    fn new(ev: &str, server: ServerId) -> Self {
        Self { ev: ev.to_owned(), s: server.0, ..Self::default() }
    }

    fn on(self, l: i64) -> Self {
        Self { l, ..self }
    }

    fn kind(self, m: &str) -> Self {
        Self { m: m.to_owned(), ..self }
    }

    fn zxid(self, zxid: Zxid) -> Self {
        // No zxid at all: a server whose empty disk nobody explained.
        let c = if zxid.0 < 0 { -1 } else { i64::from(zxid.counter()) };
        Self { e: zxid.epoch().0, c, ..self }
    }

    fn and(self, x: i64) -> Self {
        Self { x, ..self }
    }
}

/// Collects the events of a run; nothing unless it is switched on.
#[derive(Debug, Default)]
pub struct Recorder {
    on: bool,
    /// What was recorded.
    pub events: Vec<Event>,
    links: BTreeMap<LinkId, i64>,
    last_link: i64,
    /// Leaders in broadcast, with their last proposal.
    leading: BTreeMap<ServerId, Zxid>,
    delivered: BTreeMap<ServerId, Zxid>,
    /// The epoch each server last announced.
    epochs: BTreeMap<ServerId, Epoch>,
    votes: BTreeMap<ServerId, Event>,
}

impl Recorder {
    /// One that records.
    pub fn switched_on() -> Self {
        Self { on: true, ..Self::default() }
    }

    fn note(&mut self, event: Event) {
        if self.on {
            self.events.push(event);
        }
    }

    /// A server has read its files.
    pub fn started(&mut self, server: ServerId, last: Zxid, accepted: Epoch, current: Epoch) {
        self.delivered.remove(&server);
        self.note(Event::new("start", server).zxid(last).on(accepted.0).and(current.0));
    }

    /// A server is gone.
    pub fn crashed(&mut self, server: ServerId) {
        self.leading.remove(&server);
        self.votes.remove(&server);
        self.note(Event::new("crash", server));
    }

    /// A learner has reached a server; each holds an end of the link.
    pub fn connected(&mut self, learner: (ServerId, LinkId), leader: (ServerId, LinkId)) {
        let number = self.dialled(learner.0, learner.1, leader.0);
        self.accepted(leader.1, number);
    }

    /// A learner has reached a server, whose end is not known yet; the link's number in this trace.
    pub fn dialled(&mut self, learner: ServerId, link: LinkId, leader: ServerId) -> i64 {
        self.last_link += 1;
        self.links.insert(link, self.last_link);
        self.note(Event::new("up", learner).on(self.last_link).and(leader.0));
        self.last_link
    }

    /// The leader's end of a link.
    pub fn accepted(&mut self, link: LinkId, number: i64) {
        self.links.insert(link, number);
    }

    /// A server's end of a link is closed.
    pub fn disconnected(&mut self, server: ServerId, link: LinkId) {
        if let Some(number) = self.links.remove(&link) {
            self.note(Event::new("down", server).on(number));
        }
    }

    /// A server that looks for a leader tells its vote; the same vote again is no news.
    pub fn voted(&mut self, server: ServerId, body: &[u8]) {
        let Ok(vote) = Notification::decode(bytes::Bytes::copy_from_slice(body)) else { return };
        if !self.on || vote.state != PeerState::Looking {
            return;
        }
        let event = Event::new("vote", server).on(vote.leader.0).zxid(vote.zxid).and(vote.peer_epoch.0);
        if self.votes.insert(server, event.clone()).as_ref() != Some(&event) {
            self.note(event);
        }
    }

    /// A server has another role.
    pub fn role(&mut self, server: ServerId, role: Role) {
        if let Role::Leading { epoch } = role {
            return self.established(server, epoch);
        }
        self.leading.remove(&server);
        let event = match role {
            Role::Looking => Event::new("look", server),
            Role::Synchronizing { leader } => Event::new("elect", server).on(leader.0),
            Role::Following { leader, epoch } => {
                Event { e: epoch.0, ..Event::new("follow", server) }.on(leader.0)
            }
            Role::Leading { .. } | Role::ReadOnly | Role::Observing { .. } | Role::Stopped { .. } => return,
        };
        self.votes.remove(&server);
        self.note(event);
    }

    /// A leader has its quorum. It says so to its learners before its clients hear of it.
    fn established(&mut self, server: ServerId, epoch: Epoch) {
        if let Entry::Vacant(place) = self.leading.entry(server) {
            place.insert(Zxid::new(epoch, 0));
            self.note(Event { e: epoch.0, ..Event::new("lead", server) });
        }
    }

    /// A server sends a packet.
    pub fn sent(&mut self, server: ServerId, link: LinkId, packet: &QuorumPacket) {
        if packet.kind == PacketType::NewLeader {
            self.epochs.insert(server, packet.zxid.epoch());
        }
        if let (PacketType::UpToDate, Some(epoch)) = (packet.kind, self.epochs.get(&server)) {
            self.established(server, *epoch);
        }
        if packet.kind == PacketType::Proposal {
            self.proposed(server, packet.zxid);
        }
        self.packet("send", server, link, packet);
    }

    /// A server takes a packet.
    pub fn received(&mut self, server: ServerId, link: LinkId, packet: &QuorumPacket) {
        self.packet("recv", server, link, packet);
    }

    fn packet(&mut self, ev: &str, server: ServerId, link: LinkId, packet: &QuorumPacket) {
        let (Some(number), Some(kind)) = (self.links.get(&link), kind(packet)) else { return };
        let event = Event::new(ev, server).on(*number).kind(kind);
        let event = match packet.kind {
            PacketType::AckEpoch => event.zxid(packet.zxid).and(acked_epoch(packet)),
            PacketType::UpToDate => event,
            _ => event.zxid(packet.zxid),
        };
        self.note(event);
    }

    /// A leader has made a txn: seen in the first thing that comes of it.
    fn proposed(&mut self, server: ServerId, zxid: Zxid) {
        if let Some(last) = self.leading.get_mut(&server).filter(|last| **last < zxid) {
            *last = zxid;
            self.note(Event::new("propose", server).zxid(zxid));
        }
    }

    /// A server gives its log thread something to do.
    pub fn commanded(&mut self, server: ServerId, command: &StorageCommand) {
        let event = Event::new("queue", server);
        let event = match command {
            StorageCommand::Append { zxid, .. } => {
                self.proposed(server, *zxid);
                event.kind("APPEND").zxid(*zxid)
            }
            StorageCommand::StoreAcceptedEpoch(epoch) => Event { e: epoch.0, ..event.kind("ACCEPTED") },
            StorageCommand::StoreCurrentEpoch(epoch) => Event { e: epoch.0, ..event.kind("CURRENT") },
            StorageCommand::Truncate(zxid) => event.kind("CUT").zxid(*zxid),
            StorageCommand::InstallSnapshot { zxid, .. } => event.kind("INSTALL").zxid(*zxid),
            StorageCommand::ReadLog { .. } => return,
        };
        self.note(event);
    }

    /// A server hears that something is durable.
    pub fn stored(&mut self, server: ServerId, stored: &StorageEvent) {
        let event = Event::new("disk", server);
        let event = match stored {
            StorageEvent::Synced(zxid) => event.kind("APPEND").zxid(*zxid),
            StorageEvent::AcceptedEpochStored(epoch) => Event { e: epoch.0, ..event.kind("ACCEPTED") },
            StorageEvent::CurrentEpochStored(epoch) => Event { e: epoch.0, ..event.kind("CURRENT") },
            StorageEvent::Truncated(zxid) => event.kind("CUT").zxid(*zxid),
            StorageEvent::SnapshotInstalled(zxid) => event.kind("INSTALL").zxid(*zxid),
            StorageEvent::SnapshotRefused(_) => event.kind("REFUSED"),
            StorageEvent::LogRead { .. } | StorageEvent::Failed(_) => return,
        };
        self.note(event);
    }

    /// The tree that a server shows to clients ends at this zxid.
    pub fn shows(&mut self, server: ServerId, zxid: Zxid) {
        if self.delivered.insert(server, zxid) != Some(zxid) && zxid != Zxid::ZERO {
            self.note(Event::new("deliver", server).zxid(zxid));
        }
    }
}

/// The packet's name in the specification, where an ACK of NEWLEADER has its own; `None` when it is left out.
fn kind(packet: &QuorumPacket) -> Option<&'static str> {
    Some(match packet.kind {
        PacketType::FollowerInfo => "FOLLOWERINFO",
        PacketType::LeaderInfo => "LEADERINFO",
        PacketType::AckEpoch => "ACKEPOCH",
        PacketType::Diff => "DIFF",
        PacketType::Trunc => "TRUNC",
        PacketType::Snap => "SNAP",
        PacketType::Proposal => "PROPOSAL",
        PacketType::Commit => "COMMIT",
        PacketType::NewLeader => "NEWLEADER",
        PacketType::Ack if packet.zxid.counter() == 0 => "ACKLD",
        PacketType::Ack => "ACK",
        PacketType::UpToDate => "UPTODATE",
        _ => return None,
    })
}

/// The current epoch in an ACKEPOCH; −1 when the sender is not to be counted.
fn acked_epoch(packet: &QuorumPacket) -> i64 {
    let bytes = packet.data.as_ref().and_then(|data| data.get(..4)?.try_into().ok());
    bytes.map_or(-1, |bytes| i64::from(i32::from_be_bytes(bytes)))
}
