//! The nodes as they will be once all proposed txns are applied.
//!
//! A write is checked while the writes before it are still on their way to the log. What those change
//! is kept here, path by path, until it is applied; every other path is looked up in the tree. The
//! digest of the tree after each txn is worked out ahead in the same way.
//!
//! Invariant: a path is in the map as long as the newest txn that changes it is not applied. `""` and
//! `"/"` are one node here, unlike in the original, where the two have pending changes of their own.
// Java: ZooKeeperServer.outstandingChanges, ChangeRecord

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use oxherd_proto::{ErrorCode, SessionId, StatPersisted, Str, Zxid};
use oxherd_tree::{AclList, NodeView, Place, QuotaBreach, Tree};

use crate::prepare::PrepareContext;
use crate::prepare::digest;

const HASH_SEED: u64 = 0x6f78_6865_7264;

/// Changes proposed and not applied.
#[derive(Debug)]
pub(crate) struct Overlay {
    by_path: HashMap<Bytes, Pending, FixedState>,
    /// Every change in zxid order; several may concern one path.
    queue: VecDeque<(Zxid, Bytes)>,
    /// Of the tree after the last change of `queue`; `None` while it is empty or digests are off.
    digest: Option<u64>,
    /// What the changes of the multi under way replaced, oldest first.
    replaced: Option<Replaced>,
    traffic: OverlayTraffic,
    /// Limits that writes would break, since they were taken last.
    pub(crate) breaches: Vec<QuotaBreach>,
}

/// Changes that came and went since this was taken last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OverlayTraffic {
    pub(crate) queued: i64,
    pub(crate) removed: i64,
}

/// The newest pending change of a path.
#[derive(Debug)]
struct Pending {
    zxid: Zxid,
    /// `None` once the node is removed.
    record: Option<Record>,
}

#[derive(Debug)]
struct Replaced {
    changes: Vec<(Bytes, Option<Pending>)>,
    queue_len: usize,
    digest: Option<u64>,
}

/// A node as later writes have to see it.
// Java: ChangeRecord
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) stat: StatPersisted,
    pub(crate) child_count: i64,
    pub(crate) acl: AclList,
    pub(crate) data_len: usize,
    /// Of path and data, where they are not those in the tree.
    pub(crate) content_sum: Option<u32>,
    /// Its share of the pending digest; `None` where it is that of the node in the tree.
    digest: Option<u64>,
    /// Where it is in the tree, good until the tree changes: within one request.
    place: Option<Place>,
}

impl Record {
    fn of(node: &NodeView<'_>) -> Self {
        Self {
            stat: node.persisted(),
            child_count: i64::try_from(node.child_count()).unwrap_or(i64::MAX),
            acl: node.acl().clone(),
            data_len: node.data().map_or(0, <[u8]>::len),
            content_sum: None,
            digest: None,
            place: Some(node.place()),
        }
    }

    /// A node that a txn makes; the sum is of its path and data.
    pub(crate) fn made(stat: StatPersisted, acl: AclList, data_len: usize, content_sum: u32) -> Self {
        Self {
            stat,
            child_count: 0,
            acl,
            data_len,
            content_sum: Some(content_sum),
            digest: Some(0),
            place: None,
        }
    }
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            by_path: HashMap::with_hasher(FixedState::with_seed(HASH_SEED)),
            queue: VecDeque::new(),
            digest: None,
            replaced: None,
            traffic: OverlayTraffic::default(),
            breaches: Vec::new(),
        }
    }
}

impl Overlay {
    /// What is to be counted since the last time.
    pub(crate) fn take_traffic(&mut self) -> OverlayTraffic {
        std::mem::take(&mut self.traffic)
    }

    /// Forgets what is applied by now: every change up to `zxid`.
    // Java: ZooKeeperServer.processTxn
    pub(crate) fn applied(&mut self, zxid: Zxid) {
        while let Some((changed_at, path)) = self.queue.front() {
            if *changed_at > zxid {
                return;
            }
            if self.by_path.get(path).is_some_and(|pending| pending.zxid <= zxid) {
                self.by_path.remove(path);
            }
            self.queue.pop_front();
            self.traffic.removed += 1;
        }
        self.digest = None;
    }

    /// Forgets everything, as when proposals are given up with a lost leadership.
    pub(crate) fn clear(&mut self) {
        self.by_path.clear();
        self.queue.clear();
        self.digest = None;
        self.replaced = None;
    }

    /// The digest of the tree once all that is proposed is applied.
    // Java: PrepRequestProcessor.getCurrentTreeDigest
    pub(crate) fn pending_digest(&self, tree: &Tree) -> u64 {
        self.digest.unwrap_or_else(|| tree.digest())
    }

    /// The node at `path`, or that there is none.
    // Java: PrepRequestProcessor.getRecordForPath
    pub(crate) fn find(&self, tree: &Tree, path: &[u8]) -> Result<Record, ErrorCode> {
        let key = key_of(path);
        match self.by_path.get(key) {
            Some(pending) => pending.record.clone(),
            None => tree.node(key).map(|node| Record::of(&node)),
        }
        .ok_or(ErrorCode::NoNode)
    }

    /// Whether there is a node at `path`.
    pub(crate) fn exists(&self, tree: &Tree, path: &[u8]) -> bool {
        let key = key_of(path);
        match self.by_path.get(key) {
            Some(pending) => pending.record.is_some(),
            None => tree.node(key).is_some(),
        }
    }

    /// The session's ephemeral nodes, in order of their paths.
    pub(crate) fn ephemerals(&self, tree: &Tree, session: SessionId) -> BTreeSet<Str> {
        if session == SessionId(0) {
            return BTreeSet::new();
        }
        let mut paths: BTreeSet<Str> = tree.ephemerals(session).collect();
        for (path, pending) in &self.by_path {
            let owner = pending.record.as_ref().map(|record| record.stat.ephemeral_owner);
            if owner == Some(session) {
                paths.insert(Str::from_bytes(path.clone()));
            } else {
                paths.remove(&path[..]);
            }
        }
        paths
    }

    /// Puts a changed or new node in place; `record` came from [`Self::find`] or is new.
    pub(crate) fn put(&mut self, ctx: &PrepareContext<'_>, path: &Bytes, mut record: Record) {
        if ctx.options.digest {
            let content = record.content_sum.unwrap_or_else(|| content_in_tree(ctx.tree, record.place, path));
            let before = match (record.digest, record.content_sum) {
                (Some(digest), _) => digest,
                (None, None) => digest_with_content(ctx.tree, record.place, path, content),
                (None, Some(_)) => digest_in_tree(ctx.tree, record.place, path),
            };
            let after = digest::of_node(path, content, &record.stat);
            record.content_sum = Some(content);
            record.digest = Some(after);
            record.place = None;
            self.shift_digest(ctx, before, after);
        }
        self.replace(ctx.zxid, path, Some(record));
    }

    /// Removes a node; `record` came from [`Self::find`].
    pub(crate) fn remove(&mut self, ctx: &PrepareContext<'_>, path: &Bytes, record: &Record) {
        if ctx.options.digest {
            let before = record.digest.unwrap_or_else(|| digest_in_tree(ctx.tree, record.place, path));
            self.shift_digest(ctx, before, 0);
        }
        self.replace(ctx.zxid, path, None);
    }

    // Java: PrepRequestProcessor.precalculateDigest
    fn shift_digest(&mut self, ctx: &PrepareContext<'_>, before: u64, after: u64) {
        let digest = self.pending_digest(ctx.tree);
        self.digest = Some(digest.wrapping_sub(before).wrapping_add(after));
    }

    fn replace(&mut self, zxid: Zxid, path: &Bytes, record: Option<Record>) {
        let key = if path[..] == *b"/" { Bytes::new() } else { path.clone() };
        let previous = self.by_path.insert(key.clone(), Pending { zxid, record });
        if let Some(replaced) = &mut self.replaced {
            replaced.changes.push((key.clone(), previous));
        }
        self.queue.push_back((zxid, key));
        self.traffic.queued += 1;
    }

    // ---- multi

    /// From here on changes can be taken back.
    // Java: PrepRequestProcessor.getPendingChanges
    pub(crate) fn begin_multi(&mut self) {
        let (queue_len, digest) = (self.queue.len(), self.digest);
        self.replaced = Some(Replaced { changes: Vec::new(), queue_len, digest });
    }

    /// The changes since [`Self::begin_multi`] stay.
    pub(crate) fn keep_multi(&mut self) {
        self.replaced = None;
    }

    /// Takes back every change since [`Self::begin_multi`].
    // Java: PrepRequestProcessor.rollbackPendingChanges
    pub(crate) fn roll_back_multi(&mut self) {
        let Some(replaced) = self.replaced.take() else { return };
        for (path, previous) in replaced.changes.into_iter().rev() {
            match previous {
                Some(pending) => self.by_path.insert(path, pending),
                None => self.by_path.remove(&path),
            };
        }
        self.queue.truncate(replaced.queue_len);
        self.digest = replaced.digest;
    }

    /// How many changes are pending; a path counts as often as it is changed.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert!(self.by_path.len() <= self.queue.len(), "every pending path is queued");
        self.queue.len()
    }
}

fn key_of(path: &[u8]) -> &[u8] {
    if path == b"/" { b"" } else { path }
}

fn content_in_tree(tree: &Tree, place: Option<Place>, path: &[u8]) -> u32 {
    digest::of_content(key_of(path), place.and_then(|place| tree.at(place).data()))
}

/// As [`digest_in_tree`], with the sum of the node's data at hand.
fn digest_with_content(tree: &Tree, place: Option<Place>, path: &[u8], content: u32) -> u64 {
    place.map_or(0, |place| digest::of_node(path, content, &tree.at(place).persisted()))
}

fn digest_in_tree(tree: &Tree, place: Option<Place>, path: &[u8]) -> u64 {
    let Some(node) = place.map(|place| tree.at(place)) else { return 0 };
    oxherd_tree::node_digest(key_of(path), node.data(), &node.persisted())
}
