//! The body of a snapshot, written in slices while txns go on.
//!
//! ```text
//! sessions  count i32, (id i64, timeout i32)*
//! ACLs      count i32, (id i64, vector of ACL)*
//! nodes     (path ustring, data buffer, acl id i64, StatPersisted)*    the root's path is ""
//! end       ustring "/"
//! ```
//! A walk yields the tree as it was when the walk began, parents before children: a node that is about
//! to change is put aside first, and a node made since is left out.

use oxherd_proto::{Jute, SessionId, StatPersisted, Zxid};

use crate::acl::AclTable;
use crate::node::{NodeId, ROOT};
use crate::store::Store;
use crate::tree::Tree;

/// Names a walk of one tree; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalkId(u64);

/// Whether a walk has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkState {
    /// Call again.
    More,
    /// The body is complete, or there is no such walk.
    Done,
}

/// What a walk shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkPoint {
    /// The last txn in it.
    pub zxid: Zxid,
    /// The tree's digest after that txn.
    pub digest: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Walks {
    active: Vec<Walk>,
    last: u64,
}

#[derive(Debug)]
struct Walk {
    id: WalkId,
    point: WalkPoint,
    /// A bit for each place that existed at the beginning: written, or not to be written.
    emitted: Vec<u64>,
    /// Places at the beginning.
    len: NodeId,
    /// The next place to look at.
    next: NodeId,
    /// Bytes to go out before any further node; from `pending_at`.
    pending: Vec<u8>,
    pending_at: usize,
    ended: bool,
}

impl Tree {
    /// Begins a walk of the tree as it is now; `sessions` go first, in the order given.
    pub fn begin_walk(&mut self, sessions: Vec<(SessionId, i32)>) -> WalkId {
        let mut pending = Vec::new();
        encode_count(sessions.len(), &mut pending);
        for (session, timeout_ms) in sessions {
            session.encode(&mut pending);
            timeout_ms.encode(&mut pending);
        }
        encode_acls(&self.acls, &mut pending);
        self.walks.last += 1;
        let id = WalkId(self.walks.last);
        let len = self.store.len();
        self.walks.active.push(Walk {
            id,
            point: WalkPoint { zxid: self.last_zxid(), digest: self.digest() },
            emitted: vec![0; (len as usize).div_ceil(64)],
            len,
            next: ROOT,
            pending,
            pending_at: 0,
            ended: false,
        });
        id
    }

    /// What the walk shows; `None` when it has ended.
    pub fn walk_point(&self, id: WalkId) -> Option<WalkPoint> {
        self.walks.active.iter().find(|walk| walk.id == id).map(|walk| walk.point)
    }

    /// Appends about `bytes_max` bytes of the body, a node more at most.
    pub fn walk_slice(&mut self, id: WalkId, out: &mut Vec<u8>, bytes_max: usize) -> WalkState {
        let Self { walks, store, acls, .. } = self;
        match walks.active.iter_mut().find(|walk| walk.id == id) {
            Some(walk) => walk.slice(store, acls, out, out.len() + bytes_max),
            None => WalkState::Done,
        }
    }

    /// Takes the place of another tree: walks of that one are not mistaken for walks of this.
    pub fn follow(&mut self, former: &Self) {
        self.walks.last = self.walks.last.max(former.walks.last);
    }

    /// Ends a walk, complete or not.
    pub fn end_walk(&mut self, id: WalkId) {
        self.walks.active.retain(|walk| walk.id != id);
    }
}

impl Walks {
    /// A node is about to change or go.
    pub(crate) fn capture(&mut self, store: &Store, acls: &AclTable, id: NodeId) {
        for walk in &mut self.active {
            let mut pending = std::mem::take(&mut walk.pending);
            walk.emit(store, acls, id, &mut pending);
            walk.pending = pending;
        }
    }

    /// A node was made, maybe in a place that is used again.
    pub(crate) fn skip(&mut self, id: NodeId) {
        for walk in &mut self.active {
            walk.mark(id);
        }
    }
}

impl Walk {
    fn slice(&mut self, store: &Store, acls: &AclTable, out: &mut Vec<u8>, len_max: usize) -> WalkState {
        let take = (self.pending.len() - self.pending_at).min(len_max.saturating_sub(out.len()));
        out.extend_from_slice(&self.pending[self.pending_at..self.pending_at + take]);
        self.pending_at += take;
        if self.pending_at < self.pending.len() {
            return WalkState::More;
        }
        self.pending = Vec::new();
        self.pending_at = 0;
        while self.next < self.len {
            if out.len() >= len_max {
                return WalkState::More;
            }
            self.emit(store, acls, self.next, out);
            self.next += 1;
        }
        if !self.ended {
            self.ended = true;
            encode_bytes(Some(b"/"), out);
        }
        WalkState::Done
    }

    /// True the first time, for a place that existed at the beginning.
    fn mark(&mut self, id: NodeId) -> bool {
        if id >= self.len {
            return false;
        }
        let word = &mut self.emitted[id as usize / 64];
        let bit = 1 << (id % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    fn is_marked(&self, id: NodeId) -> bool {
        id >= self.len || self.emitted[id as usize / 64] & (1 << (id % 64)) != 0
    }

    /// Writes a node unless it was written; those above it that were not, first.
    fn emit(&mut self, store: &Store, acls: &AclTable, id: NodeId, out: &mut Vec<u8>) {
        if self.is_marked(id) || store.get(id).is_none() {
            return;
        }
        let mut chain = smallvec::SmallVec::<[NodeId; 16]>::new();
        let mut at = id;
        while self.mark(at) {
            chain.push(at);
            at = store.node(at).parent;
        }
        for id in chain.into_iter().rev() {
            encode_node(store, acls, id, out);
        }
    }
}

fn encode_acls(acls: &AclTable, out: &mut Vec<u8>) {
    let lists = acls.defined();
    encode_count(lists.len(), out);
    for (id, list) in lists {
        id.encode(out);
        encode_count(list.len(), out);
        list.iter().for_each(|acl| acl.encode(out));
    }
}

fn encode_node(store: &Store, acls: &AclTable, id: NodeId, out: &mut Vec<u8>) {
    let node = store.node(id);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    store.write_path(id, out);
    let path_len = i32::try_from(out.len() - at - 4).expect("a frame bounds a path");
    out[at..at + 4].copy_from_slice(&path_len.to_be_bytes());
    encode_bytes(node.data(), out);
    acls.id(node.acl).encode(out);
    StatPersisted::encode(&node.persisted(), out);
}

fn encode_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        None => (-1i32).encode(out),
        Some(bytes) => {
            encode_count(bytes.len(), out);
            out.extend_from_slice(bytes);
        }
    }
}

fn encode_count(count: usize, out: &mut Vec<u8>) {
    i32::try_from(count).expect("counts and lengths are below 2^31").encode(out);
}
