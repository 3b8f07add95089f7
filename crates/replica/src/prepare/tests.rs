//! Writes become txns: golden cases per operation, then two properties over random histories.

mod change;
mod create;
mod eager;
mod multi;
mod pipeline;
mod reconfig;
mod session;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use oxherd_proto::{
    Acl, CreateMode, CreateRequest, CreateTTLRequest, DeleteRequest, ErrorCode, Id, Jute, MultiOp, OpCode,
    SessionId, SetACLRequest, SetDataRequest, Str, TxnRecord, Xid, Zxid, encode_multi,
};
use oxherd_tree::{Tree, TreeOptions};

use super::reconfig::Membership;
use super::{Origin, PrepareContext, PrepareOptions, Prepared, SessionView, WriteRequest};
use crate::overlay::Overlay;

const ALICE: SessionId = SessionId(0xa11ce);
const BOB: SessionId = SessionId(0xb0b);
/// Known to one server only.
const LOCAL: SessionId = SessionId(0x10ca1);
const STRANGER: SessionId = SessionId(0xbad);

struct Table {
    closing: BTreeSet<SessionId>,
}

impl SessionView for Table {
    fn check(&self, session: SessionId) -> Result<(), ErrorCode> {
        if session == STRANGER || self.closing.contains(&session) {
            return Err(ErrorCode::SessionExpired);
        }
        Ok(())
    }

    fn is_local(&self, session: SessionId) -> bool {
        session == LOCAL
    }
}

/// A tree, what is on its way to it, and a counter of zxids.
struct World {
    tree: Tree,
    overlay: Overlay,
    options: PrepareOptions,
    sessions: Table,
    ids: Arc<[Id]>,
    zxid: i64,
    proposed: VecDeque<Prepared>,
    /// None for a server alone.
    ensemble: Option<reconfig::Ensemble>,
}

impl World {
    fn new() -> Self {
        Self::with(PrepareOptions { extended_types: true, ..PrepareOptions::default() })
    }

    fn with(options: PrepareOptions) -> Self {
        let tree = Tree::new(TreeOptions {
            extended_types: options.extended_types,
            emulate_353_ttl: options.emulate_353_ttl,
            digest: options.digest,
            hash_seed: 1,
        });
        Self {
            tree,
            overlay: Overlay::default(),
            options,
            sessions: Table { closing: BTreeSet::new() },
            ids: Arc::from([id("ip", "127.0.0.1"), id("digest", "u:h")]),
            zxid: 0,
            proposed: VecDeque::new(),
            ensemble: None,
        }
    }

    /// Proposes a write of a client; nothing is applied yet.
    fn submit(&mut self, session: SessionId, op: OpCode, body: Vec<u8>) -> Prepared {
        self.submit_from(Origin::Client, session, op, body)
    }

    fn submit_from(&mut self, origin: Origin, session: SessionId, op: OpCode, body: Vec<u8>) -> Prepared {
        self.zxid += 1;
        let ctx = PrepareContext {
            tree: &self.tree,
            zxid: Zxid(self.zxid),
            unix_ms: 1_000_000 + self.zxid,
            sessions: &self.sessions,
            options: &self.options,
            membership: self.ensemble.as_ref().map(|ensemble| ensemble as &dyn Membership),
        };
        let xid = Xid(7);
        let request =
            WriteRequest { session, xid, op, body: body.into(), ids: Arc::clone(&self.ids), origin };
        let prepared = self.overlay.prepare(&ctx, &request);
        assert_eq!((prepared.header.zxid, prepared.header.client_id), (Zxid(self.zxid), session));
        assert_eq!(prepared.header.kind, if prepared.error.is_some() { -1 } else { op.code() });
        if op == OpCode::CloseSession {
            self.sessions.closing.insert(session);
        }
        self.proposed.push_back(prepared.clone());
        prepared
    }

    /// Proposes a write that has to fail with `code`, and changes nothing.
    fn refused(&mut self, session: SessionId, op: OpCode, body: Vec<u8>, code: ErrorCode) {
        let pending = (self.overlay.len(), self.overlay.pending_digest(&self.tree));
        let prepared = self.submit(session, op, body);
        assert_eq!(prepared.record, TxnRecord::Error(code));
        assert_eq!((prepared.error, prepared.digest), (Some(code), None));
        assert_eq!((self.overlay.len(), self.overlay.pending_digest(&self.tree)), pending, "nothing pends");
    }

    /// Applies the oldest txn on its way, if there is one, and compares its digest with the tree's.
    fn apply_one(&mut self) -> bool {
        let Some(txn) = self.proposed.pop_front() else { return false };
        let before = self.tree.digest();
        self.tree.apply(&txn.header, &txn.record, &mut Vec::new());
        self.overlay.applied(txn.header.zxid);
        match &txn.digest {
            Some(digest) => assert_eq!(digest.tree_digest.cast_unsigned(), self.tree.digest(), "{txn:?}"),
            None => assert!(self.tree.digest() == before || !self.options.digest, "{txn:?}"),
        }
        true
    }

    fn apply_all(&mut self) {
        while self.apply_one() {}
        assert_eq!(self.overlay.len(), 0, "what is applied pends no more");
    }

    /// Makes a node, applied.
    fn given(&mut self, session: SessionId, path: &str, mode: CreateMode, acl: Vec<Acl>) {
        let op = match mode {
            CreateMode::Container => OpCode::CreateContainer,
            _ => OpCode::Create,
        };
        let made = self.submit(session, op, create(path, mode, acl));
        assert_eq!(made.error, None, "{path}");
        self.apply_all();
    }
}

fn id(scheme: &str, id: &str) -> Id {
    Id { scheme: scheme.into(), id: id.into() }
}

fn acl(perms: i32, scheme: &str, of: &str) -> Vec<Acl> {
    vec![Acl { perms, id: id(scheme, of) }]
}

fn open() -> Vec<Acl> {
    acl(31, "world", "anyone")
}

/// Nobody here has any permission.
fn closed() -> Vec<Acl> {
    acl(31, "digest", "someone:else")
}

fn create_request(path: &str, mode: CreateMode, acl: Vec<Acl>) -> CreateRequest {
    CreateRequest { path: path.into(), data: Some("data".into()), acl, flags: mode.flags() }
}

fn create(path: &str, mode: CreateMode, acl: Vec<Acl>) -> Vec<u8> {
    create_request(path, mode, acl).to_vec()
}

fn create_flags(path: &str, flags: i32) -> Vec<u8> {
    CreateRequest { flags, ..create_request(path, CreateMode::Persistent, open()) }.to_vec()
}

fn create_ttl(path: &str, flags: i32, ttl: i64) -> Vec<u8> {
    CreateTTLRequest { path: path.into(), data: None, acl: open(), flags, ttl }.to_vec()
}

fn delete(path: &str, version: i32) -> Vec<u8> {
    DeleteRequest { path: path.into(), version }.to_vec()
}

fn set_data(path: &str, data: &'static str, version: i32) -> Vec<u8> {
    SetDataRequest { path: path.into(), data: Some(data.into()), version }.to_vec()
}

fn set_acl(path: &str, acl: Vec<Acl>, version: i32) -> Vec<u8> {
    SetACLRequest { path: path.into(), acl, version }.to_vec()
}

fn multi(ops: &[MultiOp]) -> Vec<u8> {
    let mut body = Vec::new();
    encode_multi(ops, &mut body);
    body
}

/// The path of a txn that concerns one node.
fn path_of(record: &TxnRecord) -> Str {
    match record {
        TxnRecord::Create(txn) => txn.path.clone(),
        TxnRecord::CreateContainer(txn) => txn.path.clone(),
        TxnRecord::CreateTtl(txn) => txn.path.clone(),
        TxnRecord::Delete(txn) => txn.path.clone(),
        TxnRecord::SetData(txn) => txn.path.clone(),
        TxnRecord::SetAcl(txn) => txn.path.clone(),
        other => panic!("{other:?} concerns no single node"),
    }
}
