//! A client: one session at a time over one link at a time, speaking the real bytes.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use oxherd_proto::{
    Acl, ConnectReply, ConnectRequest, CreateRequest, DeleteRequest, ErrorCode, FrameReader, GetDataRequest,
    Id, Input as Reader, Jute, MAX_BUFFER_DEFAULT, MultiOp, OpCode, PASSWORD_LEN, ReconfigRequest,
    ReplyHeader, RequestHeader, SessionId, SetDataRequest, Str, SyncRequest, WatcherEvent, Xid, Zxid,
    begin_frame, encode_multi, end_frame,
};
use oxherd_tree::ClientId;

use crate::dice::{Dice, print_of};
use crate::invariants::{
    event_before_data, monotonic_view, reply_after_commit, session_order, witness_reads,
};
use crate::model::Model;
use crate::verdict::{Breach, Check};

/// Nodes that all clients share.
const NODES: u64 = 6;
/// Requests a client has under way at most.
const WAITING_MAX: usize = 5;

/// Where a client is with its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No link.
    Down,
    /// The handshake is sent.
    Connecting,
    /// Requests flow.
    Open,
}

#[derive(Debug)]
struct Asked {
    xid: Xid,
    op: OpCode,
    path: String,
    watch: bool,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its number.
    pub(crate) number: usize,
    /// Where it is.
    pub(crate) phase: Phase,
    /// Its link.
    pub(crate) link: Option<ClientId>,
    /// Its session; 0 for none.
    pub(crate) session: SessionId,
    /// Writes answered with success.
    pub(crate) acknowledged: u64,
    /// How the last change of the ensemble was answered.
    pub(crate) reconfigured: Option<i32>,
    /// It says nothing before this, in µs.
    pub(crate) silent_until_us: u64,
    /// Once all is healed: when it may write again, in µs.
    pub(crate) patient_until_us: u64,
    password: Bytes,
    seen: Zxid,
    xid: i32,
    waiting: VecDeque<Asked>,
    watches: BTreeMap<String, Zxid>,
    frames: FrameReader,
    unique: u64,
}

impl Client {
    /// A client that has not connected yet.
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            phase: Phase::Down,
            link: None,
            session: SessionId(0),
            acknowledged: 0,
            reconfigured: None,
            silent_until_us: 0,
            patient_until_us: 0,
            password: Bytes::from_static(&[0; PASSWORD_LEN]),
            seen: Zxid::ZERO,
            xid: 0,
            waiting: VecDeque::new(),
            watches: BTreeMap::new(),
            frames: FrameReader::default(),
            unique: 0,
        }
    }

    /// A link is there: the handshake.
    pub(crate) fn connect(&mut self, link: ClientId, timeout_ms: i32) -> Vec<u8> {
        self.link = Some(link);
        self.phase = Phase::Connecting;
        self.frames = FrameReader::default();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms,
            session: self.session,
            password: Some(self.password.clone()),
            read_only: Some(false),
        };
        let mut out = Vec::new();
        let at = begin_frame(&mut out);
        request.encode(&mut out);
        end_frame(&mut out, at);
        out
    }

    /// The link is gone, and with it all watches and all hope for answers.
    pub(crate) fn disconnect(&mut self) {
        self.link = None;
        self.phase = Phase::Down;
        self.waiting.clear();
        self.watches.clear();
    }

    fn forget_session(&mut self) {
        self.session = SessionId(0);
        self.password = Bytes::from_static(&[0; PASSWORD_LEN]);
        self.seen = Zxid::ZERO;
    }

    // ---- requests

    /// The next request, whatever the dice say; none when enough are under way.
    pub(crate) fn ask(&mut self, dice: &mut Dice) -> Option<Vec<u8>> {
        if self.waiting.len() >= WAITING_MAX {
            return None;
        }
        self.unique += 1;
        let data = format!("{}-{}", self.number, self.unique);
        let path = format!("/n{}", dice.below(NODES));
        Some(match dice.below(20) {
            0..=2 => self.create(&path, &data, 0),
            3..=7 => self.set(&path, &data),
            8..=9 => self.request(
                OpCode::Delete,
                &path,
                false,
                &DeleteRequest { path: path_of(&path), version: -1 },
            ),
            10..=14 => self.get(&path, dice.chance(50)),
            15 | 16 => self.create(&format!("/e{}-{}", self.number, dice.below(3)), &data, 1),
            17 => self.multi(&path, &data),
            18 => self.request(OpCode::Sync, &path, false, &SyncRequest { path: path_of(&path) }),
            _ if dice.chance(10) => self.close(),
            _ => self.ping(),
        })
    }

    /// A write to see whether the servers serve.
    pub(crate) fn probe(&mut self) -> Vec<u8> {
        self.unique += 1;
        let data = format!("probe {}-{}", self.number, self.unique);
        if self.unique.is_multiple_of(2) { self.create("/n0", &data, 0) } else { self.set("/n0", &data) }
    }

    /// Whether something is under way.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A change of the ensemble; none while something is under way.
    pub(crate) fn reconfig(&mut self, request: &ReconfigRequest) -> Option<Vec<u8>> {
        if !self.waiting.is_empty() {
            return None;
        }
        self.reconfigured = None;
        Some(self.request(OpCode::Reconfig, "/zookeeper/config", false, request))
    }

    fn create(&mut self, path: &str, data: &str, flags: i32) -> Vec<u8> {
        let request = create_request(path, data, flags);
        self.request(OpCode::Create, path, false, &request)
    }

    fn set(&mut self, path: &str, data: &str) -> Vec<u8> {
        let request = SetDataRequest { path: path_of(path), data: Some(data.to_owned().into()), version: -1 };
        self.request(OpCode::SetData, path, false, &request)
    }

    fn get(&mut self, path: &str, watch: bool) -> Vec<u8> {
        self.request(OpCode::GetData, path, watch, &GetDataRequest { path: path_of(path), watch })
    }

    fn close(&mut self) -> Vec<u8> {
        self.frame(OpCode::CloseSession, "", false, |_| {})
    }

    fn multi(&mut self, path: &str, data: &str) -> Vec<u8> {
        let set = SetDataRequest { path: path_of(path), data: Some(data.to_owned().into()), version: -1 };
        let ops = [
            MultiOp::SetData(set),
            MultiOp::Create(OpCode::Create, create_request(&format!("/m{}", self.unique % 5), data, 0)),
        ];
        self.frame(OpCode::Multi, path, false, |out| encode_multi(&ops, out))
    }

    pub(crate) fn ping(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let at = begin_frame(&mut out);
        RequestHeader { xid: Xid::PING, kind: OpCode::Ping.code() }.encode(&mut out);
        end_frame(&mut out, at);
        out
    }

    fn request(&mut self, op: OpCode, path: &str, watch: bool, body: &impl Jute) -> Vec<u8> {
        self.frame(op, path, watch, |out| body.encode(out))
    }

    fn frame(&mut self, op: OpCode, path: &str, watch: bool, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        self.xid += 1;
        let xid = Xid(self.xid);
        let mut out = Vec::new();
        let at = begin_frame(&mut out);
        RequestHeader { xid, kind: op.code() }.encode(&mut out);
        body(&mut out);
        end_frame(&mut out, at);
        self.waiting.push_back(Asked { xid, op, path: path.to_owned(), watch });
        out
    }

    /// The last request, for the story.
    pub(crate) fn last_request(&self) -> String {
        self.waiting.back().map_or_else(
            || "ping".to_owned(),
            |asked| format!("{:?} {} {}", asked.op, asked.xid.0, asked.path),
        )
    }

    /// The oldest request without an answer, for the story.
    pub(crate) fn oldest(&self) -> Option<i32> {
        self.waiting.front().map(|asked| asked.xid.0)
    }

    // ---- answers

    /// Bytes from the server; every answer is checked. False when the session has ended.
    pub(crate) fn receive(&mut self, bytes: &[u8], model: &Model) -> Result<bool, Breach> {
        self.frames.push(bytes);
        while let Ok(Some(frame)) = self.frames.poll_frame(MAX_BUFFER_DEFAULT) {
            if self.phase == Phase::Connecting {
                let Ok(reply) = ConnectReply::decode(frame) else { return Ok(false) };
                if reply.session == SessionId(0) {
                    self.forget_session();
                    return Ok(false);
                }
                self.session = reply.session;
                self.password = Bytes::copy_from_slice(&reply.password);
                self.phase = Phase::Open;
            } else if !self.answer(frame, model)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn answer(&mut self, frame: Bytes, model: &Model) -> Result<bool, Breach> {
        let mut reader = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut reader) else {
            return Err(Breach::new("SessionOrder", "a frame without a header"));
        };
        if header.xid == Xid::NOTIFICATION {
            if let Ok(event) = WatcherEvent::decode(&mut reader) {
                self.watches.remove(&String::from_utf8_lossy(&event.path).into_owned());
            }
            return Ok(true);
        }
        if header.xid == Xid::PING {
            return Ok(true);
        }
        session_order::check(self.number, self.waiting.front().map(|asked| asked.xid), header.xid)?;
        let Some(asked) = self.waiting.pop_front() else { return Ok(true) };
        self.check_view(header.zxid, model)?;
        let body = reader.rest();
        if asked.op == OpCode::Reconfig {
            self.reconfigured = Some(header.err);
        }
        match asked.op {
            OpCode::GetData => self.check_read(&asked, &header, body, model)?,
            OpCode::Sync => {}
            OpCode::CloseSession => {
                self.forget_session();
                return Ok(false);
            }
            _ if header.err == 0 => {
                reply_after_commit::check(header.zxid, (self.session, asked.xid), model.write(header.zxid))?;
                self.acknowledged += 1;
            }
            _ => {}
        }
        Ok(true)
    }

    fn check_view(&mut self, zxid: Zxid, model: &Model) -> Check {
        if zxid <= Zxid::ZERO {
            return Ok(());
        }
        monotonic_view::check(self.number, self.seen, zxid)?;
        self.seen = zxid;
        for (path, since) in &self.watches {
            event_before_data::check(self.number, path, model.first_change(path.as_bytes(), *since), zxid)?;
        }
        Ok(())
    }

    fn check_read(&mut self, asked: &Asked, header: &ReplyHeader, body: Bytes, model: &Model) -> Check {
        let mut reader = Reader::new(body);
        let read = match header.err {
            0 => {
                let data = Option::<Bytes>::decode(&mut reader).unwrap_or_default();
                Some(print_of(data.as_deref().unwrap_or_default()))
            }
            err if err == ErrorCode::NoNode.code() => None,
            _ => return Ok(()),
        };
        let expected = model.value(asked.path.as_bytes(), header.zxid);
        witness_reads::check(self.number, &asked.path, header.zxid, read, expected)?;
        if asked.watch && read.is_some() {
            self.watches.entry(asked.path.clone()).or_insert(header.zxid);
        }
        Ok(())
    }
}

fn path_of(path: &str) -> Str {
    Str::from(path)
}

fn create_request(path: &str, data: &str, flags: i32) -> CreateRequest {
    let anyone = Id { scheme: Str::from("world"), id: Str::from("anyone") };
    CreateRequest {
        path: path_of(path),
        data: Some(data.to_owned().into()),
        acl: vec![Acl { perms: 31, id: anyone }],
        flags,
    }
}
