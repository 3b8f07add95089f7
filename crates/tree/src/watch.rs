//! The local watches: who wants to know what.
//!
//! One record for each pair of path and client holds the modes of both of the original's tables as
//! bits. Paths are stored once; a path with one client needs no set. A client lists the numbers of
//! its paths, where one may be stale until the list is tidied.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashTable};
use oxherd_proto::{SetWatches2, Zxid};

use crate::apply::{Change, ChangeKind};
use crate::tree::Tree;
use crate::{AclList, path};

/// Names a connection of this server while it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// What a watch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// One change of the node or its data.
    Data,
    /// One change of the list of children, or the end of the node.
    Child,
    /// Every change of both kinds.
    Persistent,
    /// Every change of the node and of all below it.
    PersistentRecursive,
}

/// Which watches a client asks about or removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherKind {
    /// Type 1: one-shot child watches.
    Children,
    /// Type 2: one-shot data watches.
    Data,
    /// Type 3: every watch on the path.
    Any,
    /// Type 4.
    Persistent,
    /// Type 5.
    PersistentRecursive,
}

impl WatcherKind {
    /// The kind with this number in a request.
    pub fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::PersistentRecursive,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Children => CHILD,
            Self::Data => DATA,
            Self::Any => DATA_TABLE | CHILD_TABLE,
            Self::Persistent => PERSISTENT,
            Self::PersistentRecursive => RECURSIVE,
        }
    }
}

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// The node was made.
    NodeCreated,
    /// The node was removed.
    NodeDeleted,
    /// The node's data was replaced.
    NodeDataChanged,
    /// A child was made or removed.
    NodeChildrenChanged,
}

impl EventType {
    /// The number in a notification.
    pub fn code(self) -> i32 {
        match self {
            Self::NodeCreated => 1,
            Self::NodeDeleted => 2,
            Self::NodeDataChanged => 3,
            Self::NodeChildrenChanged => 4,
        }
    }
}

/// A notification for one client; it goes out only if the client has READ under `acl`.
#[derive(Clone, Copy, Debug)]
pub struct WatchEvent<'a> {
    /// What happened.
    pub kind: EventType,
    /// To which node.
    pub path: &'a [u8],
    /// By which txn.
    pub zxid: Zxid,
    /// The ACL to look at.
    pub acl: &'a AclList,
}

/// Counts over the data table, which is all that the listings show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// Clients that watch.
    pub clients: usize,
    /// Paths that are watched.
    pub paths: usize,
    /// Pairs of both.
    pub watches: usize,
}

/// Watches that a change fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Of the node's data table, and recursive ones above it.
    pub data: usize,
    /// Of the node's child table, when it is removed; those that heard already count too.
    pub children: usize,
    /// Of the parent's child table.
    pub parent: usize,
}

const DATA: u8 = 1;
const CHILD: u8 = 2;
const PERSISTENT: u8 = 4;
const RECURSIVE: u8 = 8;
const DATA_TABLE: u8 = DATA | PERSISTENT | RECURSIVE;
const CHILD_TABLE: u8 = CHILD | PERSISTENT;

type PathId = u32;

#[derive(Debug)]
struct PathEntry {
    text: Box<[u8]>,
    holders: Holders,
}

#[derive(Clone, Copy, Debug)]
enum Holders {
    None,
    One {
        client: ClientId,
        bits: u8,
    },
    /// Place in `Watches::many`.
    Many(u32),
}

#[derive(Debug, Default)]
struct Client {
    /// May hold stale and repeated numbers.
    paths: Vec<PathId>,
    live: u32,
}

/// All watches of a server.
#[derive(Debug)]
pub struct Watches {
    index: HashTable<PathId>,
    hasher: FixedState,
    entries: Vec<PathEntry>,
    free: Vec<PathId>,
    many: Vec<BTreeMap<ClientId, u8>>,
    many_free: Vec<u32>,
    clients: HashMap<ClientId, Client, FixedState>,
    data_count: usize,
    child_count: usize,
    recursive_count: usize,
}

impl Default for Watches {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Watches {
    /// No watches; the seed is that of the index.
    pub fn new(seed: u64) -> Self {
        Self {
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            entries: Vec::new(),
            free: Vec::new(),
            many: Vec::new(),
            many_free: Vec::new(),
            clients: HashMap::with_hasher(FixedState::with_seed(seed)),
            data_count: 0,
            child_count: 0,
            recursive_count: 0,
        }
    }

    /// Adds a watch; modes on one path live side by side.
    pub fn add(&mut self, path: &[u8], client: ClientId, mode: WatchMode) {
        let bit = match mode {
            WatchMode::Data => DATA,
            WatchMode::Child => CHILD,
            WatchMode::Persistent => PERSISTENT,
            WatchMode::PersistentRecursive => RECURSIVE,
        };
        let id = self.find(path).unwrap_or_else(|| self.intern(path));
        let old = self.bits(id, client);
        if old | bit != old {
            self.set_bits(id, client, old, old | bit);
        }
    }

    /// Removes watches; false when there was none.
    pub fn remove(&mut self, path: &[u8], client: ClientId, kind: WatcherKind) -> bool {
        let Some(id) = self.find(path) else { return false };
        let old = self.bits(id, client);
        if old & kind.bits() == 0 {
            return false;
        }
        self.set_bits(id, client, old, old & !kind.bits());
        true
    }

    /// Whether there is such a watch.
    pub fn contains(&self, path: &[u8], client: ClientId, kind: WatcherKind) -> bool {
        self.find(path).is_some_and(|id| self.bits(id, client) & kind.bits() != 0)
    }

    /// Removes all watches of a client.
    pub fn remove_client(&mut self, client: ClientId) {
        let Some(Client { mut paths, .. }) = self.clients.remove(&client) else { return };
        paths.sort_unstable();
        paths.dedup();
        for id in paths {
            let old = self.bits(id, client);
            if old != 0 {
                self.set_bits(id, client, old, 0);
            }
        }
    }

    /// Sets the watches of a client that came back; what happened since is told at once instead, with
    /// zxid −1 and regardless of permissions.
    // Java: DataTree.setWatches
    pub fn rearm(
        &mut self,
        tree: &Tree,
        client: ClientId,
        request: &SetWatches2,
        deliver: &mut dyn FnMut(EventType, &[u8]),
    ) {
        let seen = request.relative_zxid;
        for path in &request.data_watches {
            match tree.node(path).map(|node| node.persisted().mzxid > seen) {
                None => deliver(EventType::NodeDeleted, path),
                Some(true) => deliver(EventType::NodeDataChanged, path),
                Some(false) => self.add(path, client, WatchMode::Data),
            }
        }
        for path in &request.exist_watches {
            match tree.node(path) {
                Some(_) => deliver(EventType::NodeCreated, path),
                None => self.add(path, client, WatchMode::Data),
            }
        }
        for path in &request.child_watches {
            match tree.node(path).map(|node| node.persisted().pzxid > seen) {
                None => deliver(EventType::NodeDeleted, path),
                Some(true) => deliver(EventType::NodeChildrenChanged, path),
                Some(false) => self.add(path, client, WatchMode::Child),
            }
        }
        for path in &request.persistent_watches {
            self.add(path, client, WatchMode::Persistent);
        }
        for path in &request.persistent_recursive_watches {
            self.add(path, client, WatchMode::PersistentRecursive);
        }
    }

    /// Delivers the events of a change and uses up the one-shot watches; clients come in order.
    ///
    /// A client that hears of a node's end through the data table does not hear it again.
    // Java: DataTree.createNode, DataTree.deleteNode, DataTree.setData; WatchManager.triggerWatch
    pub fn trigger(&mut self, change: &Change, deliver: &mut dyn FnMut(ClientId, WatchEvent<'_>)) -> Told {
        let mut counts = Told::default();
        let kind = match change.kind {
            ChangeKind::Created => EventType::NodeCreated,
            ChangeKind::Deleted => EventType::NodeDeleted,
            ChangeKind::DataChanged => EventType::NodeDataChanged,
        };
        let event = WatchEvent { kind, path: &change.path, zxid: change.zxid, acl: &change.acl };
        let told = self.take_data(&change.path);
        counts.data = told.len();
        told.iter().for_each(|client| deliver(*client, event));
        if change.kind == ChangeKind::Deleted {
            let children = self.take(&change.path, CHILD_TABLE, CHILD);
            counts.children = children.len();
            let news = children.into_iter().filter(|client| told.binary_search(client).is_err());
            news.for_each(|client| deliver(client, event));
        }
        let parent = path::parent(&change.path).filter(|_| change.kind != ChangeKind::DataChanged);
        if let Some(parent) = parent {
            let kind = EventType::NodeChildrenChanged;
            let event = WatchEvent { kind, path: parent, zxid: change.zxid, acl: &change.parent_acl };
            let clients = self.take(parent, CHILD_TABLE, CHILD);
            counts.parent = clients.len();
            clients.into_iter().for_each(|client| deliver(client, event));
        }
        counts
    }

    /// Clients to tell of a change at `path`, sorted, with those that watch from above.
    fn take_data(&mut self, path: &[u8]) -> Vec<ClientId> {
        let mut told = self.take(path, DATA_TABLE, DATA);
        if self.recursive_count > 0 {
            let mut above = path::parent(path);
            while let Some(at) = above {
                told.extend(self.take(at, RECURSIVE, 0));
                above = path::parent(at);
            }
            told.sort_unstable();
            told.dedup();
        }
        told
    }

    /// Clients with one of `wanted` on `path`, sorted; `used` is cleared.
    fn take(&mut self, path: &[u8], wanted: u8, used: u8) -> Vec<ClientId> {
        let Some(id) = self.find(path) else { return Vec::new() };
        let found: Vec<(ClientId, u8)> = match self.entries[id as usize].holders {
            Holders::None => Vec::new(),
            Holders::One { client, bits } => vec![(client, bits)],
            Holders::Many(at) => {
                self.many[at as usize].iter().map(|(client, bits)| (*client, *bits)).collect()
            }
        };
        let mut clients = Vec::with_capacity(found.len());
        for (client, bits) in found.into_iter().filter(|(_, bits)| bits & wanted != 0) {
            clients.push(client);
            if bits & used != 0 {
                self.set_bits(id, client, bits, bits & !used);
            }
        }
        clients
    }

    /// Number of watches as the original counts them: a persistent one counts in both tables.
    pub fn count(&self) -> usize {
        self.data_count + self.child_count
    }

    /// Number of watches in the data table.
    pub fn data_count(&self) -> usize {
        self.data_count
    }

    /// Counts over the data table; takes time in proportion to the watches.
    pub fn summary(&self) -> WatchSummary {
        let paths = self.by_path().len();
        WatchSummary { clients: self.by_client().len(), paths, watches: self.data_count }
    }

    /// The data table by path, sorted.
    pub fn by_path(&self) -> BTreeMap<&[u8], Vec<ClientId>> {
        let rows = self.entries.iter().map(|entry| {
            let clients = match entry.holders {
                Holders::One { client, bits } if bits & DATA_TABLE != 0 => vec![client],
                Holders::Many(at) => {
                    let all = self.many[at as usize].iter();
                    all.filter(|(_, bits)| *bits & DATA_TABLE != 0).map(|(client, _)| *client).collect()
                }
                _ => Vec::new(),
            };
            (&*entry.text, clients)
        });
        rows.filter(|(_, clients)| !clients.is_empty()).collect()
    }

    /// The data table by client, sorted.
    pub fn by_client(&self) -> BTreeMap<ClientId, Vec<&[u8]>> {
        let mut rows: BTreeMap<ClientId, Vec<&[u8]>> = BTreeMap::new();
        for (path, clients) in self.by_path() {
            for client in clients {
                rows.entry(client).or_default().push(path);
            }
        }
        rows
    }

    fn find(&self, path: &[u8]) -> Option<PathId> {
        let hash = hash(&self.hasher, path);
        self.index.find(hash, |id| *self.entries[*id as usize].text == *path).copied()
    }

    fn intern(&mut self, path: &[u8]) -> PathId {
        let entry = PathEntry { text: path.into(), holders: Holders::None };
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            id
        } else {
            push_tight(&mut self.entries, entry);
            u32::try_from(self.entries.len() - 1).expect("memory ends before 32 bits of watches")
        };
        let Self { index, entries, hasher, .. } = self;
        let hash_of = |id: &PathId| hash(hasher, &entries[*id as usize].text);
        index.insert_unique(hash(hasher, path), id, hash_of);
        id
    }

    fn bits(&self, id: PathId, client: ClientId) -> u8 {
        match self.entries[id as usize].holders {
            Holders::One { client: holder, bits } if holder == client => bits,
            Holders::Many(at) => self.many[at as usize].get(&client).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn set_bits(&mut self, id: PathId, client: ClientId, old: u8, new: u8) {
        count(&mut self.data_count, old & DATA_TABLE != 0, new & DATA_TABLE != 0);
        count(&mut self.child_count, old & CHILD_TABLE != 0, new & CHILD_TABLE != 0);
        count(&mut self.recursive_count, old & RECURSIVE != 0, new & RECURSIVE != 0);
        self.store_bits(id, client, new);
        if old == 0 {
            let row = self.clients.entry(client).or_default();
            push_tight(&mut row.paths, id);
            row.live += 1;
        } else if new == 0 {
            self.forget_path(client);
        }
    }

    fn store_bits(&mut self, id: PathId, client: ClientId, new: u8) {
        let holders = self.entries[id as usize].holders;
        self.entries[id as usize].holders = match holders {
            Holders::None => Holders::One { client, bits: new },
            Holders::One { client: holder, .. } if holder == client => Holders::One { client, bits: new },
            Holders::One { client: holder, bits } => {
                let both = BTreeMap::from([(holder, bits), (client, new)]);
                Holders::Many(self.place_many(both))
            }
            Holders::Many(at) => {
                let set = &mut self.many[at as usize];
                if new == 0 {
                    set.remove(&client);
                } else {
                    set.insert(client, new);
                }
                holders
            }
        };
        if new == 0 {
            self.shrink(id);
        }
    }

    fn place_many(&mut self, set: BTreeMap<ClientId, u8>) -> u32 {
        if let Some(at) = self.many_free.pop() {
            self.many[at as usize] = set;
            return at;
        }
        self.many.push(set);
        u32::try_from(self.many.len() - 1).expect("memory ends before 32 bits of watches")
    }

    /// Frees what an entry without holders has.
    fn shrink(&mut self, id: PathId) {
        match self.entries[id as usize].holders {
            Holders::One { bits, .. } if bits != 0 => return,
            Holders::Many(at) if !self.many[at as usize].is_empty() => return,
            Holders::Many(at) => self.many_free.push(at),
            _ => {}
        }
        let text = std::mem::take(&mut self.entries[id as usize].text);
        self.entries[id as usize].holders = Holders::None;
        if let Ok(found) = self.index.find_entry(hash(&self.hasher, &text), |other| *other == id) {
            found.remove();
        }
        self.free.push(id);
    }

    /// The list is tidied when more than half of it is stale.
    fn forget_path(&mut self, client: ClientId) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        row.live -= 1;
        if row.live == 0 {
            self.clients.remove(&client);
            return;
        }
        if row.paths.len() <= 2 * row.live as usize + 16 {
            return;
        }
        let mut paths = std::mem::take(&mut row.paths);
        paths.retain(|id| self.bits(*id, client) != 0);
        paths.sort_unstable();
        paths.dedup();
        paths.shrink_to_fit();
        if let Some(row) = self.clients.get_mut(&client) {
            row.paths = paths;
        }
    }
}

fn count(counter: &mut usize, was: bool, is: bool) {
    *counter = *counter + usize::from(is) - usize::from(was);
}

/// Grows by a quarter, for lists that are many or long.
fn push_tight<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 4 + 2);
    }
    list.push(item);
}

fn hash(hasher: &FixedState, path: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(path);
    hasher.finish()
}

#[cfg(test)]
mod tests;
