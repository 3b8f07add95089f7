//! A learner: passes on what changes something, and finds who waits for what comes back.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use oxherd_proto::{Id, Jute, OpCode, PacketType, QuorumPacket, SessionId, TxnHeader, Xid};
use oxherd_tree::ClientId;

use super::member::Duty;
use super::{PendingSync, Replica};
use crate::clock::Now;
use crate::commit::{Ready, Waiter};
use crate::input::{ClientCommand, Connect, Output};
use crate::password;
use crate::prepare::WriteRequest;

/// What only a learner keeps.
#[derive(Debug)]
pub(super) struct Learning {
    /// By session, in the order in which the requests were passed on.
    waiting: HashMap<SessionId, VecDeque<Waiter>, FixedState>,
    /// Links that ask to go on with a session, in the order in which the leader was asked.
    returning: HashMap<SessionId, VecDeque<(ClientId, i32)>, FixedState>,
    syncs: HashMap<u64, PendingSync, FixedState>,
    next_token: u64,
    /// Sessions heard of since then were not told to the leader yet.
    told_at: Instant,
}

impl Learning {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: HashMap::default(),
            returning: HashMap::default(),
            syncs: HashMap::default(),
            next_token: 0,
            told_at: now,
        }
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        if self.waiting.get(&session).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&session);
        }
    }

    /// The waiter at the front, if this is the txn it waits for. A session's requests come back in the
    /// order in which they were passed on; what other servers did for it lies between them.
    // Java: CommitProcessor.run
    pub(super) fn claim(&mut self, header: &TxnHeader) -> Waiter {
        let Some(queue) = self.waiting.get_mut(&header.client_id) else { return Waiter::Nobody };
        let creates = header.kind == OpCode::CreateSession.code();
        let is_for = |waiter: &Waiter| match waiter {
            Waiter::Connect(_) => creates,
            Waiter::Write { xid, .. } => !creates && *xid == header.cxid,
            Waiter::Nobody => false,
        };
        if !queue.front().is_some_and(is_for) {
            return Waiter::Nobody;
        }
        let waiter = queue.pop_front().unwrap_or(Waiter::Nobody);
        if queue.is_empty() {
            self.waiting.remove(&header.client_id);
        }
        waiter
    }
}

/// A request as it is passed on.
// Java: Learner.request
pub(super) fn passed(session: SessionId, xid: Xid, op: OpCode, body: &[u8]) -> Bytes {
    let mut data = Vec::with_capacity(16 + body.len());
    session.encode(&mut data);
    xid.encode(&mut data);
    op.code().encode(&mut data);
    data.extend_from_slice(body);
    data.into()
}

impl Replica {
    fn learning(&mut self) -> Option<&mut Learning> {
        match &mut self.duty {
            Duty::Learning(learning) => Some(learning),
            _ => None,
        }
    }

    pub(super) fn forward_write(&mut self, request: &WriteRequest, waiter: Waiter) {
        let Some(learning) = self.learning() else { return };
        learning.waiting.entry(request.session).or_default().push_back(waiter);
        let data = passed(request.session, request.xid, request.op, &request.body);
        self.zab.forward(data, request.ids.to_vec());
    }

    pub(super) fn forward_connect(&mut self, connect: &Connect) {
        if connect.session == SessionId(0) {
            return self.forward_create(connect);
        }
        if let Some(old) = self.sessions.client(connect.session) {
            self.close_client(old);
        }
        if !password::admits(connect.session, &connect.password) {
            return self.outputs.push_back(Output::Client(connect.client, ClientCommand::Expired));
        }
        let Some(learning) = self.learning() else { return };
        let returning = learning.returning.entry(connect.session).or_default();
        returning.push_back((connect.client, connect.timeout_ms));
        self.zab.revalidate(connect.session, connect.timeout_ms);
    }

    fn forward_create(&mut self, connect: &Connect) {
        let session = self.sessions.next_id();
        let Some(learning) = self.learning() else { return };
        learning.waiting.entry(session).or_default().push_back(Waiter::Connect(connect.client));
        let mut body = Vec::with_capacity(4);
        connect.timeout_ms.encode(&mut body);
        self.zab.forward(passed(session, Xid(0), OpCode::CreateSession, &body), Vec::new());
    }

    pub(super) fn revalidated(&mut self, now: Now, session: SessionId, valid: bool) {
        let Some(learning) = self.learning() else { return };
        let Some(queue) = learning.returning.get_mut(&session) else { return };
        let Some((client, timeout_ms)) = queue.pop_front() else { return };
        if queue.is_empty() {
            learning.returning.remove(&session);
        }
        if valid {
            self.sessions.adopt(now.instant, session, timeout_ms, client);
        }
        let pulse = self.sessions.pulse(session).filter(|_| valid);
        let command = match pulse {
            Some(pulse) => {
                let password = password::of_session(session);
                ClientCommand::Ready { session, password, pulse, read_only: false }
            }
            None => ClientCommand::Expired,
        };
        self.outputs.push_back(Output::Client(client, command));
    }

    pub(super) fn forward_sync(&mut self, sync: PendingSync, session: SessionId) {
        let data = passed(session, sync.xid, OpCode::Sync, &sync.body);
        let Some(learning) = self.learning() else { return };
        let token = learning.next_token;
        learning.next_token += 1;
        learning.syncs.insert(token, sync);
        self.zab.sync(token, data, Vec::<Id>::new());
    }

    /// The leader's answer has come behind every commit it concerns; those may still be on their way to
    /// the disk here.
    pub(super) fn sync_reached(&mut self, token: u64) {
        let (committed, delivered) = (self.zab.committed(), self.zab.delivered());
        let Some(learning) = self.learning() else { return };
        let Some(sync) = learning.syncs.remove(&token) else { return };
        if committed > delivered {
            self.syncs.push_back(PendingSync { after: committed, ..sync });
        } else {
            self.ready.push_back(Ready::Sync { client: sync.client, xid: sync.xid, body: sync.body });
        }
    }

    /// A ping is answered with the sessions that were heard of here.
    // Java: LearnerSessionTracker.snapshot
    pub(super) fn before_packet(&mut self, now: Now, packet: &QuorumPacket) {
        if packet.kind != PacketType::Ping {
            return;
        }
        let Some(learning) = self.learning() else { return };
        let since = std::mem::replace(&mut learning.told_at, now.instant);
        for (session, timeout_ms) in self.sessions.heard_since(since) {
            self.zab.touch(session, timeout_ms);
        }
    }

    /// What the link heard last is told even though it has ended.
    pub(super) fn before_detach(&mut self, session: SessionId, client: ClientId) {
        if self.sessions.client(session) != Some(client) {
            return;
        }
        let Some(learning) = self.learning() else { return };
        let since = learning.told_at;
        if let Some(timeout_ms) = self.sessions.heard(session, since) {
            self.zab.touch(session, timeout_ms);
        }
    }
}
