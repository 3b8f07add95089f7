//! Sessions that only this server knows: never proposed, gone with the role.
//!
//! They write as others do, for the leader takes a session that it does not know for another server's. One
//! that wants an ephemeral node becomes a session for all first: its createSession goes ahead of the write.
// Java: LocalSessionTracker, UpgradeableSessionTracker, QuorumZooKeeperServer.checkUpgradeSession

use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{
    CreateMode, CreateRequest, ErrorCode, Jute, MultiOp, OpCode, ServerId, SessionId, Xid, decode_multi,
};
use oxherd_tree::{ClientId, Tree};

use super::Replica;
use super::learning::passed;
use super::member::Duty;
use crate::clock::Now;
use crate::commit::{Ready, Waiter};
use crate::input::{ClientCommand, Connect, Output};
use crate::password;
use crate::prepare::WriteRequest;
use crate::session::Sessions;

/// Whether sessions begin as those of one server.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalSessionOptions {
    /// New sessions are known to their server alone (`localSessionsEnabled`).
    pub enabled: bool,
    /// One that creates an ephemeral node becomes a session for all; otherwise it gets error −120
    /// (`localSessionsUpgradingEnabled`).
    pub upgrade: bool,
}

/// What the leader asks about sessions that are not for all.
pub(super) struct LocalView<'a> {
    sessions: &'a Sessions,
    server: ServerId,
}

impl<'a> LocalView<'a> {
    pub(super) fn new(sessions: &'a Sessions, server: ServerId) -> Self {
        Self { sessions, server }
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.sessions.contains(session)
    }

    /// Whether a session may write; `None` when the sessions for all decide.
    // Java: LeaderSessionTracker.checkSession
    pub(super) fn check(&self, session: SessionId, global: &Sessions) -> Option<Result<(), ErrorCode>> {
        if global.contains(session) {
            return None;
        }
        let is_own = self.contains(session) || session.0 >> 56 == self.server.0;
        Some(if is_own { self.sessions.check(session) } else { Ok(()) })
    }
}

impl Replica {
    pub(super) fn is_local(&self, session: SessionId) -> bool {
        self.local.as_ref().is_some_and(|local| local.contains(session))
    }

    /// The link that carries a session, be it for all or not.
    pub(super) fn carrier(&self, session: SessionId) -> Option<ClientId> {
        let local = || self.local.as_ref().and_then(|local| local.client(session));
        self.sessions.client(session).or_else(local)
    }

    /// Takes a handshake for a new session, or for one that only this server knows; whether it was one.
    // Java: LearnerSessionTracker.createSession, LearnerZooKeeperServer.revalidateSession
    pub(super) fn local_connect(&mut self, now: Now, connect: &Connect) -> bool {
        let read_only = matches!(self.duty, Duty::ReadOnly);
        if matches!(self.duty, Duty::Idle(_)) || (read_only && !connect.read_only) {
            return false;
        }
        let Some(local) = &mut self.local else { return false };
        let mut session = connect.session;
        if session == SessionId(0) {
            session = self.sessions.next_id();
            local.committed(now.instant, session, connect.timeout_ms);
        } else if !local.contains(session) {
            return false;
        }
        let known = connect.session == SessionId(0) || password::admits(session, &connect.password);
        let former = local.client(session);
        let pulse = local.pulse(session).filter(|_| known && local.resume(session, connect.client).is_ok());
        if let Some(former) = former {
            self.close_client(former);
        }
        let ready = |pulse| ClientCommand::Ready {
            session,
            password: password::of_session(session),
            pulse,
            read_only,
        };
        let command = pulse.map_or(ClientCommand::Expired, ready);
        self.outputs.push_back(Output::Client(connect.client, command));
        true
    }

    /// What a write means for a session that only this server knows; the waiter, unless that was all.
    pub(super) fn local_write(
        &mut self,
        now: Now,
        request: &WriteRequest,
        waiter: Waiter,
        tree: &Tree,
    ) -> Option<Waiter> {
        let Waiter::Write { client, xid, op, .. } = waiter else { return Some(waiter) };
        if !self.is_local(request.session) {
            return Some(waiter);
        }
        if op == OpCode::CloseSession {
            self.local.as_mut().and_then(|local| local.remove(request.session));
            self.ready.push_back(Ready::CloseLocal { client, xid });
            return None;
        }
        if !makes_ephemeral(request) {
            return Some(waiter);
        }
        if self.options.local_sessions.upgrade {
            self.upgrade(now, request.session, tree);
            return Some(waiter);
        }
        Some(Waiter::Write { client, xid, op, refusal: Some(ErrorCode::EphemeralOnLocalSession) })
    }

    // Java: QuorumZooKeeperServer.makeUpgradeRequest
    fn upgrade(&mut self, now: Now, session: SessionId, tree: &Tree) {
        let Some(timeout_ms) = self.make_global(now.instant, session) else { return };
        tracing::info!(%session, "the session becomes one for all servers");
        let body = timeout_ms.to_be_bytes();
        if let Duty::Leading(_) = self.duty {
            self.internal(now, session, OpCode::CreateSession, Bytes::copy_from_slice(&body), tree);
        } else {
            self.zab.forward(passed(session, Xid(0), OpCode::CreateSession, &body), Vec::new());
        }
    }

    /// Moves a session that only this server knew to those for all; its timeout in ms.
    pub(super) fn make_global(&mut self, now: Instant, session: SessionId) -> Option<i32> {
        self.local.as_mut()?.hand_over(now, session, &mut self.sessions)
    }

    pub(super) fn expire_local(&mut self, now: Now) {
        let Some(local) = &mut self.local else { return };
        let expired = local.expire(now.instant);
        let links: Vec<_> = expired.iter().filter_map(|session| local.remove(*session)).collect();
        for session in expired {
            tracing::info!(%session, "the session, which only this server knew, has expired");
        }
        links.into_iter().for_each(|client| self.close_client(client));
    }

    /// Sessions that only this server knows; `None` where every session is for all.
    pub fn local_sessions(&self) -> Option<&Sessions> {
        self.local.as_ref()
    }
}

/// Whether a request creates an ephemeral node.
fn makes_ephemeral(request: &WriteRequest) -> bool {
    let is_ephemeral =
        |asked: &CreateRequest| CreateMode::from_flags(asked.flags).is_some_and(CreateMode::is_ephemeral);
    match request.op {
        OpCode::Create | OpCode::Create2 => {
            CreateRequest::from_bytes(request.body.clone()).is_ok_and(|asked| is_ephemeral(&asked))
        }
        OpCode::Multi => decode_multi(request.body.clone()).is_ok_and(|ops| {
            ops.iter().any(|op| match op {
                MultiOp::Create(OpCode::Create | OpCode::Create2, asked) => is_ephemeral(asked),
                _ => false,
            })
        }),
        _ => false,
    }
}
