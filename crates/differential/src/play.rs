//! Sends a history to one server and notes all that comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use oxherd_proto::*;

use crate::history::{SESSIONS, Step};
use crate::mask::Mask;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(8);
const FRAME_LEN_MAX: usize = 8 << 20;

/// One client: its connection, and what it needs to come back.
#[derive(Default)]
struct Client {
    stream: Option<TcpStream>,
    reader: FrameReader,
    session: SessionId,
    password: [u8; PASSWORD_LEN],
    xid: i32,
}

/// What a read from the server gave.
enum Heard {
    Frame(Bytes),
    Closed,
    Silence,
}

struct Player<'a> {
    address: &'a str,
    root: &'a str,
    clients: Vec<Client>,
    mask: Mask,
}

/// The text of everything the server said, by step.
pub(crate) fn play(address: &str, root: &str, history: &[Step]) -> Result<Vec<Vec<String>>> {
    let clients = (0..SESSIONS).map(|_| Client::default()).collect();
    let mut player = Player { address, root, clients, mask: Mask::default() };
    let mut said = Vec::new();
    for step in history {
        let mut notes = Vec::new();
        player.step(step, &mut notes)?;
        player.gather(&mut notes)?;
        said.push(notes);
    }
    player.leave()?;
    Ok(said)
}

impl Player<'_> {
    fn step(&mut self, step: &Step, notes: &mut Vec<String>) -> Result<()> {
        match step {
            Step::Connect { session, timeout_ms } => {
                if self.clients[*session].stream.is_none() {
                    self.clients[*session].session = SessionId(0);
                    self.connect(*session, *timeout_ms, true, notes)?;
                }
            }
            Step::Reconnect { session, right_password } => {
                if self.clients[*session].session != SessionId(0) {
                    self.connect(*session, 30_000, *right_password, notes)?;
                }
            }
            Step::Drop { session } => self.clients[*session].stream = None,
            Step::Request { session, op, body } => {
                let bytes = (body.with_root)(body, self.root);
                self.request(*session, *op, &bytes, notes)?;
            }
        }
        Ok(())
    }

    fn connect(&mut self, at: usize, timeout_ms: i32, right: bool, notes: &mut Vec<String>) -> Result<()> {
        let stream = TcpStream::connect(self.address).with_context(|| format!("connect {}", self.address))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let client = &mut self.clients[at];
        let mut password = client.password;
        password[3] ^= u8::from(!right);
        let request = ConnectRequest {
            timeout_ms,
            session: client.session,
            password: Some(Bytes::copy_from_slice(&password)),
            read_only: Some(false),
            ..Default::default()
        };
        client.stream = Some(stream);
        client.reader = FrameReader::default();
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        client.send(&bytes);
        match client.hear()? {
            Heard::Frame(frame) => {
                let reply = ConnectReply::decode(frame).context("a connect reply")?;
                if reply.session != SessionId(0) {
                    client.session = reply.session;
                    client.password = reply.password;
                }
                let number = self.mask.sessions.len();
                let known = if reply.session.0 == 0 {
                    0
                } else {
                    *self.mask.sessions.entry(reply.session).or_insert(number)
                };
                notes.push(format!(
                    "connect: session {known} timeout {} read-only {:?}",
                    reply.timeout_ms, reply.read_only
                ));
            }
            Heard::Closed => self.closed(at, notes),
            Heard::Silence => notes.push(format!("connect {at}: silence")),
        }
        Ok(())
    }

    fn request(&mut self, at: usize, op: i32, body: &[u8], notes: &mut Vec<String>) -> Result<()> {
        let known = OpCode::from_code(op);
        let client = &mut self.clients[at];
        if client.stream.is_none() {
            return Ok(());
        }
        client.xid += 1;
        let xid = match known {
            Some(OpCode::Auth) => Xid::AUTH,
            Some(OpCode::SetWatches | OpCode::SetWatches2) => Xid::SET_WATCHES,
            _ => Xid(client.xid),
        };
        let mut bytes = RequestHeader { xid, kind: op }.to_vec();
        bytes.extend_from_slice(body);
        client.send(&bytes);
        self.until(at, xid, known, notes)?;
        if known == Some(OpCode::CloseSession) {
            self.until_closed(at, notes)?;
        }
        Ok(())
    }

    /// Reads up to the reply with this xid; notifications before it are noted in their place.
    fn until(&mut self, at: usize, xid: Xid, op: Option<OpCode>, notes: &mut Vec<String>) -> Result<()> {
        loop {
            let frame = match self.clients[at].hear()? {
                Heard::Frame(frame) => frame,
                Heard::Closed => {
                    self.closed(at, notes);
                    return Ok(());
                }
                Heard::Silence => {
                    notes.push(format!("{at}: silence"));
                    return Ok(());
                }
            };
            let mut input = Input::new(frame);
            let header = ReplyHeader::decode(&mut input).context("a reply header")?;
            if self.mask.base.is_none() && header.zxid.0 > 0 {
                self.mask.base = Some(Zxid(header.zxid.0 - 1));
            }
            let (zxid, code) = (self.mask.zxid(header.zxid), ErrorCode::from(header.err));
            let body = input.rest();
            if header.xid == Xid::NOTIFICATION {
                notes.push(format!("{at}: event {zxid:?} {:?}", WatcherEvent::from_bytes(body)));
                continue;
            }
            let right = if header.xid == xid { "" } else { " WRONG XID" };
            if xid != Xid::PING {
                notes.push(format!("{at}: {zxid:?} {code}{right} {}", self.mask.body(op, &body)));
            } else if !right.is_empty() {
                notes.push(format!("{at}: ping answered by {header:?}"));
            }
            return Ok(());
        }
    }

    fn until_closed(&mut self, at: usize, notes: &mut Vec<String>) -> Result<()> {
        if self.clients[at].stream.is_none() {
            return Ok(());
        }
        match self.clients[at].hear()? {
            Heard::Frame(frame) => notes.push(format!("{at}: after the close {frame:?}")),
            Heard::Closed => self.closed(at, notes),
            Heard::Silence => notes.push(format!("{at}: not closed")),
        }
        self.clients[at].stream = None;
        Ok(())
    }

    fn closed(&mut self, at: usize, notes: &mut Vec<String>) {
        notes.push(format!("{at}: closed"));
        self.clients[at].stream = None;
    }

    /// A ping on each connection: what was on its way to it has come before the answer.
    fn gather(&mut self, notes: &mut Vec<String>) -> Result<()> {
        let ping = RequestHeader { xid: Xid::PING, kind: OpCode::Ping.code() }.to_vec();
        for at in 0..SESSIONS {
            if self.clients[at].stream.is_some() {
                self.clients[at].send(&ping);
                self.until(at, Xid::PING, Some(OpCode::Ping), notes)?;
            }
        }
        Ok(())
    }

    /// Ends every session, so that the next history finds none.
    fn leave(&mut self) -> Result<()> {
        let mut ignored = Vec::new();
        for at in 0..SESSIONS {
            if self.clients[at].stream.is_none() && self.clients[at].session != SessionId(0) {
                self.connect(at, 30_000, true, &mut ignored)?;
            }
            self.request(at, OpCode::CloseSession.code(), &[], &mut ignored)?;
        }
        Ok(())
    }
}

impl Client {
    /// A broken pipe shows as a closed connection at the next read.
    fn send(&mut self, bytes: &[u8]) {
        let mut frame = Vec::with_capacity(bytes.len() + FRAME_LEN_BYTES);
        let at = begin_frame(&mut frame);
        frame.extend_from_slice(bytes);
        end_frame(&mut frame, at);
        if let Some(stream) = &mut self.stream {
            let _ = stream.write_all(&frame);
        }
    }

    fn hear(&mut self) -> Result<Heard> {
        let Some(stream) = &mut self.stream else { return Ok(Heard::Closed) };
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(frame) = self.reader.poll_frame(FRAME_LEN_MAX)? {
                return Ok(Heard::Frame(frame));
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(Heard::Closed),
                Ok(len) => self.reader.push(&buffer[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(Heard::Silence);
                }
                Err(_) => return Ok(Heard::Closed),
            }
        }
    }
}
