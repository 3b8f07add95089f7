//! The second half: records become a tree.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use oxherd_proto::{SessionId, Str};

use super::LoadError;
use super::read::{NodeRecord, Records};
use crate::acl::OPEN;
use crate::node::{Node, NodeId, ROOT};
use crate::path;
use crate::quota::delta;
use crate::tree::{Tree, TreeOptions};

/// Parents remembered while a tree is loaded.
const PARENTS: usize = 64;

/// Builds a tree from the records of a body, in their order.
#[derive(Debug)]
pub struct TreeBuilder {
    tree: Tree,
    sessions: BTreeMap<SessionId, i32>,
    /// Slots by the ids of the snapshot.
    acls: BTreeMap<i64, u32>,
    /// Parents of the last nodes, each where its path says; their other children come next as a rule.
    parents: Vec<(Vec<u8>, NodeId)>,
    is_whole: bool,
}

impl TreeBuilder {
    /// A builder without records yet.
    pub fn new(options: TreeOptions) -> Self {
        Self {
            tree: Tree::bare(options),
            sessions: BTreeMap::new(),
            acls: BTreeMap::new(),
            parents: vec![(Vec::new(), ROOT); PARENTS],
            is_whole: false,
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

    /// Takes the next records.
    pub fn add(&mut self, mut records: Records) -> Result<(), LoadError> {
        self.sessions.extend(records.sessions.drain(..));
        for (id, list) in records.acls.drain(..) {
            self.acls.insert(id, self.tree.acls.define(id, list));
        }
        for record in std::mem::take(&mut records.nodes) {
            self.node(records.path(&record), record)?;
        }
        if records.is_last {
            self.tree.quota_setup();
            self.tree.acls.purge_unused();
            self.is_whole = true;
        }
        Ok(())
    }

    // Java: DataTree.deserialize
    fn node(&mut self, path: &[u8], mut record: NodeRecord) -> Result<(), LoadError> {
        record.node.acl = self.acl_slot(record.acl);
        if path.is_empty() {
            self.replace(ROOT, path, &record.node);
            return Ok(());
        }
        let parent = path::split(path).and_then(|(parent, _)| self.parent_at(parent));
        let parent = parent.ok_or_else(|| LoadError::Parent(Str::from(path.to_vec())))?;
        if let Err((there, node)) = self.tree.add_summed(parent, path, record.node, record.digest) {
            self.replace(there, path, &node);
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
    fn replace(&mut self, id: NodeId, path: &[u8], with: &Node) {
        let tree = &mut self.tree;
        tree.before_change(id, path);
        let node = tree.store.node_mut(id);
        let (old_acl, old_owner) = (node.acl, node.owner());
        tree.data_size += delta(node.data_len(), with.data_len());
        node.set(with.data(), &with.persisted());
        node.acl = with.acl;
        tree.after_change(id, path);
        tree.acls.release(old_acl);
        if id != ROOT {
            tree.disown(id, old_owner);
            tree.own(id, with.owner());
        }
    }

    /// The tree and the sessions with their timeouts in ms; the caller sets the tree's last zxid.
    pub fn finish(self) -> Result<(Tree, Vec<(SessionId, i32)>), LoadError> {
        if self.is_whole {
            Ok((self.tree, self.sessions.into_iter().collect()))
        } else {
            Err(LoadError::Incomplete)
        }
    }
}
