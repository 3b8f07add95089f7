//! Routes what comes in to the parts and what they want out; decides nothing itself.

mod leading;
mod learning;
mod local;
mod member;
mod noted_digests;
mod quota_log;
mod read_only;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use oxherd_metrics::Metrics;
use oxherd_proto::{
    ErrorCode, Jute, OpCode, ServerId, SessionId, TxnHeader, TxnRecord, Xid, Zxid, decode_txn, encode_txn,
};
use oxherd_tree::{ClientId, Tree};
use oxherd_zab::{Input as ZabInput, Output as ZabOutput, Peer, StorageEvent};

use crate::clock::{Clock, Now};
use crate::commit::{Exclusive, Ready, SessionChange, Waiter};
use crate::connection::Close;
use crate::containers::Containers;
use crate::input::{ClientCommand, Connect, Input, Output};
use crate::overlay::Overlay;
use crate::password;
use crate::prepare::{Origin, PrepareContext, PrepareOptions, SessionView, WriteRequest, reconfig};
pub use crate::replica::local::LocalSessionOptions;
use crate::replica::local::LocalView;
use crate::replica::member::Duty;
use crate::replica::noted_digests::NotedDigests;
use crate::replica::quota_log::QuotaLog;
use crate::session::Sessions;
use crate::snapshot::{SnapshotOptions, SnapshotTrigger};

/// What a replica is told about itself.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// This server.
    pub server: ServerId,
    /// Grain of session expiry, in ms (`tickTime`).
    pub tick_ms: u64,
    /// Checks and switches of writes.
    pub prepare: PrepareOptions,
    /// When snapshots are due.
    pub snapshot: SnapshotOptions,
    /// Sessions that only one server knows.
    pub local_sessions: LocalSessionOptions,
    /// How containers and nodes with a time to live are removed.
    pub containers: crate::containers::ContainerOptions,
    /// Seeds what is random on purpose; give the same to get the same run.
    pub seed: u64,
}

/// What recovery found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Sessions alive at the last txn, with their timeouts in ms.
    pub sessions: Vec<(SessionId, i32)>,
    /// The last txn in the durable log.
    pub last_zxid: Zxid,
    /// Txns replayed from the log; they count towards the next snapshot.
    pub txns_since_snapshot: u64,
}

/// A proposal on its way.
#[derive(Debug)]
struct Proposed {
    header: TxnHeader,
    record: TxnRecord,
    /// Of the tree after it, as this server worked it out.
    digest: Option<u64>,
    waiter: Waiter,
}

/// A sync that waits for the proposals before it.
#[derive(Debug)]
struct PendingSync {
    after: Zxid,
    client: ClientId,
    xid: Xid,
    body: Bytes,
}

/// One server without its shell.
#[derive(Debug)]
pub struct Replica {
    options: ReplicaOptions,
    zab: Peer,
    duty: Duty,
    overlay: Overlay,
    sessions: Sessions,
    /// Sessions that only this server knows; `None` where every session is for all.
    local: Option<Sessions>,
    containers: Containers,
    snapshot: SnapshotTrigger,
    /// In zxid order; the front is the oldest not committed.
    proposed: VecDeque<Proposed>,
    syncs: VecDeque<PendingSync>,
    ready: VecDeque<Ready>,
    outputs: VecDeque<Output>,
    last_proposed: Zxid,
    has_room: bool,
    /// Sessions that came to their end since the last exclusive step.
    expired: i64,
    quota_log: QuotaLog,
    digests: VecDeque<(Zxid, u64)>,
    noted_digests: NotedDigests,
}

/// Txns from one kept digest to the next.
const DIGEST_ZXIDS: i64 = 128;
/// Digests kept.
const DIGESTS_MAX: usize = 1024;

struct View<'a> {
    sessions: &'a Sessions,
    local: Option<LocalView<'a>>,
    /// The session that asks is carried by another server.
    moved: bool,
}

impl SessionView for View<'_> {
    fn check(&self, session: SessionId) -> Result<(), ErrorCode> {
        match self.local.as_ref().and_then(|local| local.check(session, self.sessions)) {
            Some(verdict) => verdict,
            None => self.check_global(session),
        }
    }

    fn check_global(&self, session: SessionId) -> Result<(), ErrorCode> {
        self.sessions.check(session)?;
        if self.moved { Err(ErrorCode::SessionMoved) } else { Ok(()) }
    }

    fn is_local(&self, session: SessionId) -> bool {
        self.local.as_ref().is_some_and(|local| local.contains(session))
    }
}

impl Replica {
    /// A server that is its own ensemble: a leader with a quorum of one.
    pub fn standalone(options: ReplicaOptions, recovered: &Recovered, now: Now) -> Self {
        let zab = Peer::standalone(options.server, recovered.last_zxid);
        Self::new(options, zab, Duty::Alone, recovered, now)
    }

    fn new(options: ReplicaOptions, zab: Peer, duty: Duty, recovered: &Recovered, now: Now) -> Self {
        let clock = Clock::new(now.instant);
        let next_id = password::first_session_id(now.unix_ms, options.server);
        let mut sessions = Sessions::new(clock, options.tick_ms, next_id);
        for (session, timeout_ms) in &recovered.sessions {
            sessions.committed(now.instant, *session, *timeout_ms);
        }
        Self {
            zab,
            duty,
            overlay: Overlay::default(),
            local: options.local_sessions.enabled.then(|| Sessions::new(clock, options.tick_ms, next_id)),
            sessions,
            containers: Containers::new(options.containers.clone(), now.instant),
            snapshot: SnapshotTrigger::new(
                options.snapshot.clone(),
                options.seed,
                recovered.txns_since_snapshot,
            ),
            proposed: VecDeque::new(),
            syncs: VecDeque::new(),
            ready: VecDeque::new(),
            outputs: VecDeque::new(),
            last_proposed: recovered.last_zxid,
            has_room: true,
            expired: 0,
            quota_log: QuotaLog::default(),
            digests: VecDeque::new(),
            noted_digests: NotedDigests::default(),
            options,
        }
    }

    /// Takes one input. The tree is as of the last [`Self::apply`] and is not changed.
    pub fn handle(&mut self, now: Now, input: Input, tree: &Tree) {
        match input {
            Input::Write { client, request } => {
                let (xid, op) = (request.xid, request.op);
                let waiter = Waiter::Write { client, xid, op, refusal: None };
                match self.duty {
                    Duty::Alone => self.write(now, &request, waiter, tree),
                    _ => self.member_write(now, &request, waiter, tree),
                }
            }
            Input::Connect(connect) => match self.duty {
                Duty::Alone => self.connect(now, &connect, tree),
                _ => self.member_connect(now, &connect, tree),
            },
            Input::Sync { client, session, xid, body } => match self.duty {
                Duty::Alone => self.sync(client, xid, body),
                _ => self.member_sync(PendingSync { after: Zxid::ZERO, client, xid, body }, session),
            },
            Input::Gone { client, session } => self.gone(client, session),
            Input::Storage(event) => self.storage(now, event),
            Input::Peer(input) => self.peer_input(now, input),
            Input::Room(has_room) => {
                self.has_room = has_room;
                self.zab.handle(now.instant, oxherd_zab::Input::Room(has_room));
            }
            Input::SnapshotBegun => self.snapshot.begun(),
            Input::Timeout => self.timeout(now, tree),
        }
        self.route_zab(now, tree);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = if self.duty.proposes() {
            [self.sessions.next_expiry(), self.containers.next_check()]
        } else {
            [None, None]
        };
        let local = self.local.as_ref().and_then(Sessions::next_expiry);
        own.into_iter().chain([local, self.zab.poll_timeout()]).flatten().min()
    }

    /// Whether [`Self::apply`] has something to do.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Applies all that is committed by now, in the exclusive step `exclusive` stands for.
    pub fn apply(&mut self, exclusive: &mut Exclusive<'_>) {
        while let Some(ready) = self.ready.pop_front() {
            match ready {
                Ready::Txn { header, record, digest, noted, waiter } => {
                    self.apply_txn(exclusive, (&header, &record, digest), waiter);
                    self.compare_digest(exclusive, header.zxid, noted);
                }
                Ready::Sync { client, xid, body } => exclusive.answer_sync(client, xid, &body),
                Ready::Refuse { client, xid, code } => exclusive.refuse(client, xid, code),
                Ready::CloseLocal { client, xid } => exclusive.close_local(client, xid),
                Ready::Serve(role) => self.serve(exclusive, role),
                Ready::Walk(link) => {
                    let walk = exclusive.tree.begin_walk(self.sessions.persistent());
                    self.outputs.push_back(Output::WalkBegun { link, walk });
                }
            }
        }
        self.note_traffic(exclusive.now, &exclusive.statistics.metrics);
    }

    fn note_traffic(&mut self, now: Now, metrics: &Metrics) {
        let changes = self.overlay.take_traffic();
        metrics.outstanding_changes_queued.add(changes.queued);
        metrics.outstanding_changes_removed.add(changes.removed);
        if self.expired > 0 {
            metrics.stale_sessions_expired.add(std::mem::take(&mut self.expired));
        }
        self.quota_log.note(&std::mem::take(&mut self.overlay.breaches), now.instant, metrics);
    }

    // ---- writes

    fn write(&mut self, now: Now, request: &WriteRequest, waiter: Waiter, tree: &Tree) {
        self.propose(now, request, waiter, tree, false);
    }

    /// Makes the txn for a request and puts it on its way; `moved` says that another server carries the
    /// session by now.
    fn propose(&mut self, now: Now, request: &WriteRequest, waiter: Waiter, tree: &Tree, moved: bool) {
        let Some(zxid) = self.zab.next_zxid() else {
            if let Duty::Alone = self.duty {
                self.halt("the zxid counter of this epoch has come to its end");
            }
            // A leader that is about to leave: its links end with its role.
            return;
        };
        let local = self.local.as_ref().map(|local| LocalView::new(local, self.options.server));
        let context = PrepareContext {
            tree,
            zxid,
            unix_ms: now.unix_ms,
            sessions: &View { sessions: &self.sessions, local, moved },
            options: &self.options.prepare,
            membership: (!matches!(self.duty, Duty::Alone)).then_some(&self.zab),
        };
        let wanted = reconfig::wanted_leader(request);
        let hands_over = wanted.map(|to| self.overlay.check_hand_over(&context, request, to).map(|()| to));
        if let Some(Ok(to)) = hands_over {
            return self.hand_over(to, zxid, now);
        }
        let prepared = if let Some(Err(code)) = hands_over {
            Overlay::refuse(&context, request, code)
        } else if self.has_room || !request.grows() {
            self.overlay.prepare(&context, request)
        } else {
            Overlay::refuse(&context, request, ErrorCode::SystemError)
        };
        if request.op == OpCode::CloseSession {
            self.sessions.set_closing(request.session);
        }
        let payload = Bytes::from(encode_txn(&prepared.header, &prepared.record, prepared.digest.as_ref()));
        self.note_logged(payload.len());
        let digest = prepared.digest.as_ref().map(|digest| digest.tree_digest.cast_unsigned());
        self.proposed.push_back(Proposed {
            header: prepared.header,
            record: prepared.record,
            digest,
            waiter,
        });
        self.last_proposed = zxid;
        self.zab.propose(zxid, payload);
    }

    /// The one who asks gets no answer: its link ends with this leadership.
    fn hand_over(&mut self, to: ServerId, zxid: Zxid, now: Now) {
        tracing::info!(server = to.0, "handing over the lead, as a client asks");
        let header =
            TxnHeader { zxid, time: now.unix_ms, kind: OpCode::Error.code(), ..TxnHeader::default() };
        let nothing = TxnRecord::Error(ErrorCode::Ok);
        if !self.zab.hand_over_to(to, Bytes::from(encode_txn(&header, &nothing, None))) {
            tracing::warn!(server = to.0, "it is not up with this leader any more");
        }
    }

    fn note_logged(&mut self, len: usize) {
        if !self.zab.keeps_log() {
            return;
        }
        self.snapshot.note_txn(len);
        if self.snapshot.is_due() {
            self.snapshot.requested();
            self.outputs.push_back(Output::Snapshot);
        }
    }

    fn internal(&mut self, now: Now, session: SessionId, op: OpCode, body: Bytes, tree: &Tree) {
        let request = WriteRequest {
            session,
            xid: Xid(0),
            op,
            body,
            ids: std::sync::Arc::from([]),
            origin: Origin::Internal,
        };
        self.write(now, &request, Waiter::Nobody, tree);
    }

    fn sync(&mut self, client: ClientId, xid: Xid, body: Bytes) {
        if self.proposed.is_empty() {
            self.ready.push_back(Ready::Sync { client, xid, body });
        } else {
            self.syncs.push_back(PendingSync { after: self.last_proposed, client, xid, body });
        }
    }

    // ---- sessions

    // Java: ZooKeeperServer.createSession, reopenSession
    fn connect(&mut self, now: Now, connect: &Connect, tree: &Tree) {
        if connect.session == SessionId(0) {
            let session = self.sessions.create(now.instant, connect.timeout_ms, connect.client);
            let mut body = Vec::with_capacity(4);
            connect.timeout_ms.encode(&mut body);
            let request = WriteRequest {
                session,
                xid: Xid(0),
                op: OpCode::CreateSession,
                body: body.into(),
                ids: std::sync::Arc::from([]),
                origin: Origin::Internal,
            };
            return self.write(now, &request, Waiter::Connect(connect.client), tree);
        }
        if let Some(old) = self.sessions.client(connect.session) {
            self.outputs.push_back(Output::Client(old, ClientCommand::Close(Close::Now)));
        }
        let command = self.resume(connect).unwrap_or(ClientCommand::Expired);
        self.outputs.push_back(Output::Client(connect.client, command));
    }

    fn resume(&mut self, connect: &Connect) -> Option<ClientCommand> {
        let session = connect.session;
        let password = password::of_session(session);
        if connect.password[..] != password {
            return None;
        }
        self.sessions.resume(session, connect.client).ok()?;
        let pulse = self.sessions.pulse(session)?;
        Some(ClientCommand::Ready { session, password, pulse, read_only: false })
    }

    fn timeout(&mut self, now: Now, tree: &Tree) {
        if self.duty.proposes() {
            self.end_what_is_due(now, tree);
        }
        self.expire_local(now);
        self.zab.handle(now.instant, ZabInput::Timeout);
    }

    fn end_what_is_due(&mut self, now: Now, tree: &Tree) {
        for session in self.sessions.expire(now.instant) {
            tracing::info!(%session, "the session has expired");
            self.expired += 1;
            self.internal(now, session, OpCode::CloseSession, Bytes::new(), tree);
        }
        for path in self.containers.due(now, tree) {
            self.internal(now, SessionId(0), OpCode::DeleteContainer, path.into_bytes(), tree);
        }
    }

    // ---- agreement and storage

    fn storage(&mut self, now: Now, event: StorageEvent) {
        if let StorageEvent::Failed(reason) = &event {
            return self.halt(reason);
        }
        self.zab.handle(now.instant, ZabInput::Storage(event));
    }

    fn route_zab(&mut self, now: Now, tree: &Tree) {
        while let Some(output) = self.zab.poll_output() {
            match output {
                ZabOutput::Storage(command) => self.outputs.push_back(Output::Storage(command)),
                ZabOutput::Deliver { zxid, payload } => self.deliver(zxid, payload),
                other => self.member_output(now, other, tree),
            }
        }
    }

    fn deliver(&mut self, zxid: Zxid, payload: Bytes) {
        let own = self.proposed.front().is_some_and(|proposed| proposed.header.zxid == zxid);
        if own && let Some(Proposed { header, record, digest, waiter }) = self.proposed.pop_front() {
            self.ready.push_back(Ready::Txn { header, record, digest, noted: None, waiter });
        } else {
            self.note_logged(payload.len());
            match decode_txn(payload) {
                Ok(txn) => {
                    let waiter = self.claim(&txn.header);
                    let noted = txn.digest.filter(|noted| noted.version == oxherd_tree::DIGEST_VERSION);
                    self.ready.push_back(Ready::Txn {
                        header: txn.header,
                        record: txn.record,
                        digest: None,
                        noted: noted.map(|noted| noted.tree_digest.cast_unsigned()),
                        waiter,
                    });
                }
                Err(error) => self.halt(&format!("the committed txn {zxid} cannot be read: {error}")),
            }
        }
        while let Some(sync) = self.syncs.front().filter(|sync| sync.after <= zxid) {
            let (client, xid, body) = (sync.client, sync.xid, sync.body.clone());
            self.syncs.pop_front();
            self.ready.push_back(Ready::Sync { client, xid, body });
        }
    }

    fn halt(&mut self, reason: &str) {
        self.outputs.push_back(Output::Halt(reason.to_owned()));
    }

    // ---- the exclusive step

    fn apply_txn(
        &mut self,
        exclusive: &mut Exclusive<'_>,
        (header, record, digest): (&TxnHeader, &TxnRecord, Option<u64>),
        waiter: Waiter,
    ) {
        let change = exclusive.apply(header, record, digest, waiter);
        self.overlay.applied(header.zxid);
        self.note_digest(header.zxid, exclusive.tree.digest());
        match change {
            Some(SessionChange::Created { session, timeout_ms }) => {
                self.make_global(exclusive.now.instant, session);
                self.sessions.committed(exclusive.now.instant, session, timeout_ms);
                if let Waiter::Connect(client) = waiter {
                    self.session_ready(exclusive, session, client);
                }
            }
            Some(SessionChange::Closed(session)) => self.session_closed(exclusive, session, waiter),
            None => {}
        }
    }

    fn compare_digest(&mut self, exclusive: &Exclusive<'_>, zxid: Zxid, noted: Option<u64>) {
        if let (Some(noted), true) = (noted, self.options.prepare.digest)
            && self.noted_digests.differs(zxid, noted, exclusive.tree.digest())
        {
            exclusive.statistics.metrics.digest_mismatches_count.add(1);
        }
    }

    // Java: DataTree.logZxidDigest
    fn note_digest(&mut self, zxid: Zxid, digest: u64) {
        if zxid.0 % DIGEST_ZXIDS != 0 {
            return;
        }
        if self.digests.len() == DIGESTS_MAX {
            self.digests.pop_front();
        }
        self.digests.push_back((zxid, digest));
    }

    fn session_ready(&mut self, exclusive: &mut Exclusive<'_>, session: SessionId, client: ClientId) {
        if self.duty.learns() {
            self.sessions.adopt(exclusive.now.instant, session, 0, client);
        }
        let Some(pulse) = self.sessions.pulse(session) else { return };
        let now_ms = exclusive.clock.ms(exclusive.now.instant);
        let (password, outstanding) = (password::of_session(session), exclusive.outstanding);
        exclusive.clients.with(client, &mut |connection| {
            connection.session_ready(session, password, pulse.clone(), now_ms, false, outstanding);
        });
    }

    /// The link that asked gets its reply and closes by itself; any other is closed without a word.
    fn session_closed(&mut self, exclusive: &mut Exclusive<'_>, session: SessionId, waiter: Waiter) {
        self.duty.forget(session);
        let local = self.local.as_mut().and_then(|local| local.remove(session));
        let Some(client) = self.sessions.remove(session).or(local) else { return };
        if !matches!(waiter, Waiter::Write { client: asked, .. } if asked == client) {
            exclusive.close(client, Close::Now);
        }
    }

    // ---- what operators see

    /// The sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether proposals are on their way.
    pub fn has_unfinished_writes(&self) -> bool {
        !self.proposed.is_empty() || !self.ready.is_empty()
    }

    /// Digests of the tree at every 128th txn, oldest first; the last 1024 of them.
    pub fn digests(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.digests.iter().copied()
    }

    /// Syncs that wait for the proposals before them.
    pub fn pending_syncs(&self) -> usize {
        self.syncs.len()
    }

    /// Whether storage has room for more than deletes.
    pub fn has_room(&self) -> bool {
        self.has_room
    }
}
