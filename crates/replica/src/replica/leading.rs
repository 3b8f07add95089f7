//! A leader: takes the requests of its own clients and those that learners pass on.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use oxherd_proto::{Id, Input as Reader, Jute, OpCode, SessionId, Xid};
use oxherd_tree::Tree;
use oxherd_zab::{LinkId, Output as ZabOutput};

use super::Replica;
use super::member::Duty;
use crate::clock::Now;
use crate::commit::Waiter;
use crate::input::{Connect, Output};
use crate::prepare::{Origin, WriteRequest};

/// Which server carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// This one.
    Here,
    /// The learner behind this link.
    Link(LinkId),
}

/// What only a leader keeps.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) since: Instant,
    /// Who carries each session; nobody before its first request.
    // Java: SessionTrackerImpl.SessionImpl.owner
    owners: HashMap<SessionId, Owner, FixedState>,
}

impl Leading {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, owners: HashMap::default() }
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.owners.remove(&session);
    }

    /// Whether the session is carried by another server than the one that asks.
    // Java: SessionTrackerImpl.checkSession
    fn is_moved(&mut self, session: SessionId, asks: Owner) -> bool {
        *self.owners.entry(session).or_insert(asks) != asks
    }
}

/// A request as learners pass it on.
struct Passed {
    session: SessionId,
    xid: Xid,
    op: i32,
    body: Bytes,
}

impl Passed {
    // Java: LearnerHandler.run
    fn decode(data: Bytes) -> Option<Self> {
        let mut reader = Reader::new(data);
        let session = SessionId::decode(&mut reader).ok()?;
        let xid = Xid::decode(&mut reader).ok()?;
        let op = i32::decode(&mut reader).ok()?;
        Some(Self { session, xid, op, body: reader.rest() })
    }
}

impl Replica {
    pub(super) fn lead_write(&mut self, now: Now, request: &WriteRequest, waiter: Waiter, tree: &Tree) {
        let moved = self.is_moved(request.session, Owner::Here);
        self.propose(now, request, waiter, tree, moved);
    }

    fn is_moved(&mut self, session: SessionId, asks: Owner) -> bool {
        let known = self.sessions.contains(session);
        match &mut self.duty {
            Duty::Leading(leading) if known => leading.is_moved(session, asks),
            _ => false,
        }
    }

    fn set_owner(&mut self, session: SessionId, owner: Owner) {
        if let Duty::Leading(leading) = &mut self.duty {
            leading.owners.insert(session, owner);
        }
    }

    // Java: LeaderZooKeeperServer.revalidateSession
    pub(super) fn lead_connect(&mut self, now: Now, connect: &Connect, tree: &Tree) {
        self.connect(now, connect, tree);
        if self.sessions.client(connect.session) == Some(connect.client) {
            self.set_owner(connect.session, Owner::Here);
        }
    }

    /// Ephemeral nodes of sessions that nobody knows, as servers of older releases may have left them. The
    /// original removes them on the leader alone; here every member sees it in the history.
    // Java: ZooKeeperServer.loadData
    pub(super) fn end_orphans(&mut self, now: Now, tree: &Tree) {
        let owners = tree.sessions_with_ephemerals();
        let orphans: Vec<_> = owners.filter(|session| !self.sessions.contains(*session)).collect();
        for session in orphans {
            tracing::warn!(%session, "removing the ephemeral nodes of a session that is gone");
            self.internal(now, session, OpCode::CloseSession, Bytes::new(), tree);
        }
    }

    /// Something that a learner wants.
    pub(super) fn learner_output(&mut self, now: Now, output: ZabOutput, tree: &Tree) {
        match output {
            ZabOutput::Request { link, data, authinfo } => self.passed_on(now, link, data, &authinfo, tree),
            ZabOutput::Touched { sessions, .. } => {
                for (session, timeout_ms) in sessions {
                    self.sessions.touch(now.instant, session, timeout_ms);
                }
            }
            ZabOutput::Revalidate { link, session, timeout_ms, .. } => {
                let valid = self.sessions.touch(now.instant, session, timeout_ms);
                if valid {
                    self.set_owner(session, Owner::Link(link));
                }
                self.zab.answer_revalidate(link, session, valid);
            }
            other => self.outputs.push_back(Output::Peer(other)),
        }
    }

    /// Every request but a sync becomes a txn, so that the learner's client gets an answer.
    // Java: LearnerHandler.run, Leader.processSync
    fn passed_on(&mut self, now: Now, link: LinkId, data: Bytes, ids: &[Id], tree: &Tree) {
        let Some(Passed { session, xid, op, body }) = Passed::decode(data) else {
            return tracing::warn!(link = link.0, "a learner passes on what is no request");
        };
        let op = OpCode::from_code(op).unwrap_or(OpCode::Error);
        if op == OpCode::Sync {
            // A leader that is about to leave takes no more writes, and no sync may overtake one.
            if self.zab.next_zxid().is_some() {
                self.zab.answer_sync(link);
            }
            return;
        }
        if op == OpCode::CreateSession
            && let Ok(timeout_ms) = i32::from_bytes(body.clone())
        {
            self.sessions.announced(now.instant, session, timeout_ms);
            self.set_owner(session, Owner::Link(link));
        }
        let moved = self.is_moved(session, Owner::Link(link));
        let request = WriteRequest { session, xid, op, body, ids: Arc::from(ids), origin: Origin::Client };
        self.propose(now, &request, Waiter::Nobody, tree, moved);
    }
}
