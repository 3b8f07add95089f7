//! One node: what is stored, and how readers see it.

use oxherd_proto::{SessionId, Stat, StatPersisted, Zxid};

use crate::AclList;
use crate::tree::Tree;

/// Number of a node's place in the store; places are used again.
pub(crate) type NodeId = u32;

/// The root's place, in every tree.
pub(crate) const ROOT: NodeId = 0;

const DATA_IS_NULL: u32 = 1 << 31;

/// Fields in the order of their use; 80 bytes, and as many inside an `Option`.
#[derive(Debug)]
pub(crate) struct Node {
    /// Name, then data: one allocation.
    payload: Box<[u8]>,
    rare: Option<Box<Rare>>,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    /// Slot in the ACL table.
    pub(crate) acl: u32,
    pub(crate) parent: NodeId,
    /// Position in the parent's list of children.
    pub(crate) slot: u32,
    /// Length of the name; the top bit says that the data is null.
    name_len: u32,
}

/// What few nodes need: those that have or had children, an owner, or an ACL that was changed.
#[derive(Debug)]
struct Rare {
    pzxid: i64,
    owner: i64,
    cversion: i32,
    aversion: i32,
    children: Vec<NodeId>,
}

const _: () = assert!(size_of::<Option<Node>>() == 80);

impl Node {
    pub(crate) fn new(name: &[u8], data: Option<&[u8]>, acl: u32, stat: &StatPersisted) -> Self {
        let (payload, name_len) = pack(name, data);
        let mut node = Self {
            payload,
            rare: None,
            czxid: 0,
            mzxid: 0,
            ctime: 0,
            mtime: 0,
            version: 0,
            acl,
            parent: ROOT,
            slot: 0,
            name_len,
        };
        node.set_stat(stat);
        node
    }

    pub(crate) fn set_stat(&mut self, stat: &StatPersisted) {
        self.czxid = stat.czxid.0;
        self.mzxid = stat.mzxid.0;
        self.ctime = stat.ctime;
        self.mtime = stat.mtime;
        self.version = stat.version;
        let owner = stat.ephemeral_owner.0;
        let is_common = stat.pzxid == stat.czxid && (stat.cversion, stat.aversion, owner) == (0, 0, 0);
        if !is_common || self.rare.is_some() {
            let rare = self.rare_mut();
            rare.pzxid = stat.pzxid.0;
            rare.owner = owner;
            rare.cversion = stat.cversion;
            rare.aversion = stat.aversion;
        }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.payload[..self.name_end()]
    }

    fn name_end(&self) -> usize {
        (self.name_len & !DATA_IS_NULL) as usize
    }

    pub(crate) fn data(&self) -> Option<&[u8]> {
        (self.name_len & DATA_IS_NULL == 0).then(|| &self.payload[self.name_end()..])
    }

    pub(crate) fn data_len(&self) -> usize {
        self.payload.len() - self.name_end()
    }

    /// Data of equal length is overwritten in place.
    pub(crate) fn set_data(&mut self, data: Option<&[u8]>) {
        let name_end = self.name_end();
        match data {
            Some(data) if self.data().is_some_and(|old| old.len() == data.len()) => {
                self.payload[name_end..].copy_from_slice(data);
            }
            _ => (self.payload, self.name_len) = pack(&self.payload[..name_end], data),
        }
    }

    pub(crate) fn pzxid(&self) -> i64 {
        self.rare.as_ref().map_or(self.czxid, |rare| rare.pzxid)
    }

    pub(crate) fn set_pzxid(&mut self, zxid: i64) {
        self.rare_mut().pzxid = zxid;
    }

    pub(crate) fn cversion(&self) -> i32 {
        self.rare.as_ref().map_or(0, |rare| rare.cversion)
    }

    pub(crate) fn set_cversion(&mut self, cversion: i32) {
        self.rare_mut().cversion = cversion;
    }

    /// The session, or what the original keeps in its place for containers and TTLs; 0 for other nodes.
    pub(crate) fn owner(&self) -> i64 {
        self.rare.as_ref().map_or(0, |rare| rare.owner)
    }

    pub(crate) fn aversion(&self) -> i32 {
        self.rare.as_ref().map_or(0, |rare| rare.aversion)
    }

    pub(crate) fn set_aversion(&mut self, aversion: i32) {
        self.rare_mut().aversion = aversion;
    }

    pub(crate) fn children(&self) -> &[NodeId] {
        self.rare.as_ref().map_or(&[], |rare| &rare.children)
    }

    pub(crate) fn children_mut(&mut self) -> &mut Vec<NodeId> {
        &mut self.rare_mut().children
    }

    fn rare_mut(&mut self) -> &mut Rare {
        let pzxid = self.czxid;
        let fresh = || Rare { pzxid, owner: 0, cversion: 0, aversion: 0, children: Vec::new() };
        self.rare.get_or_insert_with(|| Box::new(fresh()))
    }

    pub(crate) fn persisted(&self) -> StatPersisted {
        StatPersisted {
            czxid: Zxid(self.czxid),
            mzxid: Zxid(self.mzxid),
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion(),
            aversion: self.aversion(),
            ephemeral_owner: SessionId(self.owner()),
            pzxid: Zxid(self.pzxid()),
        }
    }
}

fn pack(name: &[u8], data: Option<&[u8]>) -> (Box<[u8]>, u32) {
    let mut payload = Vec::with_capacity(name.len() + data.map_or(0, <[u8]>::len));
    payload.extend_from_slice(name);
    payload.extend_from_slice(data.unwrap_or_default());
    let name_len = u32::try_from(name.len()).expect("a frame bounds a name");
    let flag = if data.is_none() { DATA_IS_NULL } else { 0 };
    (payload.into_boxed_slice(), name_len | flag)
}

/// Where a node is, for a second look without its path; good until the tree changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub(crate) NodeId);

/// A node as readers see it.
#[derive(Clone, Copy)]
pub struct NodeView<'a> {
    tree: &'a Tree,
    id: NodeId,
    node: &'a Node,
}

impl<'a> NodeView<'a> {
    pub(crate) fn new(tree: &'a Tree, id: NodeId) -> Self {
        Self { tree, id, node: tree.store.node(id) }
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        Place(self.id)
    }

    /// The data; null and empty are different values.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.node.data()
    }

    /// The metadata as clients see it: creates and deletes counted, owners of containers and TTL
    /// nodes hidden.
    // Java: DataNode.copyStat
    pub fn stat(&self) -> Stat {
        let node = self.node;
        let children = i32::try_from(self.child_count()).expect("there are fewer nodes than 2^31");
        Stat {
            czxid: Zxid(node.czxid),
            mzxid: Zxid(node.mzxid),
            ctime: node.ctime,
            mtime: node.mtime,
            version: node.version,
            cversion: node.cversion().wrapping_mul(2).wrapping_sub(children),
            aversion: node.aversion(),
            ephemeral_owner: self.tree.visible_owner(node.owner()),
            data_length: i32::try_from(node.data_len()).expect("a frame bounds the data"),
            num_children: children,
            pzxid: Zxid(node.pzxid()),
        }
    }

    /// The metadata as stored.
    pub fn persisted(&self) -> StatPersisted {
        self.node.persisted()
    }

    /// The ACL; never empty unless a txn said so.
    pub fn acl(&self) -> &'a AclList {
        self.tree.acls.list(self.node.acl)
    }

    /// Number of direct children.
    pub fn child_count(&self) -> usize {
        self.node.children().len()
    }

    /// Names of the children, in an order that depends on the history alone.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let tree = self.tree;
        self.node.children().iter().map(|id| tree.store.node(*id).name())
    }

    /// Whether the node goes with its session.
    pub fn is_ephemeral(&self) -> bool {
        self.tree.visible_owner(self.node.owner()) != SessionId(0)
    }
}
