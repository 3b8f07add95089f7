//! The handle on a session that runs on tokio.

use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{ErrorCode, OpCode, SessionId, Str};
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{Call, Driver, Status};
use crate::{Chroot, ClientError, Event, Reply, Request, Servers, Session, SessionOptions, SessionState};

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Session timeout asked for, in ms. Default 30 000.
    pub timeout_ms: i32,
    /// Whether a read-only server will do. Default no.
    pub read_only: bool,
    /// Largest reply taken, in bytes. Default 64 MiB.
    pub reply_len_max: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { timeout_ms: 30_000, read_only: false, reply_len_max: 64 << 20 }
    }
}

/// The events of a session in their order: state changes, and watches that fired.
///
/// A watch event stands here before the reply of any later request completes.
#[derive(Debug)]
pub struct Events(mpsc::UnboundedReceiver<Event>);

impl Events {
    /// The next event; `None` when the session has ended and all were taken.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }

    /// The next event, if one is there.
    pub fn try_next(&mut self) -> Option<Event> {
        self.0.try_recv().ok()
    }
}

/// A session. Clones share it; dropping the last one drops the connection without closing the session.
#[derive(Clone, Debug)]
pub struct Client {
    calls: mpsc::UnboundedSender<Call>,
    status: watch::Receiver<Status>,
    unreachable: watch::Receiver<Option<String>>,
    chroot: Chroot,
}

impl Client {
    /// Starts a session on the current tokio runtime. Requests wait for the connection.
    ///
    /// `servers` is `host:port[,host:port…][/chroot]`; the session starts at a server picked at random.
    pub fn connect(servers: &str, options: &ClientOptions) -> Result<(Self, Events), ClientError> {
        let Servers { mut hosts, chroot } = Servers::parse(servers)?;
        rotate(&mut hosts);
        let session_options = SessionOptions {
            timeout_ms: options.timeout_ms,
            read_only: options.read_only,
            chroot: chroot.clone(),
            reply_len_max: options.reply_len_max,
            servers: hosts.len(),
        };
        let session = Session::new(Instant::now(), session_options);
        let status = Status { state: session.state(), id: session.id(), timeout_ms: session.timeout_ms() };
        let (calls, calls_taken) = mpsc::unbounded_channel();
        let (events, events_taken) = mpsc::unbounded_channel();
        let (status, status_seen) = watch::channel(status);
        let (unreachable, unreachable_seen) = watch::channel(None);
        tokio::spawn(Driver { session, hosts, calls: calls_taken, events, status, unreachable }.run());
        let client = Self { calls, status: status_seen, unreachable: unreachable_seen, chroot };
        Ok((client, Events(events_taken)))
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        self.status.borrow().state
    }

    /// Why the last attempt to connect failed, as `host:port: reason`; `None` once one worked.
    pub fn unreachable(&self) -> Option<String> {
        self.unreachable.borrow().clone()
    }

    /// The session's id; 0 before the first handshake.
    pub fn session_id(&self) -> SessionId {
        self.status.borrow().id
    }

    /// The session timeout granted, in ms.
    pub fn timeout_ms(&self) -> i32 {
        self.status.borrow().timeout_ms
    }

    /// The prefix of all paths.
    pub fn chroot(&self) -> &Chroot {
        &self.chroot
    }

    /// Waits until the session is connected or over; bound it in time.
    pub async fn connected(&self) -> SessionState {
        let mut status = self.status.clone();
        let settled = |status: &Status| status.state != SessionState::Connecting;
        match status.wait_for(settled).await {
            Ok(status) => status.state,
            Err(_) => SessionState::Closed,
        }
    }

    /// Adds an identity to this and later connections. A refused one ends the session with `AuthFailed`.
    pub fn add_auth(&self, scheme: &str, auth: &[u8]) {
        // The driver outlives the handles, unless the runtime is going down.
        drop(self.calls.send(Call::Identity(Str::from(scheme), Bytes::copy_from_slice(auth))));
    }

    /// Ends the session; its ephemeral nodes go.
    pub async fn close(&self) -> Result<(), ClientError> {
        self.call("", Request::bare(OpCode::CloseSession)).await.map(drop)
    }

    /// Sends a request at once, before the future is awaited; `path` is for the error only.
    pub fn call(
        &self,
        path: &str,
        request: Request,
    ) -> impl Future<Output = Result<Reply, ClientError>> + Send + 'static {
        let (token, done) = oneshot::channel();
        let sent = self.calls.send(Call::Request(request, token)).is_ok();
        let path = path.to_owned();
        async move {
            let result = if sent { done.await.ok() } else { None };
            let result = result.unwrap_or(Err(ErrorCode::ConnectionLoss));
            result.map_err(|code| ClientError::Keeper { code, path })
        }
    }
}

/// Spreads clients over the servers.
fn rotate(hosts: &mut [(String, u16)]) {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(hosts.len());
    let len = u64::try_from(hosts.len()).unwrap_or(1).max(1);
    hosts.rotate_left(usize::try_from(random % len).unwrap_or(0));
}
