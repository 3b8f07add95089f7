//! A request on its way: bytes, and what its reply changes in the session.

use bytes::Bytes;
use oxherd_proto::{Jute, OpCode, Str, Zxid};

/// Which table of watches a request adds to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// Set by reading data.
    Data,
    /// Set by asking whether a node exists; counts as data watch when it does.
    Exists,
    /// Set by listing children.
    Child,
    /// Stays, for one node.
    Persistent,
    /// Stays, for a node and all below it.
    PersistentRecursive,
}

/// Which watches a removal means.
// Java: Watcher.WatcherType
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherType {
    /// Child watches.
    Children,
    /// Data watches.
    Data,
    /// All.
    Any,
    /// Persistent ones.
    Persistent,
    /// Persistent recursive ones.
    PersistentRecursive,
}

impl WatcherType {
    /// The number on the wire.
    pub fn code(self) -> i32 {
        match self {
            Self::Children => 1,
            Self::Data => 2,
            Self::Any => 3,
            Self::Persistent => 4,
            Self::PersistentRecursive => 5,
        }
    }
}

/// What a successful reply changes in the session's tables. Paths are the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A watch is set.
    Watch(WatchKind, Str),
    /// Watches are gone; `local` removes them even when no server answers.
    Unwatch {
        /// The server's path.
        path: Str,
        /// Which ones.
        kind: WatcherType,
        /// Whether a lost connection counts as success.
        local: bool,
    },
}

/// An operation, its encoded body and its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub op: OpCode,
    /// The encoded record.
    pub body: Vec<u8>,
    /// What the reply changes here.
    pub effect: Effect,
}

impl Request {
    /// A request that changes nothing in the session.
    pub fn new(op: OpCode, record: &impl Jute) -> Self {
        Self { op, body: record.to_vec(), effect: Effect::None }
    }

    /// A request without a body.
    pub fn bare(op: OpCode) -> Self {
        Self { op, body: Vec::new(), effect: Effect::None }
    }

    /// The request with an effect.
    pub fn with(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The server's last txn then.
    pub zxid: Zxid,
    /// The encoded record.
    pub body: Bytes,
}
