//! One node: what is stored, and how readers see it.

use oxherd_proto::{SessionId, Stat, StatPersisted, Zxid};

use crate::AclList;
use crate::tree::Tree;

/// Number of a node's place in the store; places are used again.
pub(crate) type NodeId = u32;

/// The root's place, in every tree.
pub(crate) const ROOT: NodeId = 0;

const DATA_IS_NULL: u32 = 1 << 31;
const IS_WRITTEN: u32 = 1 << 30;

/// Fields in the order of their use; 56 bytes, and as many inside an `Option`.
#[derive(Debug)]
pub(crate) struct Node {
    /// Name, data, and [`Written`] unless the node is as it was made: one allocation.
    payload: Box<[u8]>,
    rare: Option<Box<Rare>>,
    pub(crate) czxid: i64,
    pub(crate) ctime: i64,
    /// Slot in the ACL table.
    pub(crate) acl: u32,
    pub(crate) parent: NodeId,
    /// Position in the parent's list of children.
    pub(crate) slot: u32,
    /// Length of the name; the top bits say that the data is null, and that the node was written.
    name_len: u32,
}

/// What changes with the data. A node that nobody has written has its own birth here, and version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) mzxid: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
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

const _: () = assert!(size_of::<Option<Node>>() == 56);

impl Written {
    const LEN: usize = 20;

    fn of(stat: &StatPersisted) -> Self {
        Self { mzxid: stat.mzxid.0, mtime: stat.mtime, version: stat.version }
    }

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.mzxid.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.mtime.to_le_bytes());
        bytes[16..].copy_from_slice(&self.version.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        const EXPECTED: &str = "a written node ends with its 20 bytes";
        let long = |at: usize| i64::from_le_bytes(*bytes[at..].first_chunk().expect(EXPECTED));
        let version = i32::from_le_bytes(*bytes[16..].first_chunk().expect(EXPECTED));
        Self { mzxid: long(0), mtime: long(8), version }
    }
}

impl Node {
    pub(crate) fn new(name: &[u8], data: Option<&[u8]>, acl: u32, stat: &StatPersisted) -> Self {
        let written = Written::of(stat);
        let is_as_made = written == Written { mzxid: stat.czxid.0, mtime: stat.ctime, version: 0 };
        let (payload, name_len) = pack(name, data, (!is_as_made).then_some(written));
        let (czxid, ctime) = (stat.czxid.0, stat.ctime);
        let mut node = Self { payload, rare: None, czxid, ctime, acl, parent: ROOT, slot: 0, name_len };
        node.set_rare(stat);
        node
    }

    /// Everything but name, place and ACL.
    pub(crate) fn set(&mut self, data: Option<&[u8]>, stat: &StatPersisted) {
        (self.czxid, self.ctime) = (stat.czxid.0, stat.ctime);
        self.write(data, Written::of(stat));
        self.set_rare(stat);
    }

    fn set_rare(&mut self, stat: &StatPersisted) {
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
        (self.name_len & !(DATA_IS_NULL | IS_WRITTEN)) as usize
    }

    fn data_end(&self) -> usize {
        self.payload.len() - if self.name_len & IS_WRITTEN == 0 { 0 } else { Written::LEN }
    }

    pub(crate) fn data(&self) -> Option<&[u8]> {
        (self.name_len & DATA_IS_NULL == 0).then(|| &self.payload[self.name_end()..self.data_end()])
    }

    pub(crate) fn data_len(&self) -> usize {
        self.data_end() - self.name_end()
    }

    pub(crate) fn written(&self) -> Written {
        match self.name_len & IS_WRITTEN {
            0 => Written { mzxid: self.czxid, mtime: self.ctime, version: 0 },
            _ => Written::from_bytes(&self.payload[self.data_end()..]),
        }
    }

    /// From its second time on, data of equal length is overwritten in place.
    pub(crate) fn write(&mut self, data: Option<&[u8]>, written: Written) {
        let (name_end, data_end) = (self.name_end(), self.data_end());
        match data {
            Some(data)
                if self.name_len & IS_WRITTEN != 0
                    && self.data().is_some_and(|old| old.len() == data.len()) =>
            {
                self.payload[name_end..data_end].copy_from_slice(data);
                self.payload[data_end..].copy_from_slice(&written.to_bytes());
            }
            _ => (self.payload, self.name_len) = pack(&self.payload[..name_end], data, Some(written)),
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
        let Written { mzxid, mtime, version } = self.written();
        StatPersisted {
            czxid: Zxid(self.czxid),
            mzxid: Zxid(mzxid),
            ctime: self.ctime,
            mtime,
            version,
            cversion: self.cversion(),
            aversion: self.aversion(),
            ephemeral_owner: SessionId(self.owner()),
            pzxid: Zxid(self.pzxid()),
        }
    }
}

fn pack(name: &[u8], data: Option<&[u8]>, written: Option<Written>) -> (Box<[u8]>, u32) {
    let tail = if written.is_some() { Written::LEN } else { 0 };
    let mut payload = Vec::with_capacity(name.len() + data.map_or(0, <[u8]>::len) + tail);
    payload.extend_from_slice(name);
    payload.extend_from_slice(data.unwrap_or_default());
    payload.extend(written.map(Written::to_bytes).into_iter().flatten());
    let name_len = u32::try_from(name.len()).expect("a frame bounds a name");
    assert!(name_len < IS_WRITTEN, "a frame bounds a name");
    let null = if data.is_none() { DATA_IS_NULL } else { 0 };
    let was_written = if written.is_some() { IS_WRITTEN } else { 0 };
    (payload.into_boxed_slice(), name_len | null | was_written)
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
        let Written { mzxid, mtime, version } = node.written();
        Stat {
            czxid: Zxid(node.czxid),
            mzxid: Zxid(mzxid),
            ctime: node.ctime,
            mtime,
            version,
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
