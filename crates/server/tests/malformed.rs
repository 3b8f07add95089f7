//! Clients that send what no client should, over raw sockets: each gets what the original gives, and
//! after each the server serves a good client as if nothing had been.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
// Java: NIOServerCnxn, ZooKeeperServer.processConnectRequest, ZooKeeperServer.processPacket

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use oxherd_proto::{
    Acl, AuthPacket, ConnectReply, ConnectRequest, CreateRequest, ErrorCode, GetDataRequest, Id, Jute,
    OpCode, PASSWORD_LEN, ReplyHeader, RequestHeader, SessionId, Str, Xid, Zxid,
};
use oxherd_server::{Config, Handle, Server};
use tempfile::TempDir;

/// No answer takes longer than this; a test that waits for silence does not exist.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

// ---- a server and a raw client

struct Running {
    server: Handle,
    _data: TempDir,
}

impl Running {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = TempDir::new().unwrap();
        let mut config = Config::default();
        config.client_port.port = Some(0);
        config.client_port.address = Some("127.0.0.1".to_owned());
        config.storage.data_dir = data.path().to_owned();
        change(&mut config);
        Self { server: Server::builder(config).worker_threads(2).start().unwrap(), _data: data }
    }

    fn address(&self) -> SocketAddr {
        self.server.client_addr().unwrap()
    }

    fn connect(&self) -> Raw {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
        socket.set_write_timeout(Some(ANSWER_LIMIT)).unwrap();
        socket.set_nodelay(true).unwrap();
        Raw(socket)
    }

    /// A link with a session of its own.
    fn client(&self) -> Raw {
        let mut raw = self.connect();
        raw.greet(&greeting());
        raw
    }

    /// The proof that the server lives: a new client writes and reads.
    fn serves_a_good_client(&self) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = format!("/good-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut good = self.client();
        good.request(1, OpCode::Create.code(), &create(&path));
        assert_eq!(good.reply().0.err, ErrorCode::Ok.code());
        good.request(2, OpCode::GetData.code(), &get_data(&path));
        let (header, body) = good.reply();
        assert_eq!((header.xid, header.err), (Xid(2), ErrorCode::Ok.code()));
        assert_eq!(Option::<Bytes>::from_bytes(body).unwrap(), Some(Bytes::from_static(b"data")));
        good.request(3, OpCode::CloseSession.code(), &[]);
        assert_eq!(good.reply().0.err, ErrorCode::Ok.code());
        good.is_closed();
    }
}

struct Raw(TcpStream);

impl Raw {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// As [`Self::send`]; the server may have closed already.
    fn send_to_the_deaf(&mut self, bytes: &[u8]) {
        if let Err(error) = self.0.write_all(bytes) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        }
    }

    fn greet(&mut self, request: &ConnectRequest) -> ConnectReply {
        self.send(&connect_frame(request));
        ConnectReply::decode(self.frame()).unwrap()
    }

    fn request(&mut self, xid: i32, kind: i32, body: &[u8]) {
        self.send(&request_frame(xid, kind, body));
    }

    fn frame(&mut self) -> Bytes {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).unwrap();
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(len)).unwrap()];
        self.0.read_exact(&mut frame).unwrap();
        frame.into()
    }

    fn reply(&mut self) -> (ReplyHeader, Bytes) {
        let frame = self.frame();
        (ReplyHeader::from_bytes(frame.clone()).unwrap(), frame.slice(16..))
    }

    /// The error a request is answered with.
    fn error_of(&mut self, xid: i32, kind: OpCode, body: &[u8]) -> i32 {
        self.request(xid, kind.code(), body);
        let (header, body) = self.reply();
        assert_eq!(header.xid, Xid(xid));
        assert!(header.err == 0 || body.is_empty(), "an error has no record behind it");
        header.err
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        rest
    }

    /// The server closed without another byte.
    fn is_closed(&mut self) {
        assert_eq!(self.rest(), b"");
    }
}

fn greeting() -> ConnectRequest {
    ConnectRequest {
        timeout_ms: 10_000,
        password: Some(Bytes::from_static(&[0; PASSWORD_LEN])),
        read_only: Some(false),
        ..ConnectRequest::default()
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

fn connect_frame(request: &ConnectRequest) -> Vec<u8> {
    let mut body = Vec::new();
    request.encode(&mut body);
    framed(&body)
}

fn request_frame(xid: i32, kind: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = RequestHeader { xid: Xid(xid), kind }.to_vec();
    frame.extend_from_slice(body);
    framed(&frame)
}

fn create(path: &str) -> Vec<u8> {
    let anyone = Id { scheme: Str::from_static("world"), id: Str::from_static("anyone") };
    CreateRequest {
        path: path.into(),
        data: Some(Bytes::from_static(b"data")),
        acl: vec![Acl { perms: 31, id: anyone }],
        flags: 0,
    }
    .to_vec()
}

fn get_data(path: &str) -> Vec<u8> {
    GetDataRequest { path: path.into(), watch: false }.to_vec()
}

fn int(value: i32) -> [u8; 4] {
    value.to_be_bytes()
}

// ---- lengths

#[test]
fn a_length_no_frame_may_have_closes_the_link_before_and_after_the_handshake() {
    let running = Running::new();
    for len in [-1, i32::MIN, i32::MAX, 0x10_0000] {
        let mut fresh = running.connect();
        fresh.send(&int(len));
        fresh.is_closed();
        let mut client = running.client();
        client.send(&int(len));
        client.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn the_largest_frame_is_taken_and_one_byte_more_is_not() {
    let running = Running::with(|config| config.limits.frame_bytes_max = 1000);
    let body = create("/large");
    let mut largest = RequestHeader { xid: Xid(1), kind: OpCode::Create.code() }.to_vec();
    largest.extend_from_slice(&body);
    largest.resize(1000, 0);
    let mut client = running.client();
    client.send(&framed(&largest));
    assert_eq!(client.reply().0.err, ErrorCode::Ok.code(), "bytes behind the record are ignored");
    largest.push(0);
    client.send_to_the_deaf(&framed(&largest));
    client.is_closed();
    running.serves_a_good_client();
}

#[test]
fn a_frame_too_short_for_its_header_closes_the_link() {
    let running = Running::new();
    for len in [0, 1, 7] {
        let mut client = running.client();
        client.send(&framed(&[0; 7][..len]));
        client.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_frame_leaves_nothing_behind() {
    let running = Running::new();
    let whole = request_frame(1, OpCode::Create.code(), &create("/never"));
    for cut in [1, 4, 11, whole.len() - 1] {
        let mut client = running.client();
        client.send(&whole[..cut]);
        client.0.shutdown(Shutdown::Write).unwrap();
        client.is_closed();
    }
    let mut witness = running.client();
    assert_eq!(witness.error_of(1, OpCode::GetData, &get_data("/never")), ErrorCode::NoNode.code());
    running.serves_a_good_client();
}

// ---- records

#[test]
fn a_record_that_cannot_be_read_is_answered_and_the_link_goes_on() {
    let running = Running::new();
    let mut client = running.client();
    let whole = create("/cut");
    let bodies = [
        (OpCode::Create, whole[..whole.len() - 3].to_vec()),
        (OpCode::Create, Vec::new()),
        (OpCode::GetData, [&int(i32::MAX)[..], b"/x"].concat()),
        (OpCode::GetData, [&int(-2)[..], b"/x"].concat()),
        (OpCode::SetWatches, [&[0; 8][..], &int(i32::MAX)].concat()),
        (OpCode::SetWatches2, [&[0; 8][..], &int(1_000_000), &int(0)].concat()),
        (OpCode::Multi, vec![0; 3]),
        (OpCode::Sync, vec![9]),
    ];
    for (xid, (op, body)) in (1..).zip(bodies) {
        assert_eq!(client.error_of(xid, op, &body), ErrorCode::MarshallingError.code(), "{op:?} {body:?}");
    }
    assert_eq!(client.error_of(99, OpCode::Create, &create("/after")), ErrorCode::Ok.code());
    running.serves_a_good_client();
}

#[test]
fn paths_that_are_none_are_bad_arguments() {
    let running = Running::new();
    let mut client = running.client();
    assert_eq!(client.error_of(1, OpCode::Create, &create("/a")), ErrorCode::Ok.code());
    for (xid, path) in
        (2..).zip(["", "none", "//", "/.", "/..", "/a/", "/a/.", "/a\0b", "/a\u{1}b", "/\u{f8ff}"])
    {
        let error = client.error_of(xid, OpCode::Create, &create(path));
        assert_eq!(error, ErrorCode::BadArguments.code(), "{path:?}");
    }
    let error = client.error_of(99, OpCode::Create, &create("/a//b"));
    assert_eq!(error, ErrorCode::NoNode.code(), "the parent is looked for before the path is judged");
    running.serves_a_good_client();
}

#[test]
fn an_unknown_operation_is_answered_and_ends_the_link() {
    let running = Running::new();
    for kind in [-100, 10, 42, 99, i32::MAX, i32::MIN, OpCode::CreateSession.code(), OpCode::Check.code()] {
        let mut client = running.client();
        client.request(5, kind, &[]);
        let (header, body) = client.reply();
        assert_eq!((header.xid, header.err), (Xid(5), ErrorCode::Unimplemented.code()), "{kind}");
        assert_eq!(header.zxid, Zxid(-1));
        assert!(body.is_empty());
        client.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn authentication_that_fails_is_answered_and_ends_the_link() {
    let running = Running::new();
    let packet = |scheme: &'static str, auth: Option<&'static [u8]>| {
        let auth = auth.map(Bytes::from_static);
        AuthPacket { kind: 0, scheme: Str::from_static(scheme), auth }.to_vec()
    };
    for body in [packet("nonsense", Some(b"x")), packet("", Some(b"")), packet("digest", None)] {
        let mut client = running.client();
        assert_eq!(client.error_of(-4, OpCode::Auth, &body), ErrorCode::AuthFailed.code());
        client.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn authentication_that_cannot_be_read_ends_the_link_without_an_answer() {
    let running = Running::new();
    for op in [OpCode::Auth, OpCode::Sasl] {
        let mut client = running.client();
        client.request(-4, op.code(), &int(7));
        client.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn an_acl_for_whoever_asks_may_leave_the_id_out_and_no_other_may() {
    let running = Running::new();
    let mut client = running.client();
    let alice = AuthPacket {
        kind: 0,
        scheme: Str::from_static("digest"),
        auth: Some(Bytes::from_static(b"alice:pw")),
    };
    assert_eq!(client.error_of(-4, OpCode::Auth, &alice.to_vec()), ErrorCode::Ok.code());
    let without_id = |path: &str, scheme: &str| {
        let mut body = create(path);
        body.truncate(4 + path.len() + 4 + b"data".len());
        for part in
            [&int(1)[..], &int(31), &int(i32::try_from(scheme.len()).unwrap()), scheme.as_bytes(), &int(-1)]
        {
            body.extend_from_slice(part);
        }
        body.extend_from_slice(&int(0));
        body
    };
    assert_eq!(client.error_of(1, OpCode::Create, &without_id("/mine", "auth")), ErrorCode::Ok.code());
    assert_eq!(
        client.error_of(2, OpCode::Create, &without_id("/theirs", "digest")),
        ErrorCode::InvalidAcl.code()
    );
    let mut nobody = create("/nobodys");
    nobody.truncate(4 + "/nobodys".len() + 4 + b"data".len());
    nobody.extend([int(1), int(31), int(-1), int(-1), int(0)].concat());
    assert_eq!(client.error_of(3, OpCode::Create, &nobody), ErrorCode::InvalidAcl.code());
    let mut stranger = running.client();
    assert_eq!(stranger.error_of(1, OpCode::GetData, &get_data("/mine")), ErrorCode::NoAuth.code());
}

// ---- handshakes

#[test]
fn a_first_message_that_is_no_handshake_closes_the_link() {
    let running = Running::new();
    let mut short = Vec::new();
    greeting().encode(&mut short);
    let mut huge_password = short[..24].to_vec();
    huge_password.extend_from_slice(&int(i32::MAX));
    let firsts = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        framed(b""),
        framed(b"abc"),
        framed(&short[..short.len() - 2]),
        framed(&huge_password),
    ];
    for first in firsts {
        let mut raw = running.connect();
        raw.send(&first);
        raw.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn a_client_without_the_read_only_byte_gets_an_answer_without_it() {
    let running = Running::new();
    let mut old = running.connect();
    old.send(&connect_frame(&ConnectRequest { read_only: None, ..greeting() }));
    let answer = old.frame();
    assert_eq!(answer.len(), 4 + 4 + 8 + 4 + PASSWORD_LEN);
    assert_eq!(ConnectReply::decode(answer).unwrap().read_only, None);
    assert_eq!(old.error_of(1, OpCode::Create, &create("/old")), ErrorCode::Ok.code());
    running.serves_a_good_client();
}

#[test]
fn a_client_that_has_seen_the_future_is_sent_away() {
    let running = Running::new();
    for seen in [Zxid(1 << 40), Zxid(i64::MAX)] {
        let mut raw = running.connect();
        raw.send(&connect_frame(&ConnectRequest { last_zxid_seen: seen, ..greeting() }));
        raw.is_closed();
    }
    running.serves_a_good_client();
}

#[test]
fn a_session_asked_for_with_a_wrong_password_is_told_to_be_gone_and_lives_on() {
    let running = Running::new();
    let mut owner = running.connect();
    let mine = owner.greet(&greeting());
    let thief = |session, password: &[u8]| {
        let password = Some(Bytes::copy_from_slice(password));
        let mut raw = running.connect();
        let reply = raw.greet(&ConnectRequest { session, password, ..greeting() });
        raw.is_closed();
        reply
    };
    let gone = ConnectReply { read_only: Some(false), ..ConnectReply::default() };
    assert_eq!(thief(mine.session, &[7; PASSWORD_LEN]), gone);
    assert_eq!(thief(mine.session, b""), gone);
    assert_eq!(thief(mine.session, &[0; 1000]), gone);
    assert_eq!(thief(SessionId(77), &mine.password), gone, "a session that never was");
    let mut again = running.connect();
    let password = Some(Bytes::copy_from_slice(&mine.password));
    let reply = again.greet(&ConnectRequest { session: mine.session, password, ..greeting() });
    assert_eq!(reply.session, mine.session);
    running.serves_a_good_client();
}

#[test]
fn session_timeouts_are_granted_within_the_bounds() {
    let running = Running::new();
    let granted =
        |timeout_ms| running.connect().greet(&ConnectRequest { timeout_ms, ..greeting() }).timeout_ms;
    let (least, most) = (granted(i32::MIN), granted(i32::MAX));
    assert_eq!((least, most), (6000, 60_000), "two and twenty ticks");
    assert_eq!(granted(7001), 7001);
}

#[test]
fn requests_sent_along_with_the_handshake_are_answered_behind_it() {
    let running = Running::new();
    let mut raw = running.connect();
    let mut bytes = connect_frame(&greeting());
    for xid in 1..=200 {
        let path = format!("/p{}", xid / 2);
        let write = xid % 2 == 0;
        let (op, body) =
            if write { (OpCode::Create, create(&path)) } else { (OpCode::GetData, get_data(&path)) };
        bytes.extend(request_frame(xid, op.code(), &body));
    }
    raw.send(&bytes);
    assert_ne!(ConnectReply::decode(raw.frame()).unwrap().session, SessionId(0));
    for xid in 1..=200 {
        let (header, _) = raw.reply();
        let expected = if xid == 1 { ErrorCode::NoNode } else { ErrorCode::Ok };
        assert_eq!(
            (header.xid, header.err),
            (Xid(xid), expected.code()),
            "in order, each seeing the write before"
        );
    }
    running.serves_a_good_client();
}

#[test]
fn bytes_that_come_one_by_one_make_the_same_requests() {
    let running = Running::new();
    let mut raw = running.connect();
    let mut bytes = connect_frame(&greeting());
    bytes.extend(request_frame(1, OpCode::Create.code(), &create("/slow")));
    for byte in bytes {
        raw.send(&[byte]);
    }
    raw.frame();
    assert_eq!(raw.reply().0.err, ErrorCode::Ok.code());
    running.serves_a_good_client();
}

#[test]
fn a_link_that_never_says_what_it_wants_is_closed() {
    let running = Running::with(|config| config.client_port.sessionless_timeout_ms = 100);
    let mut silent = running.connect();
    let mut halting = running.connect();
    halting.send(&connect_frame(&greeting())[..9]);
    silent.is_closed();
    halting.is_closed();
    running.serves_a_good_client();
}

// ---- four-letter words

#[test]
fn only_words_on_the_list_are_carried_out() {
    let running = Running::with(|config| config.client_port.words = "ruok, srvr".to_owned());
    let ask = |word: &[u8]| {
        let mut raw = running.connect();
        raw.send(word);
        String::from_utf8(raw.rest()).unwrap()
    };
    assert_eq!(ask(b"ruok"), "imok");
    assert!(ask(b"srvr").starts_with("Zookeeper version: 3.9"));
    assert_eq!(ask(b"envi"), "envi is not executed because it is not in the whitelist.\n");
    assert_eq!(ask(b"abcd"), "", "no word: a length that is too large");
    running.serves_a_good_client();
}

#[test]
fn a_word_counts_only_as_the_first_bytes_of_a_link() {
    let running = Running::new();
    let mut client = running.client();
    client.send(b"ruok");
    client.is_closed();
    let mut split = running.connect();
    split.send(b"sr");
    split.send(b"vr");
    assert!(split.rest().starts_with(b"Zookeeper version"));
    running.serves_a_good_client();
}

// ---- limits

#[test]
fn an_address_gets_no_more_links_than_it_may_have_and_room_comes_back() {
    let running = Running::with(|config| config.client_port.per_address_max = 2);
    let mut first = running.client();
    let second = running.client();
    let mut third = running.connect();
    third.send_to_the_deaf(&connect_frame(&greeting()));
    third.is_closed();
    assert_eq!(first.error_of(1, OpCode::Create, &create("/first")), ErrorCode::Ok.code());
    drop(second);
    let mut tries = 0;
    while !accepted(&running) {
        tries += 1;
        assert!(tries < 100_000, "the link's room never came back");
    }
}

fn accepted(running: &Running) -> bool {
    let mut raw = running.connect();
    raw.send_to_the_deaf(&connect_frame(&greeting()));
    let mut len = [0; 4];
    raw.0.read_exact(&mut len).is_ok()
}
