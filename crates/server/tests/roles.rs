//! What members do for clients when there is no quorum, and for sessions that one server keeps to itself.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::cell::RefCell;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oxherd_client::{Client, ClientError, ClientOptions, SessionState, open_acl};
use oxherd_proto::{Acl, CreateMode, CreateRequest, ErrorCode, Id, MultiOp, OpCode, SessionId, Str};
use oxherd_server::{Config, TestEnsemble};

const PATIENCE: Duration = Duration::from_secs(60);

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("the story ends in time") })
}

fn client(address: SocketAddr, read_only: bool) -> Client {
    let options = ClientOptions { timeout_ms: 4_000, read_only, ..ClientOptions::default() };
    Client::connect(&address.to_string(), &options).unwrap().0
}

fn local_sessions(config: &mut Config, upgrade: bool) {
    config.session.local = true;
    config.session.local_upgrade = upgrade;
}

/// The answer to a four-letter word.
fn word(address: SocketAddr, word: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(word.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn number(address: SocketAddr, name: &str) -> i64 {
    let all = word(address, "mntr");
    let line = all.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t")));
    line.unwrap_or_else(|| panic!("mntr tells {name}")).parse().unwrap()
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < end, "{what}");
        tokio::task::yield_now().await;
    }
}

fn codes<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Option<ErrorCode> {
    result.as_ref().map_err(ClientError::code).expect_err("it is refused")
}

fn ephemeral(path: &str) -> MultiOp {
    let flags = CreateMode::Ephemeral.flags();
    MultiOp::Create(OpCode::Create, CreateRequest { path: path.into(), data: None, acl: open_acl(), flags })
}

#[test]
fn a_member_without_a_quorum_serves_reads_to_clients_that_allow_it_and_leaves_no_trace() {
    let mut ensemble = TestEnsemble::start_with(3, |_, config| {
        config.client_port.read_only_mode = true;
        local_sessions(config, true);
    })
    .unwrap();
    run(async {
        let address = ensemble.client_addrs()[0];
        let before = client(address, false);
        before.create("/a", Some("x".into()), open_acl(), CreateMode::Persistent).await.unwrap();
        assert_eq!(word(address, "isro"), "rw");
        let state = ensemble.member(0).unwrap().state();
        ensemble.stop(1);
        ensemble.stop(2);
        until("reads are served", || word(address, "isro") == "ro").await;
        assert!(word(address, "srvr").contains("Mode: read-only\n"));
        assert!(!word(address, "conf").contains("membership"));

        let reading = client(address, true);
        assert_eq!(reading.connected().await, SessionState::ConnectedReadOnly);
        assert_eq!(reading.get_data("/a", true).await.unwrap().0, Some("x".into()));
        let write = reading.create("/b", None, open_acl(), CreateMode::Persistent).await;
        assert_eq!(codes(write), Some(ErrorCode::NotReadOnly));
        assert_eq!(codes(reading.sync("/").await), Some(ErrorCode::NotReadOnly));
        assert_eq!(codes(reading.multi(&[ephemeral("/b")]).await), Some(ErrorCode::NotReadOnly));
        let leaving = client(address, true);
        leaving.get_children("/", false).await.unwrap();
        leaving.close().await.unwrap();

        let strict = client(address, false);
        let refused = strict.exists("/a", false).await;
        assert_eq!(codes(refused), Some(ErrorCode::ConnectionLoss), "it wants a quorum");
        assert_eq!(ensemble.member(0).unwrap().state(), state, "nothing was made of all this");

        ensemble.start_again(1).unwrap();
        loop {
            let created = reading.create("/b", None, open_acl(), CreateMode::Ephemeral).await;
            match created.as_ref().map_err(ClientError::code) {
                Ok(_) => break,
                Err(Some(ErrorCode::ConnectionLoss | ErrorCode::NotReadOnly)) => {}
                Err(_) => panic!("{created:?}"),
            }
        }
        assert_eq!(reading.state(), SessionState::Connected);
        assert_eq!(word(address, "isro"), "rw");
    });
}

#[test]
fn a_read_only_member_sends_clients_with_sessions_for_all_on() {
    let mut ensemble =
        TestEnsemble::start_with(3, |_, config| config.client_port.read_only_mode = true).unwrap();
    run(async {
        let address = ensemble.client_addrs()[0];
        let global = client(address, true);
        global.create("/a", None, open_acl(), CreateMode::Ephemeral).await.unwrap();
        let session = global.session_id();
        ensemble.stop(1);
        ensemble.stop(2);
        until("reads are served", || word(address, "isro") == "ro").await;
        let refused = global.exists("/a", false).await;
        assert_eq!(codes(refused), Some(ErrorCode::ConnectionLoss));
        let new = client(address, true).exists("/a", false).await;
        assert_eq!(codes(new), Some(ErrorCode::ConnectionLoss), "a new session needs a leader");
        ensemble.start_again(1).unwrap();
        loop {
            let found = global.exists("/a", false).await;
            match found.as_ref().map_err(ClientError::code) {
                Ok(found) => break assert!(found.is_some(), "its node lives on with it"),
                Err(Some(ErrorCode::ConnectionLoss)) => {}
                Err(_) => panic!("{found:?}"),
            }
        }
        assert_eq!(global.session_id(), session);
    });
}

#[test]
fn a_local_session_writes_everywhere_and_becomes_global_with_its_first_ephemeral_node() {
    let ensemble = TestEnsemble::start_with(3, |_, config| local_sessions(config, true)).unwrap();
    run(async {
        let addresses = ensemble.client_addrs();
        let leader = ensemble.leader().unwrap();
        for index in 0..3 {
            let zxid = ensemble.member(leader).unwrap().state().0;
            let local = client(addresses[index], false);
            local.exists("/", false).await.unwrap();
            assert_eq!(ensemble.member(leader).unwrap().state().0, zxid, "nobody else was told");
            let path = format!("/persistent-{index}");
            local.create(&path, None, open_acl(), CreateMode::Persistent).await.unwrap();
            assert_eq!(number(addresses[index], "local_sessions"), 1);
            let name = format!("{:x}", local.session_id().0);
            assert!(word(addresses[index], "dump").contains(&format!("\t0x{name}\n")), "{name}");

            let path = format!("/ephemeral-{index}");
            if index == 0 {
                local.multi(&[ephemeral(&path)]).await.unwrap();
            } else {
                local.create(&path, None, open_acl(), CreateMode::Ephemeral).await.unwrap();
            }
            let stat = local.exists(&path, false).await.unwrap().unwrap();
            assert_eq!(stat.ephemeral_owner, local.session_id());
            assert_eq!(number(addresses[index], "local_sessions"), 0);
            let seen = client(addresses[(index + 1) % 3], false);
            seen.sync("/").await.unwrap();
            assert!(seen.exists(&path, false).await.unwrap().is_some());
            local.close().await.unwrap();
            seen.sync("/").await.unwrap();
            assert!(seen.exists(&path, false).await.unwrap().is_none(), "its node ends with it");
            seen.close().await.unwrap();
        }
        assert!(word(addresses[leader], "dump").contains("Local Session Sets"));
        assert!(word(addresses[(leader + 1) % 3], "dump").contains("Global Sessions(0):"));
    });
}

#[test]
fn a_local_session_gets_no_ephemeral_node_where_upgrading_is_off() {
    let ensemble = TestEnsemble::start_with(3, |_, config| local_sessions(config, false)).unwrap();
    run(async {
        let leader = ensemble.leader().unwrap();
        for index in 0..3 {
            let local = client(ensemble.client_addrs()[index], false);
            let refused = local.create("/e", None, open_acl(), CreateMode::Ephemeral).await;
            assert_eq!(codes(refused), Some(ErrorCode::EphemeralOnLocalSession), "member {index}");
            let by_leader =
                if index == leader { ErrorCode::EphemeralOnLocalSession } else { ErrorCode::SessionExpired };
            let results = local.multi(&[ephemeral("/e")]).await.unwrap();
            assert_eq!(results, [oxherd_proto::MultiResult::Error(by_leader)]);
            let path = format!("/p-{index}");
            local.create(&path, None, open_acl(), CreateMode::Persistent).await.unwrap();
        }
    });
}

#[test]
fn a_member_that_checks_early_refuses_by_itself_what_an_acl_forbids() {
    let ensemble = TestEnsemble::start_with(3, |_, config| config.auth.eager_acl_check = true).unwrap();
    run(async {
        let owner = client(ensemble.client_addrs()[0], false);
        owner.add_auth("digest", b"u:p");
        let id = Id { scheme: Str::from_static("auth"), id: Str::from_static("") };
        owner.create("/shut", None, vec![Acl { perms: 31, id }], CreateMode::Persistent).await.unwrap();
        let others: Vec<_> = ensemble.client_addrs().iter().map(|address| client(*address, false)).collect();
        for other in &others {
            other.sync("/").await.unwrap();
            assert_eq!(codes(other.set_data("/shut", None, -1).await), Some(ErrorCode::NoAuth));
            other.add_auth("digest", b"u:p");
            other.set_data("/shut", None, -1).await.unwrap();
        }
        let zxid = ensemble.member(ensemble.leader().unwrap()).unwrap().state().0;
        assert_eq!(zxid.counter(), 8, "four sessions, a create and three sets; the leader heard of no other");
    });
}

#[test]
fn a_local_session_ends_behind_what_it_asked_for_before_and_without_a_txn() {
    let ensemble = TestEnsemble::start_with(3, |_, config| local_sessions(config, true)).unwrap();
    run(async {
        for index in 0..3 {
            let address = ensemble.client_addrs()[index];
            let local = client(address, false);
            let path = format!("/last-{index}");
            local.exists("/", false).await.unwrap();
            let write = local.create(&path, None, open_acl(), CreateMode::Persistent);
            let sync = local.sync("/");
            let close = local.close();
            let (written, synced, closed) = tokio::join!(write, sync, close);
            assert_eq!((written.unwrap(), synced.is_ok(), closed.is_ok()), (path, true, true));
            until("the session is gone", || number(address, "local_sessions") == 0).await;
        }
        let zxid = ensemble.member(0).unwrap().state().0;
        assert_eq!(zxid.counter(), 3, "three creates, and no session began or ended for all");
    });
}

#[test]
fn a_local_session_survives_its_link_but_not_its_silence() {
    let ensemble = TestEnsemble::start_with(3, |_, config| local_sessions(config, true)).unwrap();
    run(async {
        let follower = (ensemble.leader().unwrap() + 1) % 3;
        let address = ensemble.client_addrs()[follower];
        let connect = |session: SessionId, password: Vec<u8>| handshake(address, session, password);
        let (first, id, password) = connect(SessionId(0), vec![0; 16]);
        drop(first);
        let (again, same, _) = connect(id, password.clone());
        assert_eq!(same, id, "it goes on over another link");
        assert_eq!(number(address, "local_sessions"), 1);
        until("silence ends it", || number(address, "local_sessions") == 0).await;
        drop(again);
        let (_, none, _) = connect(id, password);
        assert_eq!(none, SessionId(0), "it has expired");
    });
}

/// Opens a session without a client that keeps it alive: the link, the session and its password.
fn handshake(address: SocketAddr, session: SessionId, password: Vec<u8>) -> (TcpStream, SessionId, Vec<u8>) {
    use oxherd_proto::{ConnectReply, ConnectRequest, Zxid};
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 1000,
        session,
        password: Some(password.into()),
        read_only: Some(false),
    };
    let mut body = Vec::new();
    request.encode(&mut body);
    socket.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
    socket.write_all(&body).unwrap();
    let mut len = [0; 4];
    socket.read_exact(&mut len).unwrap();
    let mut reply = vec![0; usize::try_from(u32::from_be_bytes(len)).unwrap()];
    socket.read_exact(&mut reply).unwrap();
    let reply = ConnectReply::decode(reply.into()).unwrap();
    (socket, reply.session, reply.password.to_vec())
}

/// Three members that hold one node, and where the last one keeps its data.
fn young_ensemble(path: &str) -> (TestEnsemble, PathBuf) {
    let data = RefCell::new(PathBuf::new());
    let note = |index: usize, config: &mut Config| {
        if index == 2 {
            data.borrow_mut().clone_from(&config.storage.data_dir);
        }
    };
    let ensemble = TestEnsemble::start_with(3, note).unwrap();
    run(async {
        let client = client(ensemble.client_addrs()[0], false);
        client.create(path, None, open_acl(), CreateMode::Persistent).await.unwrap();
        client.close().await.unwrap();
    });
    (ensemble, data.into_inner())
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_member_that_came_with_the_data_of_another_ensemble_counts_the_digests_that_differ() {
    let (mut ensemble, data) = young_ensemble("/this");
    let (mut other, mut other_data) = young_ensemble("/that");
    while other.member(0).unwrap().state().0 != ensemble.member(0).unwrap().state().0 {
        // One of them needed a second election.
        (other, other_data) = young_ensemble("/that");
    }
    let mismatches =
        |ensemble: &TestEnsemble, index| number(ensemble.client_addrs()[index], "digest_mismatches_count");
    assert_eq!(mismatches(&ensemble, 2), 0);
    ensemble.stop(2);
    other.stop(2);
    copy_files(&other_data.join("version-2"), &data.join("version-2"));
    ensemble.start_again(2).unwrap();
    assert!(ensemble.wait_for_leader());
    run(async {
        let client = client(ensemble.client_addrs()[0], false);
        while client.create("/more", None, open_acl(), CreateMode::Persistent).await.is_err() {
            client.connected().await;
        }
        until("the difference is counted", || mismatches(&ensemble, 2) > 0).await;
        assert_eq!([0, 1].map(|index| mismatches(&ensemble, index)), [0, 0]);
    });
}
