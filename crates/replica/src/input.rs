//! What goes into a replica and what comes out.

use std::sync::Arc;

use bytes::Bytes;
use oxherd_proto::{PASSWORD_LEN, SessionId, Xid};
use oxherd_tree::{ClientId, WalkId, Watches};
use oxherd_zab::{LinkId, Role, StorageCommand, StorageEvent};
use parking_lot::Mutex;

use crate::connection::{Close, Connection};
use crate::prepare::WriteRequest;
use crate::session::Pulse;

/// The watches of all links; taken last, after the tree and the link.
pub type SharedWatches = Mutex<Watches>;

/// A handshake that passed the link's own checks.
#[derive(Clone, Debug)]
pub struct Connect {
    /// The link.
    pub client: ClientId,
    /// The session to go on with; 0 for a new one.
    pub session: SessionId,
    /// What the client gave as the session's password.
    pub password: Bytes,
    /// The timeout granted, in ms.
    pub timeout_ms: i32,
    /// Whether a server without a quorum will do, which serves reads alone.
    pub read_only: bool,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// A client wants a session.
    Connect(Connect),
    /// A client writes.
    Write {
        /// The link.
        client: ClientId,
        /// What it wants.
        request: WriteRequest,
    },
    /// A client asks to catch up with the leader.
    Sync {
        /// The link.
        client: ClientId,
        /// Its session.
        session: SessionId,
        /// The request's number.
        xid: Xid,
        /// The path, which is only echoed.
        body: Bytes,
    },
    /// A link ended.
    Gone {
        /// The link.
        client: ClientId,
        /// The session it carried; 0 for none.
        session: SessionId,
    },
    /// Storage did something it was told to.
    Storage(StorageEvent),
    /// Something happened on the links to other servers; storage events come as [`Self::Storage`].
    Peer(oxherd_zab::Input),
    /// Whether storage has room for more than deletes.
    Room(bool),
    /// A snapshot was begun, or could not be; the next one is counted from here.
    SnapshotBegun,
    /// The time of [`crate::Replica::poll_timeout`] came.
    Timeout,
}

/// Something is to be done.
#[derive(Debug)]
pub enum Output {
    /// For the log thread, in this order.
    Storage(StorageCommand),
    /// For a link.
    Client(ClientId, ClientCommand),
    /// What the server is from here on.
    Role(Role),
    /// A snapshot of the tree as it is now is due.
    Snapshot,
    /// For the links to other servers.
    Peer(oxherd_zab::Output),
    /// The walk of the tree has begun that the oldest `SendSnapshot` of this link waits for.
    WalkBegun {
        /// The link.
        link: LinkId,
        /// The walk; to be ended by whoever takes it.
        walk: WalkId,
    },
    /// The replica cannot go on; the process must stop.
    Halt(String),
}

/// What a link is told.
#[derive(Debug)]
pub enum ClientCommand {
    /// Its session is ready.
    Ready {
        /// The session.
        session: SessionId,
        /// Its password.
        password: [u8; PASSWORD_LEN],
        /// What packets of the link touch.
        pulse: Arc<Pulse>,
        /// Whether the server has no quorum and serves reads alone.
        read_only: bool,
    },
    /// The session it asked for is gone.
    Expired,
    /// It ends.
    Close(Close),
}

/// The links as the exclusive step reaches them.
pub trait Clients {
    /// Runs `act` on the link, if it is still there.
    fn with(&mut self, client: ClientId, act: &mut dyn FnMut(&mut Connection));
}
