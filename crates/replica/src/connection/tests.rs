//! Links under limits, in virtual time: who goes on, who waits, who is answered without being heard.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oxherd_metrics::Statistics;
use oxherd_proto::{
    ConnectRequest, ErrorCode, Jute, OpCode, PASSWORD_LEN, ReplyHeader, RequestHeader, SessionId, Xid, Zxid,
};
use oxherd_tree::{ClientId, Tree, TreeOptions, Watches};

use super::{Close, Connection, Side};
use crate::auth::AuthOptions;
use crate::clock::{Clock, Now, test_instant};
use crate::input::{Input, SharedWatches};
use crate::limits::{
    ConnectThrottleOptions, Grant, LargeRequestOptions, LimitOptions, Outstanding, RequestThrottleOptions,
};
use crate::options::ClientOptions;
use crate::session::Pulse;

const TIMEOUT_MS: i32 = 1000;

/// Links of one server, and the time.
struct World {
    tree: Tree,
    watches: SharedWatches,
    options: ClientOptions,
    statistics: Statistics,
    outstanding: Outstanding,
    clock: Clock,
    now: Now,
    links: BTreeMap<u32, Connection>,
    inputs: Vec<Input>,
}

impl World {
    fn new(limits: LimitOptions) -> Self {
        let start = test_instant();
        let options = ClientOptions {
            frame_len_max: 1 << 20,
            session_timeout_ms_min: TIMEOUT_MS,
            session_timeout_ms_max: TIMEOUT_MS,
            outstanding_limit: 1000,
            audit: None,
            limits,
            skip_acl: false,
            auth: AuthOptions::default(),
        };
        Self {
            tree: Tree::new(TreeOptions::default()),
            watches: SharedWatches::new(Watches::new(0)),
            outstanding: Outstanding::new(&options.limits, 1),
            options,
            statistics: Statistics::default(),
            clock: Clock::new(start),
            now: Now { instant: start, unix_ms: 0 },
            links: BTreeMap::new(),
            inputs: Vec::new(),
        }
    }

    /// With links 1 and 2 open, and no more than one request processed at a time.
    fn one_at_a_time(change: impl FnOnce(&mut RequestThrottleOptions)) -> Self {
        let mut requests = RequestThrottleOptions {
            in_process_max: 1,
            stall_ms: 100,
            drop_stale: true,
            stale_connection: true,
            ..RequestThrottleOptions::default()
        };
        change(&mut requests);
        let mut world = Self::new(LimitOptions { requests, ..LimitOptions::default() });
        world.open(1);
        world.open(2);
        world
    }

    fn act(&mut self, link: u32, act: impl FnOnce(&mut Connection, &Side<'_>, &mut Vec<Input>)) {
        let side = Side {
            tree: &self.tree,
            watches: &self.watches,
            options: &self.options,
            statistics: &self.statistics,
            outstanding: &self.outstanding,
            clock: &self.clock,
            now: self.now,
        };
        act(self.links.get_mut(&link).unwrap(), &side, &mut self.inputs);
    }

    fn accept(&mut self, link: u32) {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.links
            .insert(link, Connection::new(ClientId(link), address, crate::ip_identities(address), self.now));
    }

    fn greet(&mut self, link: u32, session: i64) {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: TIMEOUT_MS,
            session: SessionId(session),
            password: Some(Bytes::from_static(&[0; PASSWORD_LEN])),
            read_only: Some(false),
        };
        let mut body = Vec::new();
        request.encode(&mut body);
        self.send(link, &frame(&body));
    }

    fn open(&mut self, link: u32) {
        self.accept(link);
        self.greet(link, 0);
        assert!(matches!(self.inputs.pop(), Some(Input::Connect(_))), "the handshake goes to the replica");
        self.ready(link);
    }

    fn ready(&mut self, link: u32) {
        self.act(link, |connection, side, _| {
            let (session, pulse) = (SessionId(i64::from(link)), Arc::new(Pulse::default()));
            connection.session_ready(session, [0; PASSWORD_LEN], pulse, 0, false, side.outstanding);
            connection.take_outbox(&mut Vec::new());
            connection.set_unsent(0);
        });
    }

    fn send(&mut self, link: u32, bytes: &[u8]) {
        self.act(link, |connection, side, inputs| connection.handle_bytes(bytes, side, inputs));
    }

    fn request(&mut self, link: u32, xid: i32, op: OpCode) {
        self.send(link, &request(xid, op, &[]));
    }

    /// The write the link waits for is applied.
    fn apply(&mut self, link: u32, xid: i32) {
        self.act(link, |connection, side, _| connection.complete(Xid(xid), ErrorCode::Ok, |_| {}, side));
        self.release();
    }

    fn release(&mut self) {
        let now_ms = self.clock.ms(self.now.instant);
        let waited = &self.statistics.metrics.request_throttle_wait_count;
        for grant in self.outstanding.poll_grants(now_ms, &self.options.limits.requests, waited) {
            match grant {
                Grant::Go(client) => {
                    assert!(self.links.get_mut(&client.0).unwrap().grant());
                    self.act(client.0, |connection, side, inputs| connection.handle_frames(side, inputs));
                }
                Grant::Drop(client) => {
                    self.links.get_mut(&client.0).unwrap().drop_held(&self.statistics);
                }
            }
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now.instant += Duration::from_millis(ms);
    }

    /// The link ends.
    fn end(&mut self, link: u32) {
        let mut connection = self.links.remove(&link).unwrap();
        connection.end(&self.options, &self.statistics, &self.outstanding, &mut self.inputs);
        self.release();
    }

    /// What the link was answered since the last look: xid and error.
    fn answers(&mut self, link: u32) -> Vec<(i32, i32)> {
        let mut bytes = Vec::new();
        let connection = self.links.get_mut(&link).unwrap();
        connection.take_outbox(&mut bytes);
        connection.set_unsent(0);
        let mut rest = Bytes::from(bytes);
        let mut answers = Vec::new();
        while !rest.is_empty() {
            let len = usize::try_from(i32::from_be_bytes(rest[..4].try_into().unwrap())).unwrap();
            let header = ReplyHeader::from_bytes(rest.slice(4..4 + len)).unwrap();
            answers.push((header.xid.0, header.err));
            rest = rest.slice(4 + len..);
        }
        answers
    }

    /// Xids of the writes that went to the replica since the last look.
    fn writes(&mut self) -> Vec<i32> {
        let xid = |input| match input {
            Input::Write { request, .. } => request.xid.0,
            other => panic!("no write: {other:?}"),
        };
        self.inputs.drain(..).map(xid).collect()
    }

    fn is_closed(&self, link: u32) -> Option<Close> {
        self.links[&link].closing()
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

fn request(xid: i32, op: OpCode, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    RequestHeader { xid: Xid(xid), kind: op.code() }.encode(&mut bytes);
    bytes.extend_from_slice(body);
    frame(&bytes)
}

const OK: i32 = 0;
const THROTTLED: i32 = -127;

#[test]
fn while_one_request_is_processed_all_others_wait_in_the_order_they_came() {
    let mut world = World::one_at_a_time(|_| {});
    world.request(1, 1, OpCode::Delete);
    world.request(2, 1, OpCode::WhoAmI);
    world.request(1, 2, OpCode::Delete);
    world.request(2, 2, OpCode::Delete);
    assert_eq!(world.writes(), [1], "only the first write is on its way");
    assert_eq!(world.answers(2), []);
    world.apply(1, 1);
    assert_eq!(world.answers(1), [(1, OK)]);
    world.release();
    assert_eq!(world.answers(2), [(1, OK)], "a read leaves room at once");
    assert_eq!(world.writes(), [2], "the second of link 1");
    world.apply(1, 2);
    assert_eq!(world.writes(), [2], "the second of link 2");
    world.apply(2, 2);
    assert_eq!((world.outstanding.count(), world.outstanding.queued()), (0, 0));
    assert!(world.statistics.metrics.request_throttle_wait_count.value() > 0);
}

#[test]
fn a_new_session_waits_for_its_turn_and_a_resumed_one_does_not() {
    let mut world = World::one_at_a_time(|_| {});
    world.request(1, 1, OpCode::Delete);
    world.writes();
    world.accept(3);
    world.greet(3, 0);
    assert!(world.inputs.is_empty());
    world.accept(4);
    world.greet(4, 77);
    assert!(matches!(world.inputs.pop(), Some(Input::Connect(connect)) if connect.client == ClientId(4)));
    world.apply(1, 1);
    assert!(matches!(world.inputs.pop(), Some(Input::Connect(connect)) if connect.client == ClientId(3)));
    assert_eq!(world.outstanding.count(), 1, "its making is a request being processed");
    world.ready(3);
    assert_eq!(world.outstanding.count(), 0);
}

#[test]
fn what_waited_too_long_is_answered_as_throttled_in_its_place() {
    let mut world = World::one_at_a_time(|requests| requests.throttled_op_ms = 50);
    world.request(1, 1, OpCode::Delete);
    world.request(2, 1, OpCode::WhoAmI);
    world.request(2, 2, OpCode::Ping);
    world.wait(51);
    world.request(2, 3, OpCode::WhoAmI);
    world.apply(1, 1);
    for _ in 0..3 {
        world.release();
    }
    assert_eq!(world.answers(2), [(1, THROTTLED), (-2, OK), (3, OK)], "a ping is never too late");
    assert_eq!(world.statistics.metrics.throttled_ops.value(), 1);
    assert_eq!(world.outstanding.count(), 0);
}

#[test]
fn a_throttled_answer_does_not_overtake_the_links_own_write() {
    let mut world = World::one_at_a_time(|requests| {
        requests.throttled_op_ms = 50;
        requests.in_process_max = 2;
    });
    world.request(1, 1, OpCode::Delete);
    world.request(2, 1, OpCode::Delete);
    world.request(1, 2, OpCode::Delete);
    world.writes();
    world.wait(51);
    world.apply(2, 1);
    assert_eq!(world.answers(1), [], "its first write is still on its way");
    world.apply(1, 1);
    assert_eq!(world.answers(1), [(1, OK), (2, THROTTLED)]);
    assert_eq!(world.writes(), [] as [i32; 0], "and is never carried out");
    assert_eq!(world.outstanding.count(), 0);
}

#[test]
fn a_link_that_ends_takes_what_waits_along_unless_told_otherwise() {
    for (drop_stale, wanted) in [(true, vec![]), (false, vec![2, 4])] {
        let mut world = World::one_at_a_time(|requests| requests.drop_stale = drop_stale);
        world.request(1, 1, OpCode::Delete);
        world.writes();
        for (xid, op) in [(2, OpCode::Delete), (3, OpCode::WhoAmI), (4, OpCode::CloseSession)] {
            world.request(2, xid, op);
        }
        world.end(2);
        assert_eq!(world.writes(), wanted);
        let metrics = &world.statistics.metrics;
        let counted = (metrics.stale_requests_dropped.value(), metrics.stale_requests.value());
        assert_eq!(counted, if drop_stale { (1, 0) } else { (0, 2) });
        assert_eq!((world.outstanding.count(), world.outstanding.queued()), (1, 0));
    }
}

#[test]
fn a_close_that_waits_is_carried_out_though_its_link_has_ended() {
    let mut world = World::one_at_a_time(|_| {});
    world.request(1, 1, OpCode::Delete);
    world.request(2, 1, OpCode::CloseSession);
    world.writes();
    world.end(2);
    assert_eq!(world.writes(), [1]);
}

#[test]
fn a_link_that_ends_with_a_grant_in_hand_gives_the_place_back() {
    let mut world = World::one_at_a_time(|_| {});
    world.request(1, 1, OpCode::Delete);
    world.request(2, 1, OpCode::WhoAmI);
    world.request(1, 2, OpCode::Delete);
    world.writes();
    world.act(1, |connection, side, _| connection.complete(Xid(1), ErrorCode::Ok, |_| {}, side));
    let waited = &world.statistics.metrics.request_throttle_wait_count;
    let grants = world.outstanding.poll_grants(0, &world.options.limits.requests, waited);
    assert_eq!(grants, [Grant::Go(ClientId(2))]);
    world.links.get_mut(&2).unwrap().grant();
    world.end(2);
    assert_eq!(world.writes(), [2], "the next one goes on");
}

#[test]
fn a_request_older_than_its_session_is_dropped_with_its_link() {
    let mut world = World::one_at_a_time(|requests| requests.stale_latency = true);
    world.request(1, 1, OpCode::Delete);
    world.request(2, 1, OpCode::WhoAmI);
    world.writes();
    world.wait(u64::try_from(TIMEOUT_MS).unwrap());
    world.release();
    assert_eq!(world.is_closed(2), None);
    world.wait(1);
    world.release();
    assert_eq!(world.is_closed(2), Some(Close::AfterFlush));
    assert_eq!(world.answers(2), []);
    assert_eq!(world.statistics.metrics.stale_requests_dropped.value(), 1);
}

#[test]
fn large_requests_beyond_the_limit_close_the_link_that_sends_them() {
    let large = Some(LargeRequestOptions { threshold: 100, bytes_max: 500 });
    let mut world = World::new(LimitOptions { large, ..LimitOptions::default() });
    for link in 1..=3 {
        world.open(link);
    }
    world.send(1, &request(1, OpCode::Delete, &[0; 300]));
    assert_eq!(world.writes(), [1]);
    world.send(2, &request(1, OpCode::Delete, &[0; 90]));
    assert_eq!(world.writes(), [1], "small ones pass");
    world.send(2, &201i32.to_be_bytes());
    assert_eq!(world.is_closed(2), Some(Close::Now), "the length alone is enough");
    world.end(2);
    world.apply(1, 1);
    world.send(3, &request(1, OpCode::Delete, &[0; 490]));
    assert_eq!(world.writes(), [1], "the bytes were given back");
    world.end(3);
    world.send(1, &request(2, OpCode::WhoAmI, &[0; 480]));
    assert_eq!(world.answers(1).last(), Some(&(2, OK)), "and those of a link that ended too");
    assert_eq!(world.statistics.metrics.large_requests_rejected.value(), 1);
}

#[test]
fn handshakes_beyond_the_bucket_are_closed_without_an_answer() {
    let connects = ConnectThrottleOptions {
        tokens: 2,
        fill_ms: 1000,
        fill_count: 1,
        new_cost: 2,
        resume_cost: 1,
        ..ConnectThrottleOptions::default()
    };
    let mut world = World::new(LimitOptions { connects, ..LimitOptions::default() });
    world.open(1);
    world.accept(2);
    world.greet(2, 5);
    assert!(world.inputs.is_empty());
    assert_eq!(world.is_closed(2), Some(Close::Now));
    assert_eq!(world.answers(2), []);
    world.wait(1001);
    world.accept(3);
    world.greet(3, 5);
    assert_eq!(world.is_closed(3), None, "one token came back, and resuming costs one");
    assert_eq!(world.statistics.metrics.connection_rejected.value(), 1);
}
