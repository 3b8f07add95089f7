//! What a session tells without being asked: watch events and changes of its state.

use std::fmt;

use oxherd_proto::Zxid;

/// What happened to a node, or to the session.
// Java: Watcher.Event.EventType
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The session's state changed; no node is concerned.
    None,
    /// The node was created.
    NodeCreated,
    /// The node was deleted.
    NodeDeleted,
    /// The node's data changed.
    NodeDataChanged,
    /// A child was created or deleted.
    NodeChildrenChanged,
    /// A data watch was removed on request.
    DataWatchRemoved,
    /// A child watch was removed on request.
    ChildWatchRemoved,
    /// A persistent watch was removed on request.
    PersistentWatchRemoved,
}

impl EventType {
    /// The type with this number in a notification; `None` for what no server sends.
    pub fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::NodeCreated,
            2 => Self::NodeDeleted,
            3 => Self::NodeDataChanged,
            4 => Self::NodeChildrenChanged,
            _ => return None,
        })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The session's state as an event carries it.
// Java: Watcher.Event.KeeperState
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeeperState {
    /// The connection is lost; the session goes on if another is made in time.
    Disconnected,
    /// Connected to a server with a quorum.
    SyncConnected,
    /// Authentication failed; the session is over.
    AuthFailed,
    /// Connected to a read-only server.
    ConnectedReadOnly,
    /// The session has expired.
    Expired,
    /// The session was closed by this client.
    Closed,
}

impl fmt::Display for KeeperState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One event of a session.
// Java: WatchedEvent
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// The session's state then.
    pub state: KeeperState,
    /// The node, without the chroot; `None` when the session itself is meant.
    pub path: Option<String>,
    /// The txn that caused it; −1 when unknown.
    pub zxid: Zxid,
}

/// Where a session stands.
// Java: ZooKeeper.States
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionState {
    /// Looking for a server.
    Connecting,
    /// Connected.
    Connected,
    /// Connected to a read-only server.
    ConnectedReadOnly,
    /// Over: closed or expired.
    Closed,
    /// Over: an identity was refused.
    AuthFailed,
}

impl SessionState {
    /// Whether the session may still answer requests.
    pub fn is_alive(self) -> bool {
        !matches!(self, Self::Closed | Self::AuthFailed)
    }

    /// Whether a server answers now.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::ConnectedReadOnly)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::ConnectedReadOnly => "CONNECTEDREADONLY",
            Self::Closed => "CLOSED",
            Self::AuthFailed => "AUTH_FAILED",
        })
    }
}
