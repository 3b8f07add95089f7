//! The session's state machine.
//!
//! ```text
//! Waiting --until--> Connecting --Connected--> Handshaking --reply--> Live --closeSession--> Closing
//!    ^                   |                          |                   |                       |
//!    +----- a full round of servers failed ---------+---- lost ---------+                       v
//!                                                  expired, refused -------------------------> Ended
//! ```
//! Give it what happened with [`Session::handle`] and [`Session::submit`], then take every
//! [`Session::poll_output`]; call `handle(now, Input::Timeout)` at [`Session::poll_timeout`].

mod connection;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{ErrorCode, FrameReader, OpCode, PASSWORD_LEN, SessionId, Str, Zxid};

use crate::watches::Watches;
use crate::{Chroot, Effect, Event, EventType, KeeperState, Reply, Request, SessionState};

/// Wait after a full round of servers failed.
const ROUND_PAUSE: Duration = Duration::from_millis(500);
/// Longest silence towards the server while it still answers.
// Java: ClientCnxn.SendThread.run, MAX_SEND_PING_INTERVAL
const PING_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// How a session behaves.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Session timeout asked for, in ms; the server may change it.
    pub timeout_ms: i32,
    /// Whether a read-only server will do.
    pub read_only: bool,
    /// Cut from the paths of events.
    pub chroot: Chroot,
    /// Largest reply taken, in bytes.
    pub reply_len_max: usize,
    /// Number of servers; connection attempts go round them.
    pub servers: usize,
}

/// What happened to the session's connection.
#[derive(Debug)]
pub enum Input<'a> {
    /// The connection asked for stands.
    Connected,
    /// Bytes came.
    Received(&'a [u8]),
    /// The connection failed or was closed by the other side.
    Disconnected,
    /// The time of [`Session::poll_timeout`] has come.
    Timeout,
}

/// What to do, in this order.
#[derive(Debug)]
pub enum Output<T> {
    /// Connect to the server with this index; any former connection is of no use.
    Connect(usize),
    /// Send these bytes.
    Transmit(Vec<u8>),
    /// Drop the connection after the bytes before.
    Disconnect,
    /// A request is done; the token is the one it was submitted with.
    Completed(T, Result<Reply, ErrorCode>),
    /// Tell the user.
    Event(Event),
}

#[derive(Debug)]
enum Phase {
    Waiting { until: Instant },
    Connecting { deadline: Instant },
    Handshaking { deadline: Instant },
    Live { read_only: bool },
    Closing,
    Ended(SessionState),
}

#[derive(Debug)]
struct Entry<T> {
    token: Option<T>,
    request: Request,
    xid: i32,
}

/// A session; `T` is what the caller recognizes its requests by.
#[derive(Debug)]
pub struct Session<T> {
    options: SessionOptions,
    phase: Phase,
    server: usize,
    failures: usize,
    id: SessionId,
    /// Whether a server of a quorum ever served the session.
    had_quorum: bool,
    password: [u8; PASSWORD_LEN],
    timeout_ms: i32,
    last_zxid: Zxid,
    next_xid: i32,
    queue: VecDeque<Entry<T>>,
    outstanding: VecDeque<Entry<T>>,
    identities: Vec<(Str, Bytes)>,
    watches: Watches,
    frames: FrameReader,
    outputs: VecDeque<Output<T>>,
    transmit: Vec<u8>,
    sent: Instant,
    received: Instant,
}

impl<T> Session<T> {
    /// A session that wants its first connection at once.
    pub fn new(now: Instant, options: SessionOptions) -> Self {
        Self {
            timeout_ms: options.timeout_ms,
            options,
            phase: Phase::Waiting { until: now },
            server: 0,
            failures: 0,
            id: SessionId(0),
            had_quorum: false,
            password: [0; PASSWORD_LEN],
            last_zxid: Zxid::ZERO,
            next_xid: 1,
            queue: VecDeque::new(),
            outstanding: VecDeque::new(),
            identities: Vec::new(),
            watches: Watches::default(),
            frames: FrameReader::default(),
            outputs: VecDeque::new(),
            transmit: Vec::new(),
            sent: now,
            received: now,
        }
    }

    /// The session's id; 0 before the first handshake.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The session timeout granted, in ms; the one asked for before the first handshake.
    pub fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        match &self.phase {
            Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Handshaking { .. } => {
                SessionState::Connecting
            }
            Phase::Live { read_only: true } => SessionState::ConnectedReadOnly,
            Phase::Live { read_only: false } => SessionState::Connected,
            Phase::Closing => SessionState::Closed,
            Phase::Ended(state) => *state,
        }
    }

    /// Takes a request. It waits for a connection; once sent it is never sent again, so a lost
    /// connection completes it with `ConnectionLoss`, and the caller must find out what became of it.
    pub fn submit(&mut self, now: Instant, token: T, request: Request) {
        if let Some(code) = self.refusal(&request) {
            return self.outputs.push_back(Output::Completed(token, Err(code)));
        }
        let closing = request.op == OpCode::CloseSession;
        self.queue.push_back(Entry { token: Some(token), request, xid: 0 });
        if matches!(self.phase, Phase::Live { .. }) {
            self.send_queue(now);
            if closing {
                self.phase = Phase::Closing;
            }
        } else if closing {
            self.end(SessionState::Closed, ErrorCode::SessionExpired, KeeperState::Closed);
        }
    }

    /// Adds an identity, now and after every reconnect.
    pub fn add_identity(&mut self, now: Instant, scheme: Str, auth: Bytes) {
        if matches!(self.phase, Phase::Live { .. }) {
            self.send_identity(now, &scheme, &auth);
        }
        self.identities.push((scheme, auth));
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Connected => self.handle_connected(now),
            Input::Received(bytes) => self.handle_received(now, bytes),
            Input::Disconnected => self.handle_lost(now),
            Input::Timeout => self.handle_timeout(now),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<T>> {
        if !self.transmit.is_empty() {
            let bytes = std::mem::take(&mut self.transmit);
            return Some(Output::Transmit(bytes));
        }
        self.outputs.pop_front()
    }

    /// When to call with [`Input::Timeout`], if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting { deadline } | Phase::Handshaking { deadline } => Some(*deadline),
            Phase::Live { .. } => Some(self.ping_due().min(self.received + self.read_timeout())),
            Phase::Closing => Some(self.received + self.read_timeout()),
            Phase::Ended(_) => None,
        }
    }

    fn read_timeout(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.timeout_ms).unwrap_or(0)) * 2 / 3
    }

    fn connect_timeout(&self) -> Duration {
        let servers = u32::try_from(self.options.servers.max(1)).unwrap_or(u32::MAX);
        let timeout = Duration::from_millis(u64::try_from(self.options.timeout_ms).unwrap_or(0));
        (timeout / servers).max(Duration::from_millis(1))
    }

    fn ping_due(&self) -> Instant {
        self.sent + (self.read_timeout() / 2).min(PING_INTERVAL_MAX)
    }

    fn refusal(&self, request: &Request) -> Option<ErrorCode> {
        match &self.phase {
            Phase::Ended(SessionState::AuthFailed) => return Some(ErrorCode::AuthFailed),
            Phase::Ended(_) | Phase::Closing => return Some(ErrorCode::SessionExpired),
            _ => {}
        }
        match &request.effect {
            Effect::Unwatch { path, kind, .. } if !self.watches.contains(*kind, path) => {
                Some(ErrorCode::NoWatcher)
            }
            _ => None,
        }
    }

    fn keeper_state(&self) -> KeeperState {
        match self.phase {
            Phase::Live { read_only: true } => KeeperState::ConnectedReadOnly,
            Phase::Live { .. } => KeeperState::SyncConnected,
            _ => KeeperState::Disconnected,
        }
    }

    fn tell_state(&mut self, state: KeeperState) {
        let event = Event { kind: EventType::None, state, path: None, zxid: Zxid(-1) };
        self.outputs.push_back(Output::Event(event));
    }

    fn end(&mut self, state: SessionState, code: ErrorCode, event: KeeperState) {
        self.transmit.clear();
        self.outputs.push_back(Output::Disconnect);
        self.phase = Phase::Ended(state);
        self.tell_state(event);
        self.fail_outstanding(code);
        self.fail_queue(code);
    }

    fn fail_outstanding(&mut self, code: ErrorCode) {
        for entry in std::mem::take(&mut self.outstanding) {
            self.complete(entry, Err(code));
        }
    }

    fn fail_queue(&mut self, code: ErrorCode) {
        for entry in std::mem::take(&mut self.queue) {
            self.complete(entry, Err(code));
        }
    }

    fn complete(&mut self, entry: Entry<T>, result: Result<Reply, ErrorCode>) {
        let code = result.as_ref().err().copied().unwrap_or(ErrorCode::Ok);
        let result = self.carry_out(entry.request.effect, code, result);
        if let Some(token) = entry.token {
            self.outputs.push_back(Output::Completed(token, result));
        }
    }

    fn carry_out(
        &mut self,
        effect: Effect,
        code: ErrorCode,
        result: Result<Reply, ErrorCode>,
    ) -> Result<Reply, ErrorCode> {
        match effect {
            Effect::None => result,
            Effect::Watch(kind, path) => {
                self.watches.register(kind, path, code);
                result
            }
            Effect::Unwatch { path, kind, local } => {
                let lost = code == ErrorCode::ConnectionLoss;
                if code != ErrorCode::Ok && !(local && lost) {
                    return result;
                }
                for event in self.watches.remove(kind, &path) {
                    self.tell_watch(event, &path, Zxid(-1));
                }
                result.or_else(|_| Ok(Reply { zxid: self.last_zxid, body: Bytes::new() }))
            }
        }
    }

    fn tell_watch(&mut self, kind: EventType, path: &[u8], zxid: Zxid) {
        let path = Some(self.options.chroot.strip(path));
        let event = Event { kind, state: self.keeper_state(), path, zxid };
        self.outputs.push_back(Output::Event(event));
    }
}
