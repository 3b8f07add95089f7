//! Txns on the tree.
//!
//! Applying is idempotent: a log may be replayed over a snapshot that already holds some of its
//! effects, and ends in the same tree. A txn that makes no sense, from an old or foreign log, changes
//! nothing and answers an error.

use oxherd_proto::{
    Acl, CreateMode, ErrorCode, MultiResult, OpCode, SessionId, Stat, StatPersisted, Str, SubTxn, TxnHeader,
    TxnRecord, Zxid,
};

use crate::AclList;
use crate::node::{Node, NodeId, NodeView, Written};
use crate::path;
use crate::tree::Tree;

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// It was removed.
    Deleted,
    /// Its data was replaced.
    DataChanged,
}

/// A change that watchers may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Str,
    /// By which txn.
    pub zxid: Zxid,
    /// Bytes of data that the txn gave the node; 0 when it was removed.
    pub data_len: usize,
    /// The node's ACL; a watcher needs READ under it.
    pub acl: AclList,
    /// The parent's ACL, for watchers of its children.
    pub parent_acl: AclList,
}

/// What a txn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A node was made.
    Created {
        /// Its path.
        path: Str,
        /// Its metadata.
        stat: Stat,
    },
    /// A node was removed.
    Deleted,
    /// Data was replaced; the new metadata.
    DataSet(Stat),
    /// An ACL was replaced; the new metadata.
    AclSet(Stat),
    /// One result for each operation, in order.
    Multi(Vec<MultiResult>),
    /// A session begins; the tree does not know it.
    SessionCreated,
    /// A session's ephemeral nodes are gone.
    SessionClosed,
    /// The txn says or meets an error.
    Error(ErrorCode),
}

struct NewNode<'a> {
    path: &'a Str,
    data: Option<&'a [u8]>,
    acl: &'a [Acl],
    owner: i64,
    parent_cversion: i32,
}

impl Tree {
    /// Applies one txn; changes that watchers may want are appended in the order of events.
    // Java: DataTree.processTxn
    pub fn apply(&mut self, header: &TxnHeader, record: &TxnRecord, changes: &mut Vec<Change>) -> Outcome {
        let outcome = match record {
            TxnRecord::Multi(subs) => Outcome::Multi(self.apply_multi(header, subs, changes)),
            record => self.apply_one(header, record, changes).unwrap_or_else(Outcome::Error),
        };
        self.last_zxid = self.last_zxid.max(header.zxid);
        outcome
    }

    /// As [`Tree::apply`], for a txn that this server prepared itself, against this very tree: its digest
    /// was worked out then, and working it out again is left to builds with debug assertions.
    pub fn apply_prepared(
        &mut self,
        header: &TxnHeader,
        record: &TxnRecord,
        digest: Option<u64>,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        self.known_digest = digest.filter(|_| !cfg!(debug_assertions));
        let outcome = self.apply(header, record, changes);
        self.known_digest = None;
        if let Some(digest) = digest {
            debug_assert_eq!(self.digest(), digest, "the digest worked out ahead is the tree's");
            self.set_digest(digest);
        }
        outcome
    }

    fn apply_one(
        &mut self,
        header: &TxnHeader,
        record: &TxnRecord,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, ErrorCode> {
        match record {
            TxnRecord::SetData(txn) => {
                self.set_data(header, &txn.path, txn.data.as_deref(), txn.version, changes)
            }
            TxnRecord::SetAcl(txn) => self.set_acl(header, &txn.path, &txn.acl, txn.version),
            TxnRecord::Delete(txn) => self.delete(&txn.path, header.zxid, changes).map(|()| Outcome::Deleted),
            TxnRecord::CloseSession(txn) => {
                let paths = txn.as_ref().map_or(&[][..], |txn| &txn.paths_to_delete);
                self.close_session(header, paths, changes);
                Ok(Outcome::SessionClosed)
            }
            TxnRecord::CreateSession(_) => Ok(Outcome::SessionCreated),
            TxnRecord::Error(code) => Err(*code),
            TxnRecord::Check(_) => Err(ErrorCode::Unimplemented),
            TxnRecord::Multi(_) => Err(ErrorCode::MarshallingError),
            _ => self.create(header, &new_node(header, record)?, changes),
        }
    }

    /// One error among the operations makes errors of them all.
    fn apply_multi(
        &mut self,
        header: &TxnHeader,
        subs: &[SubTxn],
        changes: &mut Vec<Change>,
    ) -> Vec<MultiResult> {
        if subs.iter().any(|sub| matches!(sub.record, TxnRecord::Error(_))) {
            return failed_multi(subs);
        }
        subs.iter()
            .map(|sub| match &sub.record {
                TxnRecord::Check(_) => MultiResult::Check,
                record => match self.apply_one(header, record, changes) {
                    Ok(outcome) => multi_result(sub.kind, outcome),
                    Err(code) => MultiResult::Error(code),
                },
            })
            .collect()
    }

    // Java: DataTree.createNode
    fn create(
        &mut self,
        header: &TxnHeader,
        new: &NewNode<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, ErrorCode> {
        if new.path.as_bytes() == b"/" {
            return Err(ErrorCode::NodeExists);
        }
        let (parent_path, name) = path::split(new.path).ok_or(ErrorCode::BadArguments)?;
        let parent = self.store.lookup(parent_path).ok_or(ErrorCode::NoNode)?;
        if let Some(existing) = self.store.child(parent, name) {
            self.replace_acl(existing, new.acl);
            self.count_create(parent, parent_path, new.parent_cversion, header.zxid);
            return Err(ErrorCode::NodeExists);
        }
        self.count_create(parent, parent_path, new.parent_cversion, header.zxid);
        let acl = self.acls.intern(new.acl);
        let node = Node::new(name, new.data, acl, &first_stat(header, new.owner));
        let id = self.add_node(parent, new.path, node).expect("it was looked for");
        self.walks.skip(id);
        let stat = NodeView::new(self, id).stat();
        self.quota_created(new.path, new.data.map_or(0, <[u8]>::len));
        changes.push(self.change(ChangeKind::Created, new.path, header.zxid, id, new.data));
        Ok(Outcome::Created { path: new.path.clone(), stat })
    }

    /// The parent's count of creates only grows; −1 is what logs before 3.3 say.
    ///
    /// Also for a node that exists: it was removed and made again while a snapshot was taken. The
    /// original does so for type 1 only and leaves the parent behind for the others.
    // Java: DataTree.createNode, DataTree.setCversionPzxid
    fn count_create(&mut self, parent: NodeId, path: &[u8], cversion: i32, zxid: Zxid) {
        let current = self.store.node(parent).cversion();
        let cversion = if cversion == -1 { current.wrapping_add(1) } else { cversion };
        if cversion > current {
            self.before_change(parent, path);
            let node = self.store.node_mut(parent);
            node.set_pzxid(zxid.0);
            node.set_cversion(cversion);
            self.after_change(parent, path);
        }
    }

    fn replace_acl(&mut self, id: NodeId, acl: &[Acl]) {
        self.walks.capture(&self.store, &self.acls, id);
        let new = self.acls.intern(acl);
        let old = std::mem::replace(&mut self.store.node_mut(id).acl, new);
        self.acls.release(old);
    }

    /// Nodes below, which only a replay can meet, go too: later txns of the log make them again.
    // Java: DataTree.deleteNode
    fn delete(&mut self, path: &Str, zxid: Zxid, changes: &mut Vec<Change>) -> Result<(), ErrorCode> {
        let (parent_path, name) = path::split(path).ok_or(ErrorCode::BadArguments)?;
        let parent = self.store.lookup(parent_path).ok_or(ErrorCode::NoNode)?;
        if zxid.0 > self.store.node(parent).pzxid() {
            self.before_change(parent, parent_path);
            self.store.node_mut(parent).set_pzxid(zxid.0);
            self.after_change(parent, parent_path);
        }
        let id = self.store.child(parent, name).ok_or(ErrorCode::NoNode)?;
        changes.push(self.change(ChangeKind::Deleted, path, zxid, id, None));
        if !self.store.node(id).children().is_empty() {
            for below in self.store.subtree(id).into_iter().skip(1).rev() {
                let path = self.store.path(below);
                self.remove_node(below, &path);
            }
        }
        self.remove_node(id, path);
        Ok(())
    }

    // Java: DataTree.setData
    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &Str,
        data: Option<&[u8]>,
        version: i32,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, ErrorCode> {
        let id = self.store.lookup(path).ok_or(ErrorCode::NoNode)?;
        if self.is_successor(id, header) {
            return Ok(Outcome::DataSet(NodeView::new(self, id).stat()));
        }
        let written = Written { mzxid: header.zxid.0, mtime: header.time, version };
        self.write_data(id, path, data, written);
        changes.push(self.change(ChangeKind::DataChanged, path, header.zxid, id, data));
        Ok(Outcome::DataSet(NodeView::new(self, id).stat()))
    }

    /// Whether a replayed txn means an earlier node of the same path, gone since; the original changes
    /// the later one, whose versions are then wrong for ever.
    fn is_successor(&self, id: NodeId, header: &TxnHeader) -> bool {
        self.store.node(id).czxid > header.zxid.0
    }

    // Java: DataTree.setACL
    fn set_acl(
        &mut self,
        header: &TxnHeader,
        path: &Str,
        acl: &[Acl],
        version: i32,
    ) -> Result<Outcome, ErrorCode> {
        let id = self.store.lookup(path).ok_or(ErrorCode::NoNode)?;
        if self.is_successor(id, header) {
            return Ok(Outcome::AclSet(NodeView::new(self, id).stat()));
        }
        self.before_change(id, path);
        self.replace_acl(id, acl);
        self.store.node_mut(id).set_aversion(version);
        self.after_change(id, path);
        Ok(Outcome::AclSet(NodeView::new(self, id).stat()))
    }

    /// First the nodes that the txn names, then those the session has beside them.
    // Java: DataTree.killSession
    fn close_session(&mut self, header: &TxnHeader, named: &[Str], changes: &mut Vec<Change>) {
        for path in named {
            // A node that is gone already is what a replay meets.
            self.delete(path, header.zxid, changes).ok();
        }
        for path in self.ephemerals(header.client_id) {
            self.delete(&path, header.zxid, changes).ok();
        }
    }

    fn change(&self, kind: ChangeKind, path: &Str, zxid: Zxid, id: NodeId, data: Option<&[u8]>) -> Change {
        let node = self.store.node(id);
        let acl = self.acls.list(node.acl).clone();
        let parent_acl = self.acls.list(self.store.node(node.parent).acl).clone();
        Change { kind, path: path.clone(), zxid, data_len: data.map_or(0, <[u8]>::len), acl, parent_acl }
    }
}

fn new_node<'a>(header: &TxnHeader, record: &'a TxnRecord) -> Result<NewNode<'a>, ErrorCode> {
    Ok(match record {
        TxnRecord::Create(txn) => NewNode {
            path: &txn.path,
            data: txn.data.as_deref(),
            acl: &txn.acl,
            owner: if txn.ephemeral { header.client_id.0 } else { 0 },
            parent_cversion: txn.parent_c_version,
        },
        TxnRecord::CreateContainer(txn) => NewNode {
            path: &txn.path,
            data: txn.data.as_deref(),
            acl: &txn.acl,
            owner: SessionId::CONTAINER.0,
            parent_cversion: txn.parent_c_version,
        },
        TxnRecord::CreateTtl(txn) => NewNode {
            path: &txn.path,
            data: txn.data.as_deref(),
            acl: &txn.acl,
            owner: ttl_owner(txn.ttl)?,
            parent_cversion: txn.parent_c_version,
        },
        _ => return Err(ErrorCode::Unimplemented),
    })
}

// Java: EphemeralType.TTL.toEphemeralOwner
fn ttl_owner(ttl_ms: i64) -> Result<i64, ErrorCode> {
    if (1..=CreateMode::TTL_MS_MAX).contains(&ttl_ms) {
        Ok((0xff_i64 << 56) | ttl_ms)
    } else {
        Err(ErrorCode::BadArguments)
    }
}

// Java: DataTree.createStat
fn first_stat(header: &TxnHeader, owner: i64) -> StatPersisted {
    StatPersisted {
        czxid: header.zxid,
        mzxid: header.zxid,
        pzxid: header.zxid,
        ctime: header.time,
        mtime: header.time,
        ephemeral_owner: SessionId(owner),
        ..StatPersisted::default()
    }
}

/// Operations before the one that failed answer 0, those after it what the log says or −2.
fn failed_multi(subs: &[SubTxn]) -> Vec<MultiResult> {
    let mut code_of_others = ErrorCode::Ok;
    subs.iter()
        .map(|sub| match sub.record {
            TxnRecord::Error(code) => {
                code_of_others = ErrorCode::RuntimeInconsistency;
                MultiResult::Error(code)
            }
            _ => MultiResult::Error(code_of_others),
        })
        .collect()
}

fn multi_result(kind: i32, outcome: Outcome) -> MultiResult {
    match outcome {
        Outcome::Created { path, .. } if kind == OpCode::Create.code() => MultiResult::Create(path),
        Outcome::Created { path, stat } => MultiResult::Create2(path, stat),
        Outcome::Deleted => MultiResult::Delete,
        Outcome::DataSet(stat) | Outcome::AclSet(stat) => MultiResult::SetData(stat),
        Outcome::Error(code) => MultiResult::Error(code),
        Outcome::Multi(_) | Outcome::SessionCreated | Outcome::SessionClosed => {
            MultiResult::Error(ErrorCode::MarshallingError)
        }
    }
}
