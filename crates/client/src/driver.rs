//! Drives one session: its socket, its clock and the calls of its user.

use std::io;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use oxherd_proto::{ErrorCode, SessionId, Str};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::{Event, Input, Output, Reply, Request, Session, SessionState};

/// Bytes asked from the socket at once.
const READ_LEN: usize = 64 * 1024;

pub(crate) type Token = oneshot::Sender<Result<Reply, ErrorCode>>;

/// What a user of the client wants.
#[derive(Debug)]
pub(crate) enum Call {
    Request(Request, Token),
    Identity(Str, Bytes),
}

/// What anybody may know about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: SessionState,
    pub(crate) id: SessionId,
    pub(crate) timeout_ms: i32,
}

pub(crate) struct Driver {
    pub(crate) session: Session<Token>,
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) status: watch::Sender<Status>,
    /// Why the last attempt to connect failed; nothing once one worked.
    pub(crate) unreachable: watch::Sender<Option<String>>,
}

#[derive(Default)]
struct Link {
    reader: Option<OwnedReadHalf>,
    writer: Option<OwnedWriteHalf>,
    dialing: JoinSet<io::Result<TcpStream>>,
    unsent: BytesMut,
    received: BytesMut,
}

enum Happened {
    Call(Option<Call>),
    Dialed(io::Result<TcpStream>),
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Timeout,
}

impl Driver {
    /// Runs until the session has ended, or every handle is gone.
    pub(crate) async fn run(mut self) {
        let mut link = Link::default();
        loop {
            self.carry_out(&mut link);
            if self.session.poll_timeout().is_none() {
                break;
            }
            let happened = self.wait(&mut link).await;
            if !self.take(&mut link, happened) {
                return;
            }
        }
        self.refuse_calls().await;
    }

    /// An ended session still answers calls, all with its end.
    async fn refuse_calls(&mut self) {
        while let Some(call) = self.calls.recv().await {
            self.take_call(call);
            self.carry_out(&mut Link::default());
        }
    }

    async fn wait(&mut self, link: &mut Link) -> Happened {
        let timeout = self.session.poll_timeout().unwrap_or_else(Instant::now);
        let Link { reader, writer, dialing, unsent, received } = link;
        tokio::select! {
            read = read(reader, received), if reader.is_some() => Happened::Read(read),
            call = self.calls.recv() => Happened::Call(call),
            wrote = write(writer, unsent), if writer.is_some() && !unsent.is_empty() => Happened::Wrote(wrote),
            Some(dialed) = dialing.join_next() => {
                Happened::Dialed(dialed.unwrap_or_else(|error| Err(io::Error::other(error))))
            }
            () = tokio::time::sleep_until(timeout.into()) => Happened::Timeout,
        }
    }

    /// Whether to go on.
    fn take(&mut self, link: &mut Link, happened: Happened) -> bool {
        let now = Instant::now();
        match happened {
            Happened::Call(None) => return false,
            Happened::Call(Some(call)) => {
                self.take_call(call);
                while let Ok(call) = self.calls.try_recv() {
                    self.take_call(call);
                }
            }
            Happened::Dialed(Ok(stream)) => {
                self.unreachable.send_replace(None);
                link.attach(stream);
                self.session.handle(now, Input::Connected);
            }
            Happened::Read(Ok(len)) if len > 0 => {
                self.session.handle(now, Input::Received(&link.received));
                link.received.clear();
            }
            Happened::Wrote(Ok(len)) if len > 0 => {}
            Happened::Dialed(Err(reason)) => {
                self.unreachable.send_replace(Some(reason.to_string()));
                link.detach();
                self.session.handle(now, Input::Disconnected);
            }
            Happened::Read(_) | Happened::Wrote(_) => {
                link.detach();
                self.session.handle(now, Input::Disconnected);
            }
            Happened::Timeout => self.session.handle(now, Input::Timeout),
        }
        true
    }

    fn take_call(&mut self, call: Call) {
        let now = Instant::now();
        match call {
            Call::Request(request, token) => self.session.submit(now, token, request),
            Call::Identity(scheme, auth) => self.session.add_identity(now, scheme, auth),
        }
    }

    fn carry_out(&mut self, link: &mut Link) {
        let session = &self.session;
        let status = Status { state: session.state(), id: session.id(), timeout_ms: session.timeout_ms() };
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(server) => link.dial(&self.hosts[server]),
                Output::Transmit(bytes) => link.unsent.extend_from_slice(&bytes),
                Output::Disconnect => link.detach(),
                // A caller that no longer waits has dropped its side; nothing is lost.
                Output::Completed(token, result) => drop(token.send(result)),
                Output::Event(event) => drop(self.events.send(event)),
            }
        }
    }
}

impl Link {
    fn dial(&mut self, host: &(String, u16)) {
        self.detach();
        let host = host.clone();
        self.dialing.spawn(async move {
            TcpStream::connect(host.clone()).await.map_err(|error| with_host(&host, &error))
        });
    }

    fn attach(&mut self, stream: TcpStream) {
        // Without it small requests wait for the other side's delayed acknowledgement.
        drop(stream.set_nodelay(true));
        let (reader, writer) = stream.into_split();
        (self.reader, self.writer) = (Some(reader), Some(writer));
    }

    fn detach(&mut self) {
        *self = Self::default();
    }
}

/// The error with the host it is about; of the system's errors the plain words are enough.
fn with_host((name, port): &(String, u16), error: &io::Error) -> io::Error {
    let name = if name.contains(':') { format!("[{name}]") } else { name.clone() };
    let reason = if error.raw_os_error().is_some() { error.kind().to_string() } else { error.to_string() };
    io::Error::new(error.kind(), format!("{name}:{port}: {reason}"))
}

async fn read(reader: &mut Option<OwnedReadHalf>, received: &mut BytesMut) -> io::Result<usize> {
    let Some(reader) = reader else { return Ok(0) };
    received.reserve(READ_LEN);
    reader.read_buf(received).await
}

async fn write(writer: &mut Option<OwnedWriteHalf>, unsent: &mut BytesMut) -> io::Result<usize> {
    let Some(writer) = writer else { return Ok(0) };
    writer.write_buf(unsent).await
}
