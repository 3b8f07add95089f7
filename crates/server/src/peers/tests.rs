//! Links of one server, whose core is the test.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};

use oxherd_storage::Compression;
use oxherd_zab::LinkKind;

use super::*;
use crate::test_ports;

/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the test what comes in.
#[derive(Debug)]
struct Told {
    inputs: Sender<Input>,
    /// How often somebody waited for room.
    waits: AtomicUsize,
}

impl Inbox for Told {
    fn give(&self, inputs: Vec<Input>) {
        // A test that is over listens no more.
        inputs.into_iter().for_each(|input| drop(self.inputs.send(input)));
    }

    fn wait_for_room(&self, from_leader: bool) {
        assert!(!from_leader, "no leader is here");
        self.waits.fetch_add(1, Ordering::Relaxed);
    }

    fn walk_slice(&self, _walk: WalkId, _out: &mut Vec<u8>) -> Option<WalkState> {
        None
    }

    fn end_walk(&self, _walk: WalkId) {}
}

/// Server 3 of an ensemble, and what its core is told.
pub(super) fn peers(ensemble: &str) -> (Arc<Peers>, Receiver<Input>) {
    let (peers, told, _) = peers_and_inbox(ensemble);
    (peers, told)
}

fn peers_and_inbox(ensemble: &str) -> (Arc<Peers>, Receiver<Input>, Arc<Told>) {
    let settings = PeerSettings {
        server: ServerId(3),
        data_dir: PathBuf::new(),
        ensemble: EnsembleConfig::parse(ensemble).unwrap(),
        ensemble_seen: None,
        is_static: true,
        connect_timeout: Duration::from_secs(5),
        hello_timeout: Duration::from_secs(5),
        leader_pause: Duration::from_millis(10),
        several_addresses: false,
        keep_alive: false,
        listen_everywhere: false,
        observer_master_port: 0,
        field_len_max: 1024,
        queue_bytes_max: 1 << 20,
        tree: TreeOptions::default(),
        snapshots: SnapshotPlace { dir: std::env::temp_dir(), compression: Compression::None },
        tree_silence: Duration::from_millis(50),
    };
    let (inputs, told) = channel();
    let inbox = Arc::new(Told { inputs, waits: AtomicUsize::new(0) });
    let given: Arc<dyn Inbox> = Arc::<Told>::clone(&inbox);
    (Peers::new(settings, given), told, inbox)
}

/// Where server 2 listens for learners and for votes.
struct Ports {
    learners: TcpListener,
    votes: TcpListener,
}

impl Ports {
    fn open() -> Self {
        let free = || test_ports::listener("127.0.0.1").unwrap();
        Self { learners: free(), votes: free() }
    }

    fn text(&self, version: i64) -> String {
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (learners, votes) = (port(&self.learners), port(&self.votes));
        format!("server.2=127.0.0.1:{learners}:{votes}\nserver.3=127.0.0.1:1:2\nversion={version:x}")
    }
}

/// Dials server 2 for its learners and for votes; which links came up.
fn reached(peers: &Arc<Peers>, told: &Receiver<Input>) -> (bool, bool) {
    peers.carry_out(Output::Notify { server: ServerId(2), body: vec![0; 40].into() });
    peers.carry_out(Output::DialLeader {
        server: ServerId(2),
        observer_master: false,
        after_ms: 0,
        within_ms: 20_000,
    });
    let (mut leader, mut votes) = (None, None);
    while leader.is_none() || votes.is_none() {
        match told.recv_timeout(PATIENCE).unwrap() {
            Input::LinkUp { kind: LinkKind::Leader(_), .. } => leader = Some(true),
            Input::LinkUp { kind: LinkKind::Election(_), .. } => votes = Some(true),
            Input::DialFailed { kind: LinkKind::Leader(_) } => leader = Some(false),
            Input::DialFailed { kind: LinkKind::Election(_) } => votes = Some(false),
            _ => {}
        }
    }
    (leader == Some(true), votes == Some(true))
}

#[test]
fn a_server_that_never_heard_of_its_move_is_found_where_it_was() {
    let (former, next) = (Ports::open(), Ports::open());
    let (peers, told) = peers(&former.text(1));
    peers.carry_out(Output::ConfigSeen { text: next.text(2) });
    drop(next);
    assert_eq!(reached(&peers, &told), (true, true));
    peers.stop();
}

#[test]
fn a_server_that_has_moved_is_found_by_who_only_saw_it_proposed() {
    let (former, next) = (Ports::open(), Ports::open());
    let (peers, told) = peers(&former.text(1));
    peers.carry_out(Output::ConfigSeen { text: next.text(2) });
    drop(former);
    assert_eq!(reached(&peers, &told), (true, true));
    peers.stop();
}

#[test]
fn a_change_that_was_given_up_names_no_address() {
    let (former, next) = (Ports::open(), Ports::open());
    let (peers, told) = peers(&former.text(1));
    peers.carry_out(Output::ConfigSeen { text: next.text(2) });
    peers.carry_out(Output::ConfigSeen { text: former.text(1) });
    drop(former);
    assert_eq!(reached(&peers, &told), (false, false));
    peers.carry_out(Output::ConfigActive { text: next.text(3) });
    assert_eq!(reached(&peers, &told), (true, true));
    peers.stop();
}

#[test]
fn votes_wait_for_room_in_the_inbox_one_by_one() {
    let ports = Ports::open();
    let (peers, told, inbox) = peers_and_inbox(&ports.text(1));
    peers.carry_out(Output::Notify { server: ServerId(2), body: vec![0; 40].into() });
    let (mut link, _) = ports.votes.accept().unwrap();
    for _ in 0..3 {
        link.write_all(&40_i32.to_be_bytes()).unwrap();
        link.write_all(&[0; 40]).unwrap();
    }
    let mut votes = 0;
    while votes < 3 {
        if let Input::Notification { .. } = told.recv_timeout(PATIENCE).unwrap() {
            votes += 1;
            assert!(inbox.waits.load(Ordering::Relaxed) >= votes, "it was waited before vote {votes}");
        }
    }
    peers.stop();
}
