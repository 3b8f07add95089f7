//! Where the nodes live: places in chunks, and one index from parent and name to place.
//!
//! Neither ever grows in one piece: places come in chunks of 1024 and the index in 256 shards, so the
//! longest pause of a create is the growth of one shard.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::node::{Node, NodeId, ROOT};

const CHUNK: usize = 1024;
const SHARDS: usize = 256;

#[derive(Debug)]
pub(crate) struct Store {
    chunks: Vec<Vec<Option<Node>>>,
    free: Vec<NodeId>,
    /// Places handed out so far, in use or free.
    len: NodeId,
    live: usize,
    shards: Vec<HashTable<NodeId>>,
    hasher: FixedState,
}

impl Store {
    /// A store that holds `root` alone.
    pub(crate) fn new(seed: u64, root: Node) -> Self {
        let mut store = Self {
            chunks: Vec::new(),
            free: Vec::new(),
            len: 0,
            live: 0,
            shards: std::iter::repeat_with(HashTable::new).take(SHARDS).collect(),
            hasher: FixedState::with_seed(seed),
        };
        store.place(root);
        store
    }

    /// Makes room in the index for this many nodes more.
    pub(crate) fn reserve(&mut self, nodes: usize) {
        let Self { chunks, shards, hasher, .. } = self;
        for shard in shards.iter_mut() {
            shard.reserve(nodes / SHARDS, |id| index_hash(chunks, hasher, *id));
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn len(&self) -> NodeId {
        self.len
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.chunks.get(id as usize / CHUNK)?.get(id as usize % CHUNK)?.as_ref()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.get(id).expect("an id comes from the index or from another node")
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.chunks[id as usize / CHUNK][id as usize % CHUNK]
            .as_mut()
            .expect("an id comes from the index or from another node")
    }

    /// The empty path and "/" are both the root.
    pub(crate) fn lookup(&self, path: &[u8]) -> Option<NodeId> {
        match path {
            b"" | b"/" => Some(ROOT),
            [b'/', rest @ ..] => {
                rest.split(|byte| *byte == b'/').try_fold(ROOT, |id, name| self.child(id, name))
            }
            _ => None,
        }
    }

    pub(crate) fn child(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        let hash = hash(&self.hasher, parent, name);
        self.shards[shard(hash)].find(hash, |id| self.is(*id, parent, name)).copied()
    }

    fn is(&self, id: NodeId, parent: NodeId, name: &[u8]) -> bool {
        let node = self.node(id);
        node.parent == parent && node.name() == name
    }

    /// Adds a node below `parent`; its id, or the id of the node of that name which is there, with the one that is not.
    pub(crate) fn insert(&mut self, parent: NodeId, mut node: Node) -> Result<NodeId, (NodeId, Node)> {
        let hash = hash(&self.hasher, parent, node.name());
        node.parent = parent;
        node.slot = u32::try_from(self.node(parent).children().len()).expect("ids are 32 bits");
        let id = self.next_place();
        let Self { chunks, shards, hasher, .. } = self;
        let is_same = |other: &NodeId| {
            let other = live(chunks, *other);
            other.parent == parent && other.name() == node.name()
        };
        match shards[shard(hash)].entry(hash, is_same, |id| index_hash(chunks, hasher, *id)) {
            Entry::Occupied(entry) => return Err((*entry.get(), node)),
            Entry::Vacant(entry) => drop(entry.insert(id)),
        }
        self.place(node);
        self.node_mut(parent).children_mut().push(id);
        Ok(id)
    }

    /// Removes a node without children, not the root; constant time.
    pub(crate) fn remove(&mut self, id: NodeId) -> Node {
        let node = self.node(id);
        assert!(id != ROOT && node.children().is_empty(), "only a leaf is removed");
        let (parent, slot) = (node.parent, node.slot);
        let hash = hash(&self.hasher, parent, node.name());
        if let Ok(entry) = self.shards[shard(hash)].find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let children = self.node_mut(parent).children_mut();
        children.swap_remove(slot as usize);
        if let Some(moved) = children.get(slot as usize).copied() {
            self.node_mut(moved).slot = slot;
        } else if self.node(parent).children().is_empty() {
            *self.node_mut(parent).children_mut() = Vec::new();
        }
        self.free.push(id);
        self.live -= 1;
        self.chunks[id as usize / CHUNK][id as usize % CHUNK].take().expect("it was read above")
    }

    /// Where [`Self::place`] puts the next node.
    fn next_place(&self) -> NodeId {
        self.free.last().copied().unwrap_or(self.len)
    }

    fn place(&mut self, node: Node) -> NodeId {
        self.live += 1;
        if let Some(id) = self.free.pop() {
            self.chunks[id as usize / CHUNK][id as usize % CHUNK] = Some(node);
            return id;
        }
        if (self.len as usize).is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[self.len as usize / CHUNK].push(Some(node));
        let id = self.len;
        self.len = id.checked_add(1).expect("memory ends before 32 bits of nodes");
        id
    }

    /// Appends the path; nothing for the root.
    pub(crate) fn write_path(&self, id: NodeId, out: &mut Vec<u8>) {
        let mut chain = smallvec::SmallVec::<[NodeId; 16]>::new();
        let mut at = id;
        while at != ROOT {
            chain.push(at);
            at = self.node(at).parent;
        }
        for id in chain.iter().rev() {
            out.push(b'/');
            out.extend_from_slice(self.node(*id).name());
        }
    }

    pub(crate) fn path(&self, id: NodeId) -> Vec<u8> {
        let mut path = Vec::new();
        self.write_path(id, &mut path);
        path
    }

    /// The node and all below it, every node after its parent.
    pub(crate) fn subtree(&self, top: NodeId) -> Vec<NodeId> {
        let mut found = vec![top];
        let mut at = 0;
        while let Some(id) = found.get(at).copied() {
            found.extend_from_slice(self.node(id).children());
            at += 1;
        }
        found
    }
}

fn hash(hasher: &FixedState, parent: NodeId, name: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write_u32(parent);
    hasher.write(name);
    hasher.finish()
}

/// The hash under which a live node is in the index.
fn index_hash(chunks: &[Vec<Option<Node>>], hasher: &FixedState, id: NodeId) -> u64 {
    let node = live(chunks, id);
    hash(hasher, node.parent, node.name())
}

fn live(chunks: &[Vec<Option<Node>>], id: NodeId) -> &Node {
    let node = chunks[id as usize / CHUNK][id as usize % CHUNK].as_ref();
    node.expect("the index holds ids of live nodes")
}

/// Bits that the tables themselves use neither for the bucket (low) nor for the tag (top).
fn shard(hash: u64) -> usize {
    ((hash >> 40) & 0xff) as usize
}
