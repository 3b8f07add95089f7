//! The life of one connection: handshake, frames in and out, pings, loss.

use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{
    AuthPacket, ConnectReply, ConnectRequest, DecodeError, ErrorCode, Input as Decoder, Jute, OpCode,
    ReplyHeader, RequestHeader, SessionId, Str, WatcherEvent, Xid, Zxid, begin_frame, end_frame,
};

use super::{Output, Phase, ROUND_PAUSE, Session};
use crate::{EventType, KeeperState, Reply, SessionState};

impl<T> Session<T> {
    pub(super) fn handle_connected(&mut self, now: Instant) {
        let Phase::Connecting { deadline } = self.phase else { return };
        self.phase = Phase::Handshaking { deadline };
        self.frames = oxherd_proto::FrameReader::default();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: self.options.timeout_ms,
            // A session that only a read-only server knows means nothing to another.
            // Java: ClientCnxn.primeConnection
            session: if self.had_quorum { self.id } else { SessionId(0) },
            password: Some(Bytes::copy_from_slice(&self.password)),
            read_only: Some(self.options.read_only),
        };
        let at = begin_frame(&mut self.transmit);
        request.encode(&mut self.transmit);
        end_frame(&mut self.transmit, at);
        self.sent = now;
        self.received = now;
    }

    pub(super) fn handle_received(&mut self, now: Instant, bytes: &[u8]) {
        self.received = now;
        self.frames.push(bytes);
        loop {
            if !matches!(self.phase, Phase::Handshaking { .. } | Phase::Live { .. } | Phase::Closing) {
                return;
            }
            let taken = match self.frames.poll_frame(self.options.reply_len_max) {
                Ok(None) => return,
                Ok(Some(frame)) => self.take_frame(now, frame).is_ok(),
                Err(_) => false,
            };
            if !taken {
                return self.drop_connection(now);
            }
        }
    }

    /// The connection is over; whether that was wanted depends on the phase.
    pub(super) fn handle_lost(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting { .. } | Phase::Ended(_) => return,
            Phase::Closing => {
                return self.end(SessionState::Closed, ErrorCode::ConnectionLoss, KeeperState::Closed);
            }
            Phase::Live { .. } => {
                self.failures = 0;
                self.tell_state(KeeperState::Disconnected);
            }
            Phase::Connecting { .. } | Phase::Handshaking { .. } => self.failures += 1,
        }
        self.transmit.clear();
        self.server = (self.server + 1) % self.options.servers.max(1);
        self.phase = Phase::Waiting { until: now };
        self.fail_outstanding(ErrorCode::ConnectionLoss);
        if self.failures >= self.options.servers {
            self.failures = 0;
            self.phase = Phase::Waiting { until: now + ROUND_PAUSE };
            self.fail_queue(ErrorCode::ConnectionLoss);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting { until } if now >= until => {
                self.phase = Phase::Connecting { deadline: now + self.connect_timeout() };
                self.outputs.push_back(Output::Connect(self.server));
            }
            Phase::Connecting { deadline } | Phase::Handshaking { deadline } if now >= deadline => {
                self.drop_connection(now);
            }
            Phase::Live { .. } | Phase::Closing if now >= self.received + self.read_timeout() => {
                self.drop_connection(now);
            }
            Phase::Live { .. } if now >= self.ping_due() => {
                self.send_frame(now, Xid::PING, OpCode::Ping.code(), &[]);
            }
            _ => {}
        }
    }

    fn drop_connection(&mut self, now: Instant) {
        self.outputs.push_back(Output::Disconnect);
        self.handle_lost(now);
    }

    fn take_frame(&mut self, now: Instant, frame: Bytes) -> Result<(), DecodeError> {
        if matches!(self.phase, Phase::Handshaking { .. }) {
            return self.take_handshake(now, frame);
        }
        let mut input = Decoder::new(frame);
        let header = ReplyHeader::decode(&mut input)?;
        match header.xid {
            Xid::PING | Xid::SET_WATCHES => Ok(()),
            Xid::AUTH => {
                if header.err != 0 {
                    self.end(SessionState::AuthFailed, ErrorCode::AuthFailed, KeeperState::AuthFailed);
                }
                Ok(())
            }
            Xid::NOTIFICATION => self.take_notification(header.zxid, &mut input),
            _ => self.take_reply(&header, input.rest()),
        }
    }

    fn take_handshake(&mut self, now: Instant, frame: Bytes) -> Result<(), DecodeError> {
        let reply = ConnectReply::decode(frame)?;
        if reply.timeout_ms <= 0 {
            self.end(SessionState::Closed, ErrorCode::SessionExpired, KeeperState::Expired);
            return Ok(());
        }
        let read_only = reply.read_only.unwrap_or(false);
        (self.id, self.password, self.timeout_ms) = (reply.session, reply.password, reply.timeout_ms);
        self.failures = 0;
        self.had_quorum |= !read_only;
        self.phase = Phase::Live { read_only };
        let state = self.keeper_state();
        self.tell_state(state);
        for (scheme, auth) in self.identities.clone() {
            self.send_identity(now, &scheme, &auth);
        }
        for (op, body) in self.watches.set_again(self.last_zxid) {
            self.send_frame(now, Xid::SET_WATCHES, op.code(), &body);
        }
        self.send_queue(now);
        Ok(())
    }

    fn take_notification(&mut self, zxid: Zxid, input: &mut Decoder) -> Result<(), DecodeError> {
        let event = WatcherEvent::decode(input)?;
        let kind = EventType::from_code(event.kind);
        let unknown = || DecodeError::Unknown { what: "event type", code: i64::from(event.kind) };
        let kind = kind.ok_or_else(unknown)?;
        if self.watches.fire(kind, &event.path) {
            self.tell_watch(kind, &event.path, zxid);
        }
        Ok(())
    }

    /// Replies come in the order of requests; anything else means that the stream is broken.
    // Java: ClientCnxn.SendThread.readResponse
    fn take_reply(&mut self, header: &ReplyHeader, body: Bytes) -> Result<(), DecodeError> {
        let stray = DecodeError::Unknown { what: "xid of a reply", code: i64::from(header.xid.0) };
        if self.outstanding.front().is_none_or(|entry| entry.xid != header.xid.0) {
            return Err(stray);
        }
        let entry = self.outstanding.pop_front().ok_or(stray)?;
        if header.zxid > Zxid::ZERO {
            self.last_zxid = header.zxid;
        }
        let closed = entry.request.op == OpCode::CloseSession;
        let result = match ErrorCode::from(header.err) {
            ErrorCode::Ok => Ok(Reply { zxid: header.zxid, body }),
            code => Err(code),
        };
        self.complete(entry, result);
        if closed {
            self.end(SessionState::Closed, ErrorCode::SessionExpired, KeeperState::Closed);
        }
        Ok(())
    }

    pub(super) fn send_queue(&mut self, now: Instant) {
        while let Some(mut entry) = self.queue.pop_front() {
            entry.xid = self.take_xid();
            let body = std::mem::take(&mut entry.request.body);
            self.send_frame(now, Xid(entry.xid), entry.request.op.code(), &body);
            self.outstanding.push_back(entry);
        }
    }

    fn take_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = if xid == i32::MAX { 1 } else { xid + 1 };
        xid
    }

    pub(super) fn send_identity(&mut self, now: Instant, scheme: &Str, auth: &Bytes) {
        let packet = AuthPacket { kind: 0, scheme: scheme.clone(), auth: Some(auth.clone()) };
        self.send_frame(now, Xid::AUTH, OpCode::Auth.code(), &packet.to_vec());
    }

    fn send_frame(&mut self, now: Instant, xid: Xid, kind: i32, body: &[u8]) {
        self.sent = now;
        let at = begin_frame(&mut self.transmit);
        RequestHeader { xid, kind }.encode(&mut self.transmit);
        self.transmit.extend_from_slice(body);
        end_frame(&mut self.transmit, at);
    }
}
