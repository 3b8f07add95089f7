//! One client link: handshake, request order, outbox, limits.
//!
//! Requests are answered in the order they came. Reads run at once on the caller's side of the tree,
//! unless an earlier write of the same link is unanswered: then they wait behind it and run in the
//! exclusive step that applies it, so that they see that write and none of the later ones.
//! Authentication answers overtake, as clients expect.

mod held;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use oxherd_metrics::Statistics;
use oxherd_proto::{
    AuthPacket, ConnectReply, ConnectRequest, ErrorCode, FrameError, FrameReader, GetSASLRequest, Id,
    Input as Reader, Jute, OpCode, OpKind, PASSWORD_LEN, RequestHeader, SessionId, Xid, Zxid, begin_frame,
    end_frame, reply_header,
};
use oxherd_tree::{ClientId, Outcome, Tree, WatchEvent};
use tracing::{debug, info, warn};

use crate::audit;
use crate::auth::{self, AuthOutcome};
use crate::clock::{Clock, Now};
use crate::connection::held::Held;
use crate::input::{Connect, Input, SharedWatches};
use crate::limits::Outstanding;
use crate::options::ClientOptions;
use crate::prepare::{Origin, WriteRequest};
use crate::read;
use crate::session::Pulse;
use crate::traffic::LinkTraffic;

/// Most requests a link may have unanswered before the server stops reading from it.
pub const WAITING_MAX: usize = 16 * 1024;
/// Unsent bytes at which the server stops taking requests from a link.
pub const OUTBOX_PAUSE_BYTES: usize = 4 << 20;
/// Unsent bytes at which a link that does not read its watch events is closed.
pub const OUTBOX_BYTES_MAX: usize = 256 << 20;

/// What a link needs to answer requests: the shared sides of the server, and the time.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The tree as of the last applied txn.
    pub tree: &'a Tree,
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
    /// The moment of the call.
    pub now: Now,
}

/// How a link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Once what is in the outbox is sent.
    AfterFlush,
    /// At once.
    Now,
}

/// Bytes of the length before a frame.
const FRAME_HEAD_LEN: usize = 4;
/// Bytes of a reply's header: xid, zxid, error.
const REPLY_HEADER_LEN: usize = 16;

#[derive(Debug)]
enum Phase {
    /// Nothing came yet.
    Greeting,
    /// The handshake is with the replica; nothing is read meanwhile.
    Connecting,
    /// Requests flow.
    Open,
}

/// A request that waits for its turn.
#[derive(Debug)]
enum Waiting {
    Write {
        xid: Xid,
        op: OpCode,
        received: Instant,
        large: usize,
        /// What was asked, if it is logged.
        audited: Option<Bytes>,
    },
    Read(Request),
    /// Waited too long before its turn came: it is not carried out.
    Throttled(Request),
}

impl Waiting {
    /// Bytes to be counted out when it ends.
    fn large(&self) -> usize {
        match self {
            Self::Write { large, .. } => *large,
            Self::Read(request) | Self::Throttled(request) => request.large,
        }
    }
}

/// A decoded header and the body behind it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) xid: Xid,
    pub(crate) op: OpCode,
    pub(crate) body: Bytes,
    pub(crate) received: Instant,
    /// Its bytes, if it counts as a large one; 0 otherwise.
    pub(crate) large: usize,
}

/// One client link without its socket.
#[derive(Debug)]
pub struct Connection {
    client: ClientId,
    address: IpAddr,
    phase: Phase,
    /// Clients before 3.4 neither send nor expect the read-only byte.
    old_client: bool,
    session: SessionId,
    timeout_ms: i32,
    pulse: Option<Arc<Pulse>>,
    ids: Arc<[Id]>,
    frames: FrameReader,
    /// Whether the length of the next frame has passed the limit of large requests.
    len_passed: bool,
    held: Held,
    /// A new session is on its way, and counts as a request being processed.
    creating: bool,
    waiting: VecDeque<Waiting>,
    outbox: Vec<u8>,
    unsent: usize,
    close: Option<Close>,
    ended: bool,
    traffic: LinkTraffic,
}

impl Connection {
    /// A link that was just accepted; `ids` are those of its address ([`crate::ip_identities`]).
    pub fn new(client: ClientId, address: IpAddr, ids: Arc<[Id]>, now: Now) -> Self {
        Self {
            client,
            address,
            phase: Phase::Greeting,
            old_client: false,
            session: SessionId(0),
            timeout_ms: 0,
            pulse: None,
            ids,
            frames: FrameReader::default(),
            len_passed: false,
            held: Held::default(),
            creating: false,
            waiting: VecDeque::new(),
            outbox: Vec::new(),
            unsent: 0,
            close: None,
            ended: false,
            traffic: LinkTraffic::new(now.unix_ms),
        }
    }

    /// Takes bytes from the socket. Writes and handshakes for the replica are appended to `inputs`.
    pub fn handle_bytes(&mut self, bytes: &[u8], side: &Side<'_>, inputs: &mut Vec<Input>) {
        self.frames.push(bytes);
        self.handle_frames(side, inputs);
    }

    /// Goes on with frames that were held back; to be called when [`Self::is_paused`] turns false.
    pub fn handle_frames(&mut self, side: &Side<'_>, inputs: &mut Vec<Input>) {
        self.handle_granted(side, inputs);
        while self.close.is_none() && !self.is_paused(side) && !self.refuses_large(side) {
            match self.frames.poll_frame(side.options.frame_len_max) {
                Ok(Some(frame)) => {
                    self.len_passed = false;
                    self.handle_frame(frame, side, inputs);
                }
                Ok(None) => break,
                Err(error) => self.refuse_frame(error),
            }
        }
    }

    /// Looks at the length of a frame once, as soon as it is there.
    // Java: NIOServerCnxn.readLength
    fn refuses_large(&mut self, side: &Side<'_>) -> bool {
        let limits = &side.options.limits;
        if limits.large.is_none() || self.len_passed {
            return false;
        }
        let Some(word) = self.frames.peek_word() else { return false };
        let len = usize::try_from(i32::from_be_bytes(word)).unwrap_or(usize::MAX);
        if len > side.options.frame_len_max {
            return false;
        }
        self.len_passed = true;
        let refused = side.outstanding.refuses_large(len, limits.large);
        if refused {
            self.refuse_large(side);
        }
        refused
    }

    fn refuse_large(&mut self, side: &Side<'_>) {
        warn!(address = %self.address, session = %self.session, "closing: largeRequestMaxBytes is reached");
        side.statistics.metrics.large_requests_rejected.add(1);
        self.close(Close::Now);
    }

    // Java: NIOServerCnxn.readLength
    fn refuse_frame(&mut self, error: FrameError) {
        warn!(address = %self.address, session = %self.session, %error, "closing the connection");
        self.close = Some(Close::Now);
    }

    fn handle_frame(&mut self, frame: Bytes, side: &Side<'_>, inputs: &mut Vec<Input>) {
        self.traffic.received += 1;
        side.statistics.packets_received.add(1);
        side.statistics.metrics.bytes_received_count.add(len_i64(frame.len() + FRAME_HEAD_LEN));
        match self.phase {
            Phase::Greeting => self.handle_connect(frame, side, inputs),
            Phase::Connecting => unreachable!("a connecting link is paused"),
            Phase::Open => self.handle_request(frame, side, inputs),
        }
    }

    /// Whether no frame may be taken now.
    pub fn is_paused(&self, side: &Side<'_>) -> bool {
        matches!(self.phase, Phase::Connecting)
            || self.outstanding() >= WAITING_MAX
            || self.outbox.len() + self.unsent > OUTBOX_PAUSE_BYTES
            || (self.outstanding() > 0 && side.outstanding.exceeds(side.options.outstanding_limit))
    }

    // ---- handshake

    // Java: ZooKeeperServer.processConnectRequest
    fn handle_connect(&mut self, frame: Bytes, side: &Side<'_>, inputs: &mut Vec<Input>) {
        let Ok(request) = ConnectRequest::decode(frame) else {
            debug!(address = %self.address, "closing a connection whose first message is no handshake");
            self.close = Some(Close::Now);
            return;
        };
        if !self.take_tokens(request.session, side) {
            return;
        }
        self.old_client = request.read_only.is_none();
        if request.last_zxid_seen > side.tree.last_zxid() {
            info!(address = %self.address, session = %request.session, seen = %request.last_zxid_seen,
                  ours = %side.tree.last_zxid(), "closing: the client has seen newer data, it must try another server");
            self.close = Some(Close::Now);
            return;
        }
        self.timeout_ms = side.options.clamp_timeout(request.timeout_ms);
        self.phase = Phase::Connecting;
        let connect = Connect {
            client: self.client,
            session: request.session,
            password: request.password.unwrap_or_default(),
            timeout_ms: self.timeout_ms,
            read_only: request.read_only.unwrap_or(false),
        };
        if request.session == SessionId(0) {
            self.enter_connect(connect, side, inputs);
        } else {
            side.statistics.metrics.connection_revalidate_count.add(1);
            inputs.push(Input::Connect(connect));
        }
    }

    // Java: ZooKeeperServer.processConnectRequest
    fn take_tokens(&mut self, session: SessionId, side: &Side<'_>) -> bool {
        let options = &side.options.limits.connects;
        let cost = if session == SessionId(0) { options.new_cost } else { options.resume_cost };
        let now_ms = side.clock.ms(side.now.instant);
        let metrics = &side.statistics.metrics;
        let Some(deficit) = side.outstanding.take_tokens(cost, now_ms, options) else {
            warn!(address = %self.address, "closing: too many handshakes (connection_throttle_tokens)");
            metrics.connection_rejected.add(1);
            self.close(Close::Now);
            return false;
        };
        metrics.connection_token_deficit.add(deficit);
        metrics.connection_request_count.add(1);
        true
    }

    /// The session is ready: answers the handshake and lets requests flow.
    // Java: ZooKeeperServer.finishSessionInit
    pub fn session_ready(
        &mut self,
        session: SessionId,
        password: [u8; PASSWORD_LEN],
        pulse: Arc<Pulse>,
        now_ms: u64,
        read_only: bool,
        outstanding: &Outstanding,
    ) {
        if std::mem::take(&mut self.creating) {
            outstanding.end();
        }
        pulse.touch(now_ms, u64::try_from(self.timeout_ms).unwrap_or(0));
        self.session = session;
        self.pulse = Some(pulse);
        self.phase = Phase::Open;
        self.connect_reply(session, self.timeout_ms, password, read_only);
    }

    /// The session is gone: says so, and ends.
    pub fn session_expired(&mut self) {
        self.connect_reply(SessionId(0), 0, [0; PASSWORD_LEN], false);
        self.close = Some(Close::AfterFlush);
    }

    fn connect_reply(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        password: [u8; PASSWORD_LEN],
        read_only: bool,
    ) {
        let read_only = (!self.old_client).then_some(read_only);
        let reply = ConnectReply { protocol_version: 0, timeout_ms, session, password, read_only };
        let at = begin_frame(&mut self.outbox);
        reply.encode(&mut self.outbox);
        end_frame(&mut self.outbox, at);
        self.traffic.sent += 1;
    }

    // ---- requests

    fn handle_request(&mut self, frame: Bytes, side: &Side<'_>, inputs: &mut Vec<Input>) {
        let mut reader = Reader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut reader) else {
            self.close = Some(Close::Now);
            return;
        };
        if let Some(pulse) = &self.pulse {
            pulse.touch(side.clock.ms(side.now.instant), u64::try_from(self.timeout_ms).unwrap_or(0));
        }
        let body = reader.rest();
        let op = OpCode::from_code(header.kind);
        match op {
            Some(OpCode::Auth) => self.handle_auth(header.xid, body, side),
            Some(OpCode::Sasl) => self.handle_sasl(header.xid, body),
            _ if !auth::is_enough(&self.ids, &side.options.auth) => self.refuse_unauthenticated(header.xid),
            Some(op) if is_request(op) => {
                let Some(large) = side.outstanding.begin_large(body.len(), side.options.limits.large) else {
                    return self.refuse_large(side);
                };
                let request = Request { xid: header.xid, op, body, received: side.now.instant, large };
                self.enter(request, side, inputs);
            }
            _ => self.refuse_unknown(header.xid, header.kind),
        }
    }

    fn handle_operation(&mut self, request: Request, side: &Side<'_>, inputs: &mut Vec<Input>) {
        match request.op.kind() {
            OpKind::Write | OpKind::Sync => self.submit(request, side, inputs),
            _ if self.waiting.is_empty() => self.serve(&request, side),
            _ => self.wait(Waiting::Read(request), side),
        }
    }

    fn submit(&mut self, request: Request, side: &Side<'_>, inputs: &mut Vec<Input>) {
        let Request { xid, op, body, received, large } = request;
        let audited = side.options.audit.is_some().then(|| body.clone());
        self.wait(Waiting::Write { xid, op, received, large, audited }, side);
        let (client, session, ids) = (self.client, self.session, Arc::clone(&self.ids));
        inputs.push(if op == OpCode::Sync {
            Input::Sync { client, session, xid, body }
        } else {
            Input::Write {
                client,
                request: WriteRequest { session, xid, op, body, ids, origin: Origin::Client },
            }
        });
    }

    fn wait(&mut self, waiting: Waiting, side: &Side<'_>) {
        side.outstanding.begin();
        self.waiting.push_back(waiting);
    }

    // Java: ZooKeeperServer.processPacket
    fn handle_auth(&mut self, xid: Xid, body: Bytes, side: &Side<'_>) {
        let outcome = match AuthPacket::from_bytes(body) {
            Ok(packet) => auth::authenticate(&packet, self.address, &side.options.auth),
            Err(_) => AuthOutcome::Disconnect,
        };
        match outcome {
            AuthOutcome::Added(added) => {
                self.add_identities(added);
                self.plain_reply(xid, ErrorCode::Ok);
            }
            AuthOutcome::Failed => {
                warn!(address = %self.address, session = %self.session, "authentication failed");
                side.statistics.auth_failed.add(1);
                self.plain_reply(xid, ErrorCode::AuthFailed);
                self.close = Some(Close::AfterFlush);
            }
            AuthOutcome::Disconnect => self.close = Some(Close::Now),
        }
    }

    fn add_identities(&mut self, added: Vec<Id>) {
        let mut ids = self.ids.to_vec();
        ids.extend(added.into_iter().filter(|id| !self.ids.contains(id)));
        self.ids = ids.into();
    }

    /// Without a SASL section the original answers success and no token.
    // Java: ZooKeeperServer.processSasl
    fn handle_sasl(&mut self, xid: Xid, body: Bytes) {
        if GetSASLRequest::from_bytes(body).is_err() {
            return self.close(Close::Now);
        }
        let at = begin_frame(&mut self.outbox);
        reply_header(xid, Zxid::ZERO, ErrorCode::Ok, &mut self.outbox);
        (-1i32).encode(&mut self.outbox);
        end_frame(&mut self.outbox, at);
        self.traffic.sent += 1;
    }

    // Java: AuthenticationHelper.enforceAuthentication
    fn refuse_unauthenticated(&mut self, xid: Xid) {
        warn!(address = %self.address, session = %self.session, "closing: the client has not authenticated as required");
        self.plain_reply(xid, ErrorCode::SessionClosedRequireAuth);
        self.close = Some(Close::AfterFlush);
    }

    // Java: UnimplementedRequestProcessor.processRequest
    fn refuse_unknown(&mut self, xid: Xid, kind: i32) {
        warn!(address = %self.address, session = %self.session, kind, "closing: unknown request type");
        let at = begin_frame(&mut self.outbox);
        reply_header(xid, Zxid(-1), ErrorCode::Unimplemented, &mut self.outbox);
        end_frame(&mut self.outbox, at);
        self.traffic.sent += 1;
        self.close = Some(Close::AfterFlush);
    }

    fn plain_reply(&mut self, xid: Xid, error: ErrorCode) {
        let at = begin_frame(&mut self.outbox);
        reply_header(xid, Zxid::ZERO, error, &mut self.outbox);
        end_frame(&mut self.outbox, at);
        self.traffic.sent += 1;
    }

    // ---- answers

    /// Answers the oldest unanswered write, then runs the reads that waited behind it.
    ///
    /// `body` appends the reply's record; it is not called when `error` says that there is none.
    pub fn complete(&mut self, xid: Xid, error: ErrorCode, body: impl FnOnce(&mut Vec<u8>), side: &Side<'_>) {
        if self.ended {
            return;
        }
        let Some(Waiting::Write { xid: oldest, op, received, large, .. }) = self.waiting.pop_front() else {
            unreachable!("a write is answered only while it is the oldest request of its link");
        };
        assert_eq!(oldest, xid, "writes of a link are answered in its order");
        side.outstanding.end();
        side.outstanding.end_large(large);
        let at = begin_frame(&mut self.outbox);
        let zxid = side.tree.last_zxid();
        reply_header(xid, zxid, error, &mut self.outbox);
        if error == ErrorCode::Ok {
            body(&mut self.outbox);
        }
        end_frame(&mut self.outbox, at);
        self.note_reply(at, side);
        self.answered(op, xid, zxid, received, side);
        if op == OpCode::CloseSession && error == ErrorCode::Ok {
            self.close(Close::AfterFlush);
        }
        self.serve_waiting(side);
    }

    /// Logs what became of the oldest unanswered write; to be called before it is answered.
    pub(crate) fn audit(&self, outcome: &Outcome) {
        if let Some(Waiting::Write { op, audited: Some(body), .. }) = self.waiting.front() {
            let asker = audit::Asker { session: self.session, ids: &self.ids, address: self.address };
            audit::write(&asker, *op, body, outcome);
        }
    }

    /// The link's session, which only this server knew, has ended: says so once everything the client
    /// asked for before is answered, and ends.
    pub(crate) fn close_in_turn(&mut self, xid: Xid, side: &Side<'_>) {
        let ends = |waiting: &Waiting| matches!(waiting, Waiting::Write { xid: asked, op: OpCode::CloseSession, .. } if *asked == xid);
        for waiting in self.waiting.iter_mut().filter(|waiting| ends(waiting)) {
            let Waiting::Write { received, op, large, .. } = *waiting else { continue };
            *waiting = Waiting::Read(Request { xid, op, body: Bytes::new(), received, large });
        }
        self.serve_waiting(side);
    }

    fn serve_waiting(&mut self, side: &Side<'_>) {
        while let Some(Waiting::Read(_) | Waiting::Throttled(_)) = self.waiting.front() {
            match self.waiting.pop_front() {
                Some(Waiting::Read(request)) => self.serve(&request, side),
                Some(Waiting::Throttled(request)) => self.refuse_throttled(&request, side),
                _ => {}
            }
            side.outstanding.end();
        }
    }

    fn serve(&mut self, request: &Request, side: &Side<'_>) {
        let zxid = side.tree.last_zxid();
        let caller = read::Caller { client: self.client, session: self.session, ids: &self.ids };
        let at = self.outbox.len();
        read::answer(request, &caller, side, &mut self.outbox);
        // What a client is told before the answer to its watches is no part of that answer, which has no record.
        let is_rearmed = matches!(request.op, OpCode::SetWatches | OpCode::SetWatches2);
        let bare = self.outbox.len().saturating_sub(FRAME_HEAD_LEN + REPLY_HEADER_LEN);
        self.note_reply(if is_rearmed { bare } else { at }, side);
        side.outstanding.end_large(request.large);
        self.answered(request.op, request.xid, zxid, request.received, side);
        if request.op == OpCode::CloseSession {
            self.close(Close::AfterFlush);
        }
    }

    /// Counts the reply that begins at `at` in the outbox; its bytes without the length before it.
    // Java: FinalRequestProcessor.processRequest, ServerCnxn.serialize
    fn note_reply(&self, at: usize, side: &Side<'_>) {
        let len = len_i64(self.outbox.len().saturating_sub(at + FRAME_HEAD_LEN));
        side.statistics.metrics.response_bytes.add(len);
        side.statistics.response_sizes.add(len);
    }

    fn answered(&mut self, op: OpCode, xid: Xid, zxid: Zxid, received: Instant, side: &Side<'_>) {
        let latency_ms = side.clock.ms(side.now.instant).saturating_sub(side.clock.ms(received));
        self.traffic.answered(op, xid, zxid, latency_ms, side.clock.ms(side.now.instant));
        side.statistics.packets_sent.add(1);
        side.statistics.latency.add(latency_ms.cast_signed());
        let metrics = &side.statistics.metrics;
        let by_kind = if op.kind() == OpKind::Write { &metrics.updatelatency } else { &metrics.readlatency };
        by_kind.add(latency_ms.cast_signed());
    }

    /// Puts a watch event into the outbox.
    pub fn notify(&mut self, event: &WatchEvent<'_>, zxid: Zxid, side: &Side<'_>) {
        if !side.options.skip_acl && !oxherd_tree::permits(event.acl, auth::perms::READ, &self.ids) {
            return;
        }
        let at = self.outbox.len();
        read::encode_event(event.kind, event.path, zxid, &mut self.outbox);
        // Java: NIOServerCnxn.process
        let len = len_i64(self.outbox.len().saturating_sub(at + FRAME_HEAD_LEN));
        side.statistics.metrics.watch_bytes.add(len);
        side.statistics.response_sizes.add(len);
        self.traffic.sent += 1;
        side.statistics.packets_sent.add(1);
        if self.outbox.len() + self.unsent > OUTBOX_BYTES_MAX {
            warn!(address = %self.address, session = %self.session, "closing: the client does not read its watch events");
            self.close = Some(Close::Now);
        }
    }

    // ---- the driver's side

    /// The link is over: nothing is answered and no watch set from here on. Writes that the throttle held back
    /// and that are still wanted are appended to `inputs`.
    pub fn end(
        &mut self,
        options: &ClientOptions,
        statistics: &Statistics,
        outstanding: &Outstanding,
        inputs: &mut Vec<Input>,
    ) {
        self.ended = true;
        self.close = Some(Close::Now);
        self.release_held(options, statistics, outstanding, inputs);
        for waiting in &self.waiting {
            outstanding.end_large(waiting.large());
        }
        outstanding.abandon(self.waiting.len() + usize::from(self.creating));
        self.creating = false;
        self.waiting.clear();
    }

    /// Ends the link; a later, gentler wish does not soften an earlier one.
    pub fn close(&mut self, how: Close) {
        if self.close != Some(Close::Now) {
            self.close = Some(how);
        }
    }

    /// How the link is to end, once it is.
    pub fn closing(&self) -> Option<Close> {
        self.close
    }

    /// Moves what is to be sent behind `to`.
    pub fn take_outbox(&mut self, to: &mut Vec<u8>) {
        if to.is_empty() {
            std::mem::swap(&mut self.outbox, to);
        } else {
            to.append(&mut self.outbox);
        }
        self.unsent = to.len();
    }

    /// Bytes taken from the outbox that the socket has not taken yet.
    pub fn set_unsent(&mut self, unsent: usize) {
        self.unsent = unsent;
    }

    /// Whether there is something to send.
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether the handshake is still to come.
    pub fn is_greeting(&self) -> bool {
        matches!(self.phase, Phase::Greeting)
    }

    /// The session carried; 0 before the handshake is answered.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The session timeout granted, in ms.
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }

    /// Where the client is.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Requests not answered yet.
    pub fn outstanding(&self) -> usize {
        self.waiting.len() + self.held.len()
    }

    /// What passed over the link.
    pub fn traffic(&self) -> &LinkTraffic {
        &self.traffic
    }

    /// Forgets the link's statistics.
    pub fn reset_traffic(&mut self) {
        self.traffic.reset();
    }
}

fn len_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Whether a client may send this operation by itself.
// Java: Request.isValid
fn is_request(op: OpCode) -> bool {
    !matches!(op, OpCode::Check | OpCode::CreateSession) && op.kind() != OpKind::Internal
}

#[cfg(test)]
mod tests;
