//! A committed txn meets the tree: events, then replies, in one exclusive step.

use bytes::Bytes;
use oxherd_metrics::Statistics;
use oxherd_proto::{
    Create2Response, CreateResponse, ErrorCode, GetDataResponse, Jute, OpCode, SessionId, SyncRequest,
    TxnHeader, TxnRecord, Xid, Zxid, encode_multi_results,
};
use oxherd_tree::{Change, ChangeKind, ClientId, Outcome, Told, Tree, namespace};
use oxherd_zab::{LinkId, Role};

use crate::audit;
use crate::clock::{Clock, Now};
use crate::connection::{Close, Connection, Side};
use crate::input::{Clients, SharedWatches};
use crate::limits::Outstanding;
use crate::options::ClientOptions;

/// Where clients read the membership.
pub(crate) const CONFIG_PATH: &[u8] = b"/zookeeper/config";

/// Who waits for a txn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// A link's write. When it fails, the link is told `refusal`, if there is one, in place of the reason
    /// that the leader gives.
    Write { client: ClientId, xid: Xid, op: OpCode, refusal: Option<ErrorCode> },
    /// A link's handshake.
    Connect(ClientId),
    /// Nobody here.
    Nobody,
}

/// Something the exclusive step is to do, in order.
#[derive(Debug)]
pub(crate) enum Ready {
    /// A committed txn; `digest` is of the tree after it as this server worked it out, `noted` as the
    /// leader did.
    Txn { header: TxnHeader, record: TxnRecord, digest: Option<u64>, noted: Option<u64>, waiter: Waiter },
    /// A sync whose turn came.
    Sync { client: ClientId, xid: Xid, body: Bytes },
    /// A request that goes no further than this server.
    Refuse { client: ClientId, xid: Xid, code: ErrorCode },
    /// The end of a session that only this server knew.
    CloseLocal { client: ClientId, xid: Xid },
    /// The server serves from here on.
    Serve(Role),
    /// A learner gets the tree as it is at this place.
    Walk(LinkId),
}

/// What the exclusive step works on.
pub struct Exclusive<'a> {
    /// The tree, for this step alone.
    pub tree: &'a mut Tree,
    /// The links.
    pub clients: &'a mut dyn Clients,
    /// All watches.
    pub watches: &'a SharedWatches,
    /// What the operator set.
    pub options: &'a ClientOptions,
    /// What is counted over all links.
    pub statistics: &'a Statistics,
    /// Requests of all links not answered yet.
    pub outstanding: &'a Outstanding,
    /// From where milliseconds count.
    pub clock: &'a Clock,
    /// The moment of the step.
    pub now: Now,
    /// Kept from txn to txn, to save allocations.
    pub changes: &'a mut Vec<Change>,
}

/// What a txn did to sessions; the replica keeps their table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionChange {
    Created { session: SessionId, timeout_ms: i32 },
    Closed(SessionId),
}

impl Exclusive<'_> {
    /// Applies one txn, fires its watches, answers who waits for it.
    pub(crate) fn apply(
        &mut self,
        header: &TxnHeader,
        record: &TxnRecord,
        digest: Option<u64>,
        waiter: Waiter,
    ) -> Option<SessionChange> {
        self.changes.clear();
        let outcome = self.tree.apply_prepared(header, record, digest, self.changes);
        // Two clocks are compared, so it may come out negative.
        // Java: FinalRequestProcessor.applyRequest
        let latency_ms = self.now.unix_ms - header.time;
        if latency_ms >= 0 {
            self.statistics.metrics.propagation_latency.add(latency_ms);
        }
        self.fire(header.zxid);
        if let Waiter::Write { client, xid, op, refusal } = waiter {
            let outcome = match (outcome, refusal) {
                (Outcome::Error(_), Some(refusal)) => Outcome::Error(refusal),
                (outcome, _) => outcome,
            };
            self.audit(client, &outcome);
            self.answer(client, xid, op, outcome);
        }
        if let TxnRecord::CloseSession(_) = record {
            self.audit_ephemerals(header.client_id);
        }
        match record {
            TxnRecord::CreateSession(created) => {
                Some(SessionChange::Created { session: header.client_id, timeout_ms: created.time_out })
            }
            TxnRecord::CloseSession(_) => Some(SessionChange::Closed(header.client_id)),
            _ => None,
        }
    }

    fn audit(&mut self, client: ClientId, outcome: &Outcome) {
        if self.options.audit.is_some() {
            self.clients.with(client, &mut |connection| connection.audit(outcome));
        }
    }

    fn audit_ephemerals(&self, session: SessionId) {
        let Some(user) = &self.options.audit else { return };
        for change in self.changes.iter().filter(|change| change.kind == ChangeKind::Deleted) {
            audit::ephemeral_gone(user, session, &change.path);
        }
    }

    fn with(&mut self, client: ClientId, mut act: impl FnMut(&mut Connection, &Side<'_>)) {
        let side = Side {
            tree: self.tree,
            watches: self.watches,
            options: self.options,
            statistics: self.statistics,
            outstanding: self.outstanding,
            clock: self.clock,
            now: self.now,
        };
        self.clients.with(client, &mut |connection| act(connection, &side));
    }

    /// Counts changes and tells who watches; events go out before the reply of any request that can see the change.
    fn fire(&mut self, zxid: Zxid) {
        if self.changes.is_empty() {
            return;
        }
        let changes = std::mem::take(self.changes);
        let watches = self.watches;
        for change in &changes {
            let written = namespace::written(change);
            written
                .iter()
                .for_each(|(name, len)| self.statistics.metrics.write_per_namespace.add(name, *len));
            let told = watches.lock().trigger(change, &mut |client, event| {
                let side = Side {
                    tree: self.tree,
                    watches,
                    options: self.options,
                    statistics: self.statistics,
                    outstanding: self.outstanding,
                    clock: self.clock,
                    now: self.now,
                };
                self.clients.with(client, &mut |connection| connection.notify(&event, zxid, &side));
            });
            self.note_told(change.kind, told);
        }
        *self.changes = changes;
    }

    /// Counts the watches that a change fired; where there was none, nothing is noted.
    // Java: WatchManager.triggerWatch
    fn note_told(&self, kind: ChangeKind, told: Told) {
        let metrics = &self.statistics.metrics;
        let of_node = match kind {
            ChangeKind::Created => &metrics.node_created_watch_count,
            ChangeKind::Deleted => &metrics.node_deleted_watch_count,
            ChangeKind::DataChanged => &metrics.node_changed_watch_count,
        };
        let counts = [
            (of_node, told.data),
            (&metrics.node_deleted_watch_count, told.children),
            (&metrics.node_children_watch_count, told.parent),
        ];
        for (summary, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            summary.add(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    fn answer(&mut self, client: ClientId, xid: Xid, op: OpCode, outcome: Outcome) {
        if matches!(outcome, Outcome::Error(ErrorCode::SessionMoved)) {
            // The client carries on over another link; whatever it sends here is of no use to it.
            // Java: FinalRequestProcessor.processRequest
            return self.close(client, Close::Now);
        }
        let mut outcome = Some(outcome);
        self.with(client, |connection, side| {
            let Some(outcome) = outcome.take() else { return };
            let error = if let Outcome::Error(code) = outcome { code } else { ErrorCode::Ok };
            connection.complete(xid, error, |out| encode_outcome(op, outcome, side.tree, out), side);
        });
    }

    /// Puts the membership where clients read it.
    // Java: QuorumPeer.initConfigInZKDatabase
    pub(crate) fn show_config(&mut self, text: &str, version: i64) {
        self.changes.clear();
        self.changes.extend(self.tree.set_config_node(text.as_bytes(), Zxid(version), self.now.unix_ms));
        self.fire(Zxid(version));
    }

    /// Answers a sync: everything committed before it is applied by now.
    pub(crate) fn answer_sync(&mut self, client: ClientId, xid: Xid, body: &Bytes) {
        let request = SyncRequest::from_bytes(body.clone());
        self.with(client, |connection, side| {
            let error = if request.is_ok() { ErrorCode::Ok } else { ErrorCode::MarshallingError };
            let path = request.as_ref().map(|request| request.path.clone()).unwrap_or_default();
            connection.complete(xid, error, |out| path.encode(out), side);
        });
    }

    /// Answers a request that goes no further than this server, in its turn. The original answers a write that it
    /// checks early at once, ahead of the session's earlier requests.
    // Java: ReadOnlyRequestProcessor.sendErrorResponse, ZooKeeperServer.authWriteRequest
    pub(crate) fn refuse(&mut self, client: ClientId, xid: Xid, code: ErrorCode) {
        self.with(client, |connection, side| connection.complete(xid, code, |_| {}, side));
    }

    /// Answers the end of a session that only this server knew, in its turn.
    pub(crate) fn close_local(&mut self, client: ClientId, xid: Xid) {
        self.with(client, |connection, side| connection.close_in_turn(xid, side));
    }

    /// Ends a link.
    pub(crate) fn close(&mut self, client: ClientId, how: Close) {
        self.clients.with(client, &mut |connection| connection.close(how));
    }
}

/// The record of a reply.
// Java: FinalRequestProcessor.processRequest
fn encode_outcome(op: OpCode, outcome: Outcome, tree: &Tree, out: &mut Vec<u8>) {
    match outcome {
        Outcome::DataSet(stat) if op == OpCode::Reconfig => {
            let data = tree.node(CONFIG_PATH).and_then(|node| node.data().map(Bytes::copy_from_slice));
            GetDataResponse { data, stat }.encode(out);
        }
        Outcome::Created { path, .. } if op == OpCode::Create => CreateResponse { path }.encode(out),
        Outcome::Created { path, stat } => Create2Response { path, stat }.encode(out),
        Outcome::DataSet(stat) | Outcome::AclSet(stat) => stat.encode(out),
        Outcome::Multi(results) => encode_multi_results(&results, out),
        Outcome::Deleted | Outcome::SessionCreated | Outcome::SessionClosed | Outcome::Error(_) => {}
    }
}
