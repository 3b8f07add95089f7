//! Limits and throttles on a running server, over raw sockets.
//!
//! Where a test needs a write that is on its way, the log is told to wait: `flushDelay` keeps a batch open
//! until `maxBatchSize` txns are in it.
//!
//! The same steps were taken by hand against ZooKeeper 3.9.5: the connection throttle (the third of three handshakes
//! closed, one rejected, two requests), large requests (closed at the length alone, one rejected), the request
//! throttle (−127 for a create and an exists behind another link's create, with that create's zxid), and a held
//! create whose link ended (never carried out, one stale request dropped) gave the same answers and counters. One
//! thing differs: reads on a standalone ZooKeeper take part in its batches, so one waits for a sync that is due,
//! and counts towards `maxBatchSize`; here only writes do.
// Java: RequestThrottler, BlueThrottle, ZooKeeperServer.shouldThrottle, SyncRequestProcessor

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{
    Acl, ConnectReply, ConnectRequest, CreateRequest, ExistsRequest, Id, Jute, OpCode, PASSWORD_LEN,
    ReplyHeader, RequestHeader, Str, Xid, Zxid,
};
use oxherd_server::{Config, Handle, Server};
use tempfile::TempDir;

/// No answer takes longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Far beyond the life of a test: only a full batch is synced.
const NEVER_MS: i64 = 600_000;

struct Running {
    server: Handle,
    _data: TempDir,
}

impl Running {
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = TempDir::new().unwrap();
        let mut config = Config::default();
        config.client_port.port = Some(0);
        config.client_port.address = Some("127.0.0.1".to_owned());
        config.client_port.words = "*".to_owned();
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

    /// So many links that ask for a session, and have it only once all have asked.
    fn clients(&self, count: usize) -> Vec<Raw> {
        let mut clients: Vec<Raw> = (0..count).map(|_| self.connect()).collect();
        clients.iter_mut().for_each(Raw::greet);
        clients.iter_mut().for_each(Raw::greeted);
        clients
    }

    /// A value of the word `mntr`.
    fn metric(&self, name: &str) -> i64 {
        let mut raw = self.connect();
        raw.send(b"mntr");
        let text = String::from_utf8(raw.rest()).unwrap();
        let wanted = format!("zk_{name}\t");
        let line = text.lines().find_map(|line| line.strip_prefix(&wanted));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    fn wait_for(&self, name: &str, least: i64) {
        let start = Instant::now();
        while self.metric(name) < least {
            assert!(start.elapsed() < ANSWER_LIMIT, "{name} stays below {least}");
        }
    }
}

struct Raw(TcpStream);

impl Raw {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn greet(&mut self) {
        let request = ConnectRequest {
            timeout_ms: 30_000,
            password: Some(Bytes::from_static(&[0; PASSWORD_LEN])),
            read_only: Some(false),
            ..ConnectRequest::default()
        };
        let mut body = Vec::new();
        request.encode(&mut body);
        self.send(&framed(&body));
    }

    fn greeted(&mut self) {
        assert!(ConnectReply::decode(self.frame()).unwrap().timeout_ms > 0);
    }

    fn request(&mut self, xid: i32, op: OpCode, body: &[u8]) {
        self.send(&request_frame(xid, op, body));
    }

    fn create(&mut self, xid: i32, path: &str) {
        self.request(xid, OpCode::Create, &create(path, b"data"));
    }

    fn exists(&mut self, xid: i32, path: &str) {
        self.request(xid, OpCode::Exists, &ExistsRequest { path: path.into(), watch: false }.to_vec());
    }

    fn frame(&mut self) -> Bytes {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).unwrap();
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(len)).unwrap()];
        self.0.read_exact(&mut frame).unwrap();
        frame.into()
    }

    /// The error and the zxid of the next answer.
    fn answer(&mut self, xid: i32) -> (i32, Zxid) {
        let header = ReplyHeader::from_bytes(self.frame()).unwrap();
        assert_eq!(header.xid, Xid(xid));
        (header.err, header.zxid)
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
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

fn request_frame(xid: i32, op: OpCode, body: &[u8]) -> Vec<u8> {
    let mut frame = RequestHeader { xid: Xid(xid), kind: op.code() }.to_vec();
    frame.extend_from_slice(body);
    framed(&frame)
}

fn create(path: &str, data: &'static [u8]) -> Vec<u8> {
    let anyone = Id { scheme: Str::from_static("world"), id: Str::from_static("anyone") };
    CreateRequest {
        path: path.into(),
        data: Some(Bytes::from_static(data)),
        acl: vec![Acl { perms: 31, id: anyone }],
        flags: 0,
    }
    .to_vec()
}

const OK: i32 = 0;
const THROTTLED: i32 = -127;
const NO_NODE: i32 = -101;

/// Syncs of `len` txns, and no others.
fn only_full_batches(config: &mut Config, len: i32) {
    config.storage.flush_delay_ms = NEVER_MS;
    config.storage.idle_flush_ms = Some(NEVER_MS);
    config.storage.batch_max = len;
}

#[test]
fn a_write_is_answered_when_its_batch_is_full() {
    let running = Running::with(|config| only_full_batches(config, 2));
    let mut clients = running.clients(2);
    clients[0].create(1, "/first");
    running.wait_for("outstanding_requests", 1);
    clients[1].exists(1, "/first");
    assert_eq!(clients[1].answer(1).0, NO_NODE, "it is not synced, so nobody sees it");
    clients[1].create(2, "/second");
    assert_eq!(clients[0].answer(1).0, OK);
    assert_eq!(clients[1].answer(2).0, OK);
}

#[test]
fn writes_are_synced_no_more_often_than_the_delay_allows() {
    let delay = Duration::from_millis(300);
    let running = Running::with(|config| {
        config.storage.flush_delay_ms = 300;
        config.storage.idle_flush_ms = Some(300);
    });
    let mut clients = running.clients(1);
    let client = &mut clients[0];
    let mut synced = None;
    for xid in 1..=3 {
        client.create(xid, &format!("/{xid}"));
        assert_eq!(client.answer(xid).0, OK);
        let now = Instant::now();
        let apart = synced.map_or(delay, |before| now - before);
        assert!(apart > delay / 2, "two syncs were {apart:?} apart");
        synced = Some(now);
    }
}

#[test]
fn an_idle_queue_ends_a_batch_before_its_delay() {
    let running = Running::with(|config| {
        config.storage.flush_delay_ms = NEVER_MS;
        config.storage.idle_flush_ms = Some(1);
    });
    let mut clients = running.clients(1);
    clients[0].create(1, "/soon");
    assert_eq!(clients[0].answer(1).0, OK);
}

#[test]
fn a_link_with_something_unanswered_is_not_read_beyond_the_limit_and_others_are() {
    let running = Running::with(|config| {
        only_full_batches(config, 4);
        config.request_throttle.outstanding_max = 2;
    });
    let mut clients = running.clients(4);
    let many: Vec<u8> = (1..=10)
        .flat_map(|xid| request_frame(xid, OpCode::Create, &create(&format!("/many-{xid}"), b"")))
        .collect();
    clients[0].send(&many);
    running.wait_for("outstanding_requests", 3);
    clients[1].create(1, "/other");
    let (error, zxid) = clients[1].answer(1);
    assert_eq!((error, zxid), (OK, Zxid(4 + 4)), "behind three of the ten that were sent before");
}

#[test]
fn a_request_beyond_the_throttle_waits_until_another_is_done() {
    let running = Running::with(|config| {
        config.request_throttle.requests_max = 1;
        config.storage.flush_delay_ms = 200;
        config.storage.idle_flush_ms = Some(200);
    });
    let mut clients = running.clients(2);
    for xid in 1..=3 {
        let (path, before) = (format!("/{xid}"), running.metric("znode_count"));
        clients[0].create(xid, &path);
        // On its way, or done already.
        while running.metric("outstanding_requests") == 0 && running.metric("znode_count") == before {}
        clients[1].exists(xid, &path);
        assert_eq!(clients[1].answer(xid).0, OK, "the read waited for the write before it");
        assert_eq!(clients[0].answer(xid).0, OK);
    }
    assert!(running.metric("request_throttle_wait_count") > 0);
}

#[test]
fn a_request_that_waited_too_long_is_answered_so_and_not_carried_out() {
    let running = Running::with(|config| {
        config.request_throttle.requests_max = 1;
        config.request_throttle.throttled_op_ms = 20;
        config.storage.flush_delay_ms = 300;
        config.storage.idle_flush_ms = Some(300);
    });
    let mut clients = running.clients(2);
    let start = Instant::now();
    for xid in (1..).step_by(2) {
        assert!(start.elapsed() < ANSWER_LIMIT, "no request was ever throttled");
        let path = format!("/perhaps-{xid}");
        clients[0].create(xid, &format!("/first-{xid}"));
        clients[1].create(xid, &path);
        let errors = [clients[0].answer(xid).0, clients[1].answer(xid).0];
        clients[1].exists(xid + 1, &path);
        let seen = clients[1].answer(xid + 1).0;
        match errors {
            [OK, OK] | [THROTTLED, OK] => assert_eq!(seen, OK),
            [OK, THROTTLED] => {
                assert_eq!(seen, NO_NODE);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(running.metric("throttled_ops") > 0);
}

#[test]
fn a_server_without_room_still_stops_cleanly_and_keeps_what_it_answered() {
    let data = TempDir::new().unwrap();
    let mut config = Config::default();
    config.client_port.port = Some(0);
    config.client_port.address = Some("127.0.0.1".to_owned());
    config.storage.data_dir = data.path().to_owned();
    config.request_throttle.requests_max = 1;
    let running = Running {
        server: Server::builder(config.clone()).worker_threads(2).start().unwrap(),
        _data: TempDir::new().unwrap(),
    };
    let mut clients = running.clients(3);
    for xid in 1..=50 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.create(xid, &format!("/{number}-{xid}"));
        }
    }
    for client in &mut clients {
        for xid in 1..=50 {
            assert_eq!(client.answer(xid).0, OK);
        }
    }
    drop(running);
    let server = Server::builder(config).worker_threads(2).start().unwrap();
    let again = Running { server, _data: data };
    let mut client = again.clients(1).pop().unwrap();
    for number in 0..3 {
        client.exists(number + 1, &format!("/{number}-50"));
        assert_eq!(client.answer(number + 1).0, OK);
    }
}

#[test]
fn handshakes_beyond_the_tokens_are_closed_unanswered() {
    let running = Running::with(|config| {
        config.connection_throttle.tokens = 2;
        config.connection_throttle.fill_ms = i32::MAX;
    });
    let _served = running.clients(2);
    let mut third = running.connect();
    third.greet();
    assert_eq!(third.rest(), b"");
    assert_eq!(running.metric("connection_rejected"), 1);
    assert_eq!(running.metric("connection_request_count"), 2);
}

#[test]
fn a_new_session_costs_its_weight_and_the_bucket_is_as_much_larger() {
    let running = Running::with(|config| {
        config.connection_throttle.tokens = 1;
        config.connection_throttle.fill_ms = i32::MAX;
        config.connection_throttle.weighted = true;
    });
    let _served = running.clients(1);
    let mut second = running.connect();
    second.greet();
    assert_eq!(second.rest(), b"");
}

#[test]
fn large_requests_beyond_their_bytes_cost_the_link() {
    let running = Running::with(|config| {
        config.limits.large_threshold = 1000;
        config.limits.large_bytes_max = 3000;
    });
    let mut clients = running.clients(2);
    clients[0].request(1, OpCode::Create, &create("/large", &[7; 2000]));
    assert_eq!(clients[0].answer(1).0, OK);
    clients[0].request(2, OpCode::Create, &create("/large-too", &[7; 2000]));
    assert_eq!(clients[0].answer(2).0, OK, "the bytes of the first were given back");
    clients[1].send(&3001i32.to_be_bytes());
    assert_eq!(clients[1].rest(), b"", "before the rest of it is even sent");
    assert_eq!(running.metric("large_requests_rejected"), 1);
    clients[0].exists(3, "/large-too");
    assert_eq!(clients[0].answer(3).0, OK);
}
