//! The inverse of a walk: a tree from the body of a snapshot, which comes in pieces.
//!
//! Holds no more than was received: a claimed length allocates nothing.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use bytes::Bytes;
use foldhash::fast::FixedState;
use oxherd_proto::{Acl, DecodeError, Input, Jute, SessionId, StatPersisted, Str};
use thiserror::Error;

use crate::acl::OPEN;
use crate::node::{Node, NodeId, ROOT};
use crate::path;
use crate::quota::delta;
use crate::tree::{Tree, TreeOptions};

/// Largest path, data or ACL of a snapshot, in bytes; what a frame may carry is smaller by far.
const RECORD_LEN_MAX: usize = 1 << 28;

/// Why bytes are not the body of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// A record is not what it should be.
    #[error("snapshot record {record}: {error}")]
    Record {
        /// Which record, counted from 0 over sessions, ACLs and nodes.
        record: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A node comes before its parent, or its path is none.
    #[error("snapshot node {0} has no parent before it")]
    Parent(Str),
    /// The bytes end before the body does.
    #[error("snapshot ends early")]
    Incomplete,
    /// More was pushed after the end.
    #[error("bytes after the end of a snapshot")]
    Ended,
}

/// Whether the body is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadProgress {
    /// Push more.
    More,
    /// The body ended within the bytes pushed last.
    Done {
        /// How many of them belong to it.
        consumed: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Part {
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    End,
}

/// Parents remembered while a tree is loaded.
const PARENTS: usize = 64;

/// Builds a tree from pieces of a body.
#[derive(Debug)]
pub struct Loader {
    tree: Tree,
    sessions: BTreeMap<SessionId, i32>,
    /// Slots by the ids of the snapshot.
    acls: BTreeMap<i64, u32>,
    /// Parents of the last nodes, each where its path says; their other children come next as a rule.
    parents: Vec<(Vec<u8>, NodeId)>,
    part: Part,
    record: u64,
    /// The beginning of a record whose end has not come.
    rest: Vec<u8>,
    /// Fewest bytes that record needs.
    needed: usize,
}

impl Loader {
    /// A loader at the beginning of a body.
    pub fn new(options: TreeOptions) -> Self {
        Self {
            tree: Tree::bare(options),
            sessions: BTreeMap::new(),
            acls: BTreeMap::new(),
            parents: vec![(Vec::new(), ROOT); PARENTS],
            part: Part::SessionCount,
            record: 0,
            rest: Vec::new(),
            needed: 0,
        }
    }

    /// Makes room ahead for a body of about this many bytes, so that the index need not grow step by step.
    #[must_use]
    pub fn expecting(mut self, body_bytes: u64) -> Self {
        /// What a node of modest data takes; larger ones only make the room too large.
        const NODE_BYTES: u64 = 160;
        const NODES_MAX: u64 = 1 << 24;
        let nodes = (body_bytes / NODE_BYTES).min(NODES_MAX);
        self.tree.reserve(usize::try_from(nodes).unwrap_or(0));
        self
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<LoadProgress, LoadError> {
        if matches!(self.part, Part::End) {
            return Err(LoadError::Ended);
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() < self.needed {
            return Ok(LoadProgress::More);
        }
        let mut input = Input::new(Bytes::from(std::mem::take(&mut self.rest)));
        self.needed = 0;
        while !matches!(self.part, Part::End) {
            let before = input.clone();
            match self.step(&mut input) {
                Ok(()) => self.record += 1,
                Err(LoadError::Record { error: DecodeError::Truncated { needed, left }, .. }) => {
                    return self.wait(before, needed - left);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(LoadProgress::Done { consumed: bytes.len() - input.remaining() })
    }

    fn wait(&mut self, before: Input, missing: usize) -> Result<LoadProgress, LoadError> {
        self.rest = before.as_slice().to_vec();
        self.needed = self.rest.len() + missing;
        if self.needed > RECORD_LEN_MAX {
            let error = DecodeError::Length(i64::try_from(missing).unwrap_or(i64::MAX));
            return Err(LoadError::Record { record: self.record, error });
        }
        Ok(LoadProgress::More)
    }

    fn step(&mut self, input: &mut Input) -> Result<(), LoadError> {
        let record = self.record;
        let wrong = |error| LoadError::Record { record, error };
        match self.part {
            Part::SessionCount => self.part = Part::Sessions(i32::decode(input).map_err(wrong)?),
            Part::Sessions(1..) => self.session(input).map_err(wrong)?,
            Part::Sessions(_) => self.part = Part::AclCount,
            Part::AclCount => self.part = Part::Acls(i32::decode(input).map_err(wrong)?),
            Part::Acls(1..) => self.acl(input).map_err(wrong)?,
            Part::Acls(_) => self.part = Part::Nodes,
            Part::Nodes => self.node(input, wrong)?,
            Part::End => {}
        }
        Ok(())
    }

    fn session(&mut self, input: &mut Input) -> Result<(), DecodeError> {
        let (session, timeout_ms) = (SessionId::decode(input)?, i32::decode(input)?);
        self.sessions.insert(session, timeout_ms);
        if let Part::Sessions(left) = &mut self.part {
            *left -= 1;
        }
        Ok(())
    }

    /// The vector is read one by one: its count alone says nothing about the bytes received.
    fn acl(&mut self, input: &mut Input) -> Result<(), DecodeError> {
        let (id, count) = (i64::decode(input)?, i32::decode(input)?);
        if count == -1 {
            return Err(DecodeError::Null);
        }
        let list: Vec<Acl> = (0..count).map(|_| Acl::decode(input)).collect::<Result<_, _>>()?;
        self.acls.insert(id, self.tree.acls.define(id, list.into()));
        if let Part::Acls(left) = &mut self.part {
            *left -= 1;
        }
        Ok(())
    }

    // Java: DataTree.deserialize
    fn node(&mut self, input: &mut Input, wrong: impl Fn(DecodeError) -> LoadError) -> Result<(), LoadError> {
        let path = Str::decode(input).map_err(&wrong)?;
        if path.as_bytes() == b"/" {
            self.part = Part::End;
            self.complete();
            return Ok(());
        }
        let data = input.buffer().map_err(&wrong)?;
        let acl = i64::decode(input).map_err(&wrong)?;
        let stat = StatPersisted::decode(input).map_err(&wrong)?;
        self.add(&path, data.as_deref(), acl, &stat)
    }

    fn add(
        &mut self,
        path: &Str,
        data: Option<&[u8]>,
        acl: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        let orphan = || LoadError::Parent(path.clone());
        let acl = self.acl_slot(acl);
        if path.is_empty() {
            self.replace(ROOT, path, data, acl, stat);
            return Ok(());
        }
        let (parent, name) = path::split(path).ok_or_else(orphan)?;
        let parent = self.parent_at(parent).ok_or_else(orphan)?;
        if let Err(there) = self.tree.add_node(parent, path, Node::new(name, data, acl, stat)) {
            self.replace(there, path, data, acl, stat);
        }
        Ok(())
    }

    fn parent_at(&mut self, path: &[u8]) -> Option<NodeId> {
        let at = FixedState::default().hash_one(path) % PARENTS as u64;
        let known = &mut self.parents[usize::try_from(at).unwrap_or(0)];
        if known.0 != path {
            known.1 = self.tree.store.lookup(path)?;
            known.0.clear();
            known.0.extend_from_slice(path);
        }
        Some(known.1)
    }

    fn acl_slot(&mut self, id: i64) -> u32 {
        let tree = &mut self.tree;
        let slot =
            if id == -1 { OPEN } else { *self.acls.entry(id).or_insert_with(|| tree.acls.stand_in(id)) };
        tree.acls.retain(slot);
        slot
    }

    /// The root, or a path that comes twice: the later record holds.
    fn replace(&mut self, id: u32, path: &[u8], data: Option<&[u8]>, acl: u32, stat: &StatPersisted) {
        let tree = &mut self.tree;
        tree.before_change(id, path);
        let node = tree.store.node_mut(id);
        let (old_acl, old_owner) = (node.acl, node.owner());
        tree.data_size += delta(node.data_len(), data.map_or(0, <[u8]>::len));
        node.set_data(data);
        node.set_stat(stat);
        node.acl = acl;
        tree.after_change(id, path);
        tree.acls.release(old_acl);
        if id != ROOT {
            tree.disown(id, old_owner);
            tree.own(id, stat.ephemeral_owner.0);
        }
    }

    fn complete(&mut self) {
        self.tree.quota_setup();
        self.tree.acls.purge_unused();
    }

    /// The tree and the sessions with their timeouts in ms; the caller sets the tree's last zxid.
    pub fn finish(self) -> Result<(Tree, Vec<(SessionId, i32)>), LoadError> {
        match self.part {
            Part::End => Ok((self.tree, self.sessions.into_iter().collect())),
            _ => Err(LoadError::Incomplete),
        }
    }
}
