//! The tree: its nodes with all that is kept about them as they change.

use std::collections::{BTreeMap, BTreeSet};

use oxherd_proto::{Acl, CreateMode, Id, SessionId, StatPersisted, Str, Zxid};

use crate::acl::{AclTable, OPEN};
use crate::apply::{Change, ChangeKind};
use crate::digest::node_digest;
use crate::node::{Node, NodeId, NodeView, Place, ROOT, Written};
use crate::path::{self, CONFIG, QUOTA, ZOOKEEPER};
use crate::quota::{Quotas, delta};
use crate::store::Store;
use crate::walk::Walks;

/// What a tree is made with; equal on all servers of an ensemble, except the seed.
#[derive(Clone, Copy, Debug)]
pub struct TreeOptions {
    /// Nodes with a time to live are known. Original key: `zookeeper.extendedTypesEnabled`.
    pub extended_types: bool,
    /// TTL nodes of 3.5.3 are known too. Original key: `zookeeper.emulate353TTLNodes`.
    pub emulate_353_ttl: bool,
    /// The digest is kept. Original key: `zookeeper.digest.enabled`.
    pub digest: bool,
    /// Seed of the index; nothing that is answered depends on it.
    pub hash_seed: u64,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self { extended_types: false, emulate_353_ttl: false, digest: true, hash_seed: 0 }
    }
}

/// What the owner field of a node says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Persistent,
    Session(SessionId),
    Container,
    /// In ms since the last change of data; 0 never ends.
    Ttl(i64),
}

/// The replicated nodes.
#[derive(Debug)]
pub struct Tree {
    pub(crate) options: TreeOptions,
    pub(crate) store: Store,
    pub(crate) acls: AclTable,
    pub(crate) quotas: Quotas,
    pub(crate) walks: Walks,
    ephemerals: BTreeMap<SessionId, BTreeSet<NodeId>>,
    containers: BTreeSet<NodeId>,
    ttls: BTreeSet<NodeId>,
    digest: u64,
    /// Set while a txn is applied whose digest is known ahead: no sums are made then.
    pub(crate) known_digest: Option<u64>,
    /// Bytes of all paths and data.
    pub(crate) data_size: i64,
    pub(crate) last_zxid: Zxid,
}

impl Tree {
    /// A tree as a fresh server has it: the root, `/zookeeper` and its `quota` and `config`.
    // Java: DataTree constructor, DataTree.addConfigNode
    pub fn new(options: TreeOptions) -> Self {
        let mut tree = Self::bare(options);
        let stat = StatPersisted::default();
        for path in [ZOOKEEPER, QUOTA, CONFIG] {
            let (parent, name) = path::split(path).expect("the paths are constants with a parent");
            let parent = tree.store.lookup(parent).expect("parents come first");
            tree.add_node(parent, path, Node::new(name, Some(b""), OPEN, &stat)).expect("it is empty");
        }
        tree.init_config_node();
        tree
    }

    /// The root alone.
    pub(crate) fn bare(options: TreeOptions) -> Self {
        let root = Node::new(b"", Some(b""), OPEN, &StatPersisted::default());
        let mut tree = Self {
            options,
            store: Store::new(options.hash_seed, root),
            acls: AclTable::new(options.hash_seed),
            quotas: Quotas::default(),
            walks: Walks::default(),
            ephemerals: BTreeMap::new(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            digest: 0,
            known_digest: None,
            data_size: 1,
            last_zxid: Zxid::ZERO,
        };
        tree.after_change(ROOT, b"");
        tree
    }

    fn init_config_node(&mut self) {
        let read_only = Acl { perms: 1, id: Id { scheme: "world".into(), id: "anyone".into() } };
        let id = self.store.lookup(CONFIG).expect("the caller has made the node");
        let acl = self.acls.intern(&[read_only]);
        let node = self.store.node_mut(id);
        node.acl = acl;
        node.set_aversion(-1);
    }

    /// Writes the membership into `/zookeeper/config`, as each server does by itself; the node is made
    /// when an old snapshot lacks it. The change is for the watchers.
    // Java: ZKDatabase.initConfigInZKDatabase
    pub fn set_config_node(&mut self, text: &[u8], zxid: Zxid, wall_ms: i64) -> Option<Change> {
        if self.store.lookup(CONFIG).is_none() {
            let (parent, name) = path::split(CONFIG)?;
            let parent = self.store.lookup(parent)?;
            let node = Node::new(name, Some(b""), OPEN, &StatPersisted::default());
            let id = self.add_node(parent, CONFIG, node).expect("it was looked for");
            self.walks.skip(id);
            self.init_config_node();
        }
        let id = self.store.lookup(CONFIG)?;
        self.write_data(id, CONFIG, Some(text), Written { mzxid: zxid.0, mtime: wall_ms, version: -1 });
        let acl = self.acls.list(self.store.node(id).acl).clone();
        let path = Str::from_static("/zookeeper/config");
        let data_len = text.len();
        Some(Change { kind: ChangeKind::DataChanged, path, zxid, data_len, parent_acl: acl.clone(), acl })
    }

    /// The last txn applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Sets the last txn applied, after a load or at a new epoch.
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = zxid;
    }

    /// The sum of [`node_digest`] over all nodes, wrapping; 0 with digests off.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of nodes, with the root counted twice as the original does.
    pub fn node_count(&self) -> usize {
        self.store.live() + 1
    }

    /// Bytes of all paths and data, as the original estimates them.
    // Java: DataTree.cachedApproximateDataSize
    pub fn data_size(&self) -> i64 {
        self.data_size
    }

    /// Number of different ACLs.
    pub fn acl_count(&self) -> usize {
        self.acls.len()
    }

    /// The node at `path`; "" and "/" are both the root. Paths are not checked.
    pub fn node(&self, path: &[u8]) -> Option<NodeView<'_>> {
        self.store.lookup(path).map(|id| NodeView::new(self, id))
    }

    /// The node at a place a view gave, as long as the tree has not changed since.
    pub fn at(&self, place: Place) -> NodeView<'_> {
        NodeView::new(self, place.0)
    }

    /// Number of all nodes below `path`, as the original counts them; `None` without the node.
    // Java: DataTree.getAllChildrenNumber
    pub fn descendant_count(&self, path: &[u8]) -> Option<usize> {
        match path {
            b"/" => Some(self.node_count() - 2),
            b"" => Some(self.node_count() - 1),
            _ => self.store.lookup(path).map(|id| self.store.subtree(id).len() - 1),
        }
    }

    /// Paths of a session's ephemeral nodes, sorted.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = Str> + use<> {
        let ids = self.ephemerals.get(&session);
        let mut paths: Vec<Str> = ids.into_iter().flatten().map(|id| self.store.path(*id).into()).collect();
        paths.sort();
        paths.into_iter()
    }

    /// Sessions that own ephemeral nodes, ascending.
    pub fn sessions_with_ephemerals(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.ephemerals.keys().copied()
    }

    /// Number of ephemeral nodes.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// Containers to remove: childless, and used before or, when `never_used_ms_max` is not 0, older.
    // Java: ContainerManager.getCandidates
    pub fn removable_containers(&self, wall_ms: i64, never_used_ms_max: i64) -> Vec<Str> {
        self.paths_of(&self.containers, |node| {
            let age = wall_ms.saturating_sub(node.written().mtime);
            node.cversion() > 0 || (never_used_ms_max != 0 && age > never_used_ms_max)
        })
    }

    /// TTL nodes to remove: childless, and not changed for longer than their time to live.
    // Java: ContainerManager.getCandidates
    pub fn expired_ttl(&self, wall_ms: i64) -> Vec<Str> {
        self.paths_of(&self.ttls, |node| match self.lifetime(node.owner()) {
            Lifetime::Ttl(ttl) => ttl != 0 && wall_ms.saturating_sub(node.written().mtime) > ttl,
            _ => false,
        })
    }

    fn paths_of(&self, ids: &BTreeSet<NodeId>, wanted: impl Fn(&Node) -> bool) -> Vec<Str> {
        let chosen = ids.iter().filter(|id| {
            let node = self.store.node(**id);
            node.children().is_empty() && wanted(node)
        });
        let mut paths: Vec<Str> = chosen.map(|id| self.store.path(*id).into()).collect();
        paths.sort();
        paths
    }

    /// Reads an owner field; an unknown extended kind is taken for a session.
    // Java: EphemeralType.get, EphemeralTypeEmulate353.get
    pub(crate) fn lifetime(&self, owner: i64) -> Lifetime {
        let ttl = owner & CreateMode::TTL_MS_MAX;
        match owner {
            0 => Lifetime::Persistent,
            i64::MIN => Lifetime::Container,
            _ if self.options.extended_types && owner >> 40 == -1 << 16 => Lifetime::Ttl(ttl),
            _ if self.options.extended_types && self.options.emulate_353_ttl && owner < 0 => {
                Lifetime::Ttl(ttl)
            }
            _ => Lifetime::Session(SessionId(owner)),
        }
    }

    pub(crate) fn visible_owner(&self, owner: i64) -> SessionId {
        match self.lifetime(owner) {
            Lifetime::Session(session) => session,
            _ => SessionId(0),
        }
    }

    pub(crate) fn reserve(&mut self, nodes: usize) {
        self.store.reserve(nodes);
    }

    pub(crate) fn set_digest(&mut self, digest: u64) {
        self.digest = digest;
    }

    /// To call before anything about a node changes that a snapshot or the digest holds.
    pub(crate) fn before_change(&mut self, id: NodeId, path: &[u8]) {
        self.walks.capture(&self.store, &self.acls, id);
        self.digest = self.digest.wrapping_sub(self.digest_of(id, path));
    }

    /// To call after it.
    pub(crate) fn after_change(&mut self, id: NodeId, path: &[u8]) {
        self.digest = self.digest.wrapping_add(self.digest_of(id, path));
    }

    fn digest_of(&self, id: NodeId, path: &[u8]) -> u64 {
        self.share_of(self.store.node(id), path)
    }

    fn share_of(&self, node: &Node, path: &[u8]) -> u64 {
        if !self.options.digest || self.known_digest.is_some() || path.starts_with(b"/zookeeper/") {
            return 0;
        }
        node_digest(path, node.data(), &node.persisted())
    }

    /// Adds a node where none is; its id, or the id of the one that is there. The parent's metadata is the caller's
    /// affair.
    pub(crate) fn add_node(&mut self, parent: NodeId, path: &[u8], node: Node) -> Result<NodeId, NodeId> {
        let digest = self.share_of(&node, path);
        self.add_summed(parent, path, node, digest).map_err(|(there, _)| there)
    }

    /// As [`Tree::add_node`], with the node's share of the digest; gives back a node whose place is taken.
    pub(crate) fn add_summed(
        &mut self,
        parent: NodeId,
        path: &[u8],
        node: Node,
        digest: u64,
    ) -> Result<NodeId, (NodeId, Node)> {
        let (owner, size) = (node.owner(), path.len() + node.data_len());
        let id = self.store.insert(parent, node)?;
        self.data_size += delta(0, size);
        self.digest = self.digest.wrapping_add(digest);
        self.own(id, owner);
        Ok(id)
    }

    /// Removes a childless node, with the quota usage and without a word to watchers.
    pub(crate) fn remove_node(&mut self, id: NodeId, path: &[u8]) {
        self.before_change(id, path);
        let node = self.store.remove(id);
        self.disown(id, node.owner());
        self.acls.release(node.acl);
        self.data_size -= delta(0, path.len() + node.data_len());
        self.quota_removed(path, node.data_len());
    }

    pub(crate) fn write_data(&mut self, id: NodeId, path: &[u8], data: Option<&[u8]>, written: Written) {
        self.before_change(id, path);
        let node = self.store.node_mut(id);
        let grown = delta(node.data_len(), data.map_or(0, <[u8]>::len));
        node.write(data, written);
        self.after_change(id, path);
        self.data_size += grown;
        self.quota_changed(path, grown, 0);
    }

    pub(crate) fn own(&mut self, id: NodeId, owner: i64) {
        match self.lifetime(owner) {
            Lifetime::Persistent => {}
            Lifetime::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(id);
            }
            Lifetime::Container => {
                self.containers.insert(id);
            }
            Lifetime::Ttl(_) => {
                self.ttls.insert(id);
            }
        }
    }

    pub(crate) fn disown(&mut self, id: NodeId, owner: i64) {
        match self.lifetime(owner) {
            Lifetime::Persistent => {}
            Lifetime::Session(session) => {
                let left = self.ephemerals.get_mut(&session).map(|ids| {
                    ids.remove(&id);
                    ids.len()
                });
                if left == Some(0) {
                    self.ephemerals.remove(&session);
                }
            }
            Lifetime::Container => {
                self.containers.remove(&id);
            }
            Lifetime::Ttl(_) => {
                self.ttls.remove(&id);
            }
        }
    }
}
