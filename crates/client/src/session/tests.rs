use super::*;
use oxherd_proto::{
    ConnectReply, ConnectRequest, GetDataRequest, Jute, ReplyHeader, RequestHeader, SetWatches, WatcherEvent,
    Xid, begin_frame, end_frame,
};

use crate::WatchKind;

fn options(servers: usize) -> SessionOptions {
    SessionOptions {
        timeout_ms: 6000,
        read_only: false,
        chroot: Chroot::new("/app").expect("valid"),
        reply_len_max: 1 << 20,
        servers,
    }
}

fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    let at = begin_frame(&mut out);
    write(&mut out);
    end_frame(&mut out, at);
    out
}

fn welcome(timeout_ms: i32) -> Vec<u8> {
    let reply = ConnectReply { timeout_ms, session: SessionId(9), password: [7; 16], ..Default::default() };
    frame(|out| reply.encode(out))
}

fn reply(xid: i32, zxid: i64, err: i32) -> Vec<u8> {
    frame(|out| ReplyHeader { xid: Xid(xid), zxid: Zxid(zxid), err }.encode(out))
}

fn event(kind: i32, path: &str, zxid: i64) -> Vec<u8> {
    frame(|out| {
        ReplyHeader { xid: Xid::NOTIFICATION, zxid: Zxid(zxid), err: 0 }.encode(out);
        WatcherEvent { kind, state: 3, path: Str::from(path) }.encode(out);
    })
}

fn read(path: &'static str, watch: bool) -> Request {
    let record = GetDataRequest { path: Str::from_static(path), watch };
    let effect = if watch { Effect::Watch(WatchKind::Data, record.path.clone()) } else { Effect::None };
    Request::new(OpCode::GetData, &record).with(effect)
}

/// A session, its clock, and what came out of it as lines.
struct Bed {
    session: Session<&'static str>,
    now: Instant,
}

impl Bed {
    fn new(servers: usize) -> Self {
        let now = Instant::now();
        Self { session: Session::new(now, options(servers)), now }
    }

    fn live(servers: usize) -> Self {
        let mut bed = Self::new(servers);
        bed.step();
        bed.connected();
        bed.receive(&welcome(6000));
        bed
    }

    /// Goes to the next timeout.
    fn step(&mut self) -> Vec<String> {
        self.now = self.session.poll_timeout().expect("a timer runs");
        self.session.handle(self.now, Input::Timeout);
        self.outputs()
    }

    fn connected(&mut self) -> Vec<String> {
        self.session.handle(self.now, Input::Connected);
        self.outputs()
    }

    fn receive(&mut self, bytes: &[u8]) -> Vec<String> {
        self.session.handle(self.now, Input::Received(bytes));
        self.outputs()
    }

    fn lost(&mut self) -> Vec<String> {
        self.session.handle(self.now, Input::Disconnected);
        self.outputs()
    }

    fn submit(&mut self, token: &'static str, request: Request) -> Vec<String> {
        self.session.submit(self.now, token, request);
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Connect(server) => lines.push(format!("connect {server}")),
                Output::Disconnect => lines.push("disconnect".to_owned()),
                Output::Transmit(bytes) => lines.extend(sent(&bytes)),
                Output::Completed(token, Ok(_)) => lines.push(format!("{token} ok")),
                Output::Completed(token, Err(code)) => lines.push(format!("{token} {}", code.name())),
                Output::Event(event) => {
                    lines.push(format!("{} {} {:?}", event.state, event.kind, event.path));
                }
            }
        }
        lines
    }
}

fn sent(bytes: &[u8]) -> Vec<String> {
    let mut frames = FrameReader::default();
    frames.push(bytes);
    let mut lines = Vec::new();
    while let Some(frame) = frames.poll_frame(1 << 20).expect("lengths are sane") {
        let header = RequestHeader::from_bytes(frame.clone()).expect("has a header");
        match ConnectRequest::decode(frame.clone()) {
            Ok(request) if header.xid == Xid(0) => {
                lines.push(format!("hello session={} seen={}", request.session, request.last_zxid_seen));
            }
            _ if header.kind == OpCode::SetWatches.code() => {
                let record = SetWatches::from_bytes(frame.slice(8..)).expect("valid");
                lines.push(format!("set watches {:?} since {}", record.data_watches, record.relative_zxid));
            }
            _ => lines.push(format!("send xid={} type={}", header.xid.0, header.kind)),
        }
    }
    lines
}

#[test]
fn a_request_made_early_is_sent_behind_the_handshake() {
    let mut bed = Bed::new(1);
    assert!(bed.submit("r", read("/app/a", false)).is_empty());
    assert_eq!(bed.step(), ["connect 0"]);
    assert_eq!(bed.connected(), ["hello session=0x0 seen=0x0"]);
    assert_eq!(bed.receive(&welcome(4000)), ["send xid=1 type=4", "SyncConnected None None"]);
    assert_eq!((bed.session.id(), bed.session.timeout_ms()), (SessionId(9), 4000));
    assert_eq!(bed.receive(&reply(1, 5, 0)), ["r ok"]);
}

#[test]
fn silence_makes_a_ping_and_longer_silence_another_server() {
    let mut bed = Bed::live(2);
    let start = bed.now;
    assert_eq!(bed.step(), ["send xid=-2 type=11"]);
    assert_eq!(bed.now - start, Duration::from_secs(2), "half of two thirds of the timeout");
    bed.submit("r", read("/app/a", false));
    assert_eq!(bed.step(), ["disconnect", "Disconnected None None", "r CONNECTIONLOSS"]);
    assert_eq!(bed.now - start, Duration::from_secs(4), "two thirds of the timeout");
    assert_eq!(bed.step(), ["connect 1"]);
}

#[test]
fn watches_identities_and_the_session_move_to_the_next_server() {
    let mut bed = Bed::live(2);
    bed.session.add_identity(bed.now, Str::from("digest"), Bytes::from_static(b"u:p"));
    assert_eq!(bed.outputs(), ["send xid=-4 type=100"]);
    bed.submit("r", read("/app/a", true));
    bed.receive(&reply(1, 5, 0));
    assert_eq!(bed.lost(), ["Disconnected None None"]);
    bed.step();
    assert_eq!(bed.connected(), ["hello session=0x9 seen=0x5"]);
    let lines = bed.receive(&welcome(6000));
    let expected = ["send xid=-4 type=100", "set watches [\"/app/a\"] since 0x5", "SyncConnected None None"];
    assert_eq!(lines, expected);
    assert_eq!(bed.receive(&event(3, "/app/a", 6)), ["SyncConnected NodeDataChanged Some(\"/a\")"]);
    assert!(bed.receive(&event(3, "/app/a", 7)).is_empty(), "the watch was used up");
}

#[test]
fn what_was_not_sent_waits_until_every_server_failed_once() {
    let mut bed = Bed::new(2);
    bed.submit("r", read("/app/a", false));
    bed.step();
    assert!(bed.lost().is_empty());
    assert_eq!(bed.step(), ["connect 1"]);
    assert_eq!(bed.lost(), ["r CONNECTIONLOSS"]);
    let failed = bed.now;
    assert_eq!(bed.step(), ["connect 0"]);
    assert_eq!(bed.now - failed, ROUND_PAUSE);
}

#[test]
fn an_expired_session_ends_everything() {
    let mut bed = Bed::live(1);
    bed.lost();
    bed.submit("early", read("/app/a", false));
    bed.step();
    bed.connected();
    assert_eq!(bed.receive(&welcome(0)), ["disconnect", "Expired None None", "early SESSIONEXPIRED"]);
    assert_eq!(bed.submit("late", read("/app/a", false)), ["late SESSIONEXPIRED"]);
    assert_eq!(bed.session.state(), SessionState::Closed);
    assert_eq!(bed.session.poll_timeout(), None);
}

#[test]
fn a_refused_identity_ends_the_session() {
    let mut bed = Bed::live(1);
    bed.submit("r", read("/app/a", false));
    let lines = bed.receive(&reply(-4, 0, -115));
    assert_eq!(lines, ["disconnect", "AuthFailed None None", "r AUTHFAILED"]);
    assert_eq!(bed.submit("late", read("/app/a", false)), ["late AUTHFAILED"]);
}

#[test]
fn a_close_is_answered_and_nothing_follows() {
    let mut bed = Bed::live(1);
    assert_eq!(bed.submit("c", Request::bare(OpCode::CloseSession)), ["send xid=1 type=-11"]);
    assert_eq!(bed.submit("late", read("/app/a", false)), ["late SESSIONEXPIRED"]);
    assert_eq!(bed.receive(&reply(1, 6, 0)), ["c ok", "disconnect", "Closed None None"]);
    assert!(bed.lost().is_empty());
}

#[test]
fn a_reply_out_of_order_breaks_the_connection() {
    let mut bed = Bed::live(1);
    bed.submit("a", read("/app/a", false));
    bed.submit("b", read("/app/b", false));
    let lines = bed.receive(&reply(2, 6, 0));
    assert_eq!(lines, ["disconnect", "Disconnected None None", "a CONNECTIONLOSS", "b CONNECTIONLOSS"]);
}

#[test]
fn a_watch_never_set_cannot_be_removed_and_one_that_is_set_can_be_removed_offline() {
    let mut bed = Bed::live(1);
    let unwatch = |path: &'static str, local| {
        let path = Str::from_static(path);
        Request::bare(OpCode::RemoveWatches).with(Effect::Unwatch {
            path,
            kind: crate::WatcherType::Any,
            local,
        })
    };
    assert_eq!(bed.submit("u", unwatch("/app/a", true)), ["u NOWATCHER"]);
    bed.submit("r", read("/app/a", true));
    bed.receive(&reply(1, 5, 0));
    bed.submit("u", unwatch("/app/a", true));
    let lines = bed.lost();
    let expected = ["Disconnected None None", "Disconnected DataWatchRemoved Some(\"/a\")", "u ok"];
    assert_eq!(lines, expected);
}
