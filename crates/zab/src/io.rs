//! What goes into a [`crate::Peer`] and what comes out.
//!
//! Outputs form one ordered queue. The driver carries them out in that order; `Deliver` before a
//! `SendSnapshot` therefore is in the tree when the snapshot's walk begins.

use bytes::Bytes;
use oxherd_proto::Id;
use oxherd_proto::{Epoch, QuorumPacket, ServerId, SessionId, Zxid};

use crate::storage::{StorageCommand, StorageEvent};

/// One connection, for its whole life. The driver never uses a number twice, so whatever arrives late
/// from an older connection is recognised and dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Which conversation a new link serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkKind {
    /// Election link with this server, whoever dialled.
    Election(ServerId),
    /// A learner dialled our peer port.
    Learner,
    /// An observer dialled our observer master port.
    ObserverMaster,
    /// We dialled, as [`Output::DialLeader`] asked.
    Leader(ServerId),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The time that `poll_timeout` named has come. Harmless when early.
    Timeout,
    /// Storage answers.
    Storage(StorageEvent),
    /// A link is ready for messages.
    LinkUp {
        /// Its number.
        link: LinkId,
        /// What it is for.
        kind: LinkKind,
    },
    /// A link is gone; nothing more comes from it.
    LinkDown {
        /// Its number.
        link: LinkId,
    },
    /// A dial failed: one that [`Output::DialLeader`] asked for and that was given up, or one to an
    /// election port, which is tried again when there is something to say.
    DialFailed {
        /// What it was for.
        kind: LinkKind,
    },
    /// The body of a frame on an election link.
    Notification {
        /// Where it came from.
        link: LinkId,
        /// Without the length.
        body: Bytes,
    },
    /// A packet on a learner's or the leader's link.
    Packet {
        /// Where it came from.
        link: LinkId,
        /// What it says.
        packet: QuorumPacket,
    },
    /// The peer takes the tree that [`Output::SendSnapshot`] told to send: another part of it is on its way, or all of
    /// it. Who takes something is there, however long the whole takes.
    TreeTaken {
        /// The link.
        link: LinkId,
    },
    /// Whether the log's disk has room for txns that add data. A leader without room hands over to those
    /// who may have some, and comes late to the election.
    Room(bool),
    /// The operator wants this server to end. It answers with [`Role::Stopped`] when it may.
    Stop,
}

/// What is to be done. `Send`, `SendSnapshot` and `Close` for a link that is gone are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// For the log thread.
    Storage(StorageCommand),
    /// This txn is committed and durable here; apply it. In zxid order, each once.
    Deliver {
        /// The txn's zxid.
        zxid: Zxid,
        /// As stored.
        payload: Bytes,
    },
    /// Put this on the election link to that server, in place of anything still waiting there; dial
    /// when there is no link.
    Notify {
        /// To whom.
        server: ServerId,
        /// The frame's body.
        body: Bytes,
    },
    /// Wait, then dial that server's peer port, as long as the timeout allows; answer with `LinkUp` or `DialFailed`.
    DialLeader {
        /// Whom.
        server: ServerId,
        /// Its observer master port is meant, not its peer port.
        observer_master: bool,
        /// Begin after this many milliseconds, …
        after_ms: u64,
        /// … and give up this many later.
        within_ms: u64,
    },
    /// Send on a learner's or the leader's link, behind everything sent there before.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        packet: QuorumPacket,
    },
    /// Send the tree as it is at this place of the output queue, in slices, and the closing mark
    /// `BenWasHere`; hold later `Send`s of this link behind it.
    SendSnapshot {
        /// On which link.
        link: LinkId,
        /// The tree's last zxid.
        zxid: Zxid,
    },
    /// Close this link, with the reason for the log. What was sent on it before goes out first when the
    /// role changed; no `LinkDown` is needed for it, and none does harm.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// What this server is from here on.
    Role(Role),
    /// A learner passed on a client's request (leader only).
    Request {
        /// The learner's link, for answers.
        link: LinkId,
        /// Session, xid, operation and body, as in the REQUEST packet.
        data: Bytes,
        /// The client's identities.
        authinfo: Vec<Id>,
    },
    /// These sessions were heard of at a learner; the time is the session's timeout (leader only).
    Touched {
        /// The learner.
        server: ServerId,
        /// Session and timeout in milliseconds.
        sessions: Vec<(SessionId, i32)>,
    },
    /// A learner asks whether a session lives (leader only); answer with
    /// [`crate::Peer::answer_revalidate`].
    Revalidate {
        /// The learner's link.
        link: LinkId,
        /// The learner.
        server: ServerId,
        /// Which session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// The leader says whether a session lives (learner only).
    Revalidated {
        /// Which session.
        session: SessionId,
        /// Whether it may go on here.
        valid: bool,
    },
    /// The sync that was asked for with this token is reached (all roles).
    SyncReached {
        /// From [`crate::Peer::sync`].
        token: u64,
    },
    /// This server's disk was empty at the start, and that server of its ensemble has a history: this one votes no
    /// more until it has learned from a leader. For the operator, who may know better.
    VoteGivenUp {
        /// Who showed that there is a history.
        known_by: ServerId,
        /// Whether that server has a leader, from whom this one will learn as a new server does.
        has_leader: bool,
    },
    /// The ensemble's configuration is now this text.
    ConfigActive {
        /// The dynamic configuration, with its version line.
        text: String,
    },
    /// A newer configuration was seen; keep it beside the active one.
    ConfigSeen {
        /// The dynamic configuration, with its version line.
        text: String,
    },
}

/// Why a link is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The other side broke the protocol.
    Misbehaved(String),
    /// The other side was silent or slow for too long.
    TimedOut(String),
    /// We changed our role.
    RoleChanged,
}

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looking for a leader; no clients.
    Looking,
    /// Looking for a leader for so long that read-only clients are welcome.
    ReadOnly,
    /// Chosen as leader or about to learn from one; no clients.
    Synchronizing {
        /// The leader, maybe this server.
        leader: ServerId,
    },
    /// Leader in broadcast: `propose` may be called.
    Leading {
        /// Its epoch.
        epoch: Epoch,
    },
    /// Voter in broadcast.
    Following {
        /// The leader.
        leader: ServerId,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Non-voter in broadcast.
    Observing {
        /// The leader, or the observer master.
        leader: ServerId,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Ended: asked to, or the disk failed. Nothing is taken any more.
    Stopped {
        /// Whether it was a fault; the driver knows the words from the storage event.
        failed: bool,
    },
}
