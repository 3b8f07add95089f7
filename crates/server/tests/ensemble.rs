//! Whole ensembles in one process: what clients see when members come and go.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::{Duration, Instant};

use oxherd_client::{Client, ClientError, ClientOptions, SessionState, open_acl};
use oxherd_proto::{CreateMode, ErrorCode};
use oxherd_server::TestEnsemble;

const PATIENCE: Duration = Duration::from_secs(60);

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("the story ends in time") })
}

fn client(servers: &str) -> Client {
    let options = ClientOptions { timeout_ms: 10_000, ..ClientOptions::default() };
    Client::connect(servers, &options).unwrap().0
}

/// Creates a node, again and again while there is no leader; a node that is there already is its own.
async fn create(client: &Client, path: &str) {
    loop {
        let created = client.create(path, Some("x".into()), open_acl(), CreateMode::Persistent).await;
        match created.as_ref().map_err(ClientError::code) {
            Ok(_) | Err(Some(ErrorCode::NodeExists)) => return,
            Err(Some(ErrorCode::ConnectionLoss)) => {
                client.connected().await;
            }
            Err(_) => panic!("{path}: {created:?}"),
        }
    }
}

/// All running members come to the same txn with the same digest.
fn assert_converged(ensemble: &TestEnsemble, count: usize) {
    let end = Instant::now() + PATIENCE;
    loop {
        let states: Vec<_> =
            (0..count).filter_map(|index| ensemble.member(index)).map(|m| m.state()).collect();
        if states.iter().all(|state| *state == states[0]) {
            return;
        }
        assert!(Instant::now() < end, "members differ: {states:?}");
        std::thread::yield_now();
    }
}

#[test]
fn clients_go_on_when_the_leader_stops_and_nothing_acknowledged_is_lost() {
    let mut ensemble = TestEnsemble::start(3).unwrap();
    run(async {
        let client = client(&ensemble.connect_string());
        for number in 0..50 {
            create(&client, &format!("/before-{number}")).await;
        }
        let leader = ensemble.leader().expect("one leads");
        ensemble.stop(leader);
        assert!(ensemble.wait_for_leader());
        for number in 0..50 {
            create(&client, &format!("/after-{number}")).await;
        }
        ensemble.start_again(leader).unwrap();
        assert_converged(&ensemble, 3);
        client.sync("/").await.unwrap();
        let names = client.get_children("/", false).await.unwrap();
        for number in 0..50 {
            assert!(names.contains(&format!("before-{number}")), "{number} was acknowledged");
            assert!(names.contains(&format!("after-{number}")), "{number} was acknowledged");
        }
    });
}

#[test]
fn a_session_moves_between_members_with_its_ephemerals_and_ends_with_them() {
    let mut ensemble = TestEnsemble::start(3).unwrap();
    run(async {
        let addresses = ensemble.client_addrs();
        let leader = ensemble.leader().expect("one leads");
        let follower = (leader + 1) % 3;
        let moving = client(&format!("{},{}", addresses[follower], addresses[(leader + 2) % 3]));
        let watching = client(&addresses[leader].to_string());
        moving.create("/mine", None, open_acl(), CreateMode::Ephemeral).await.unwrap();
        let session = moving.session_id();
        ensemble.stop(follower);
        create(&moving, "/moved").await;
        assert_eq!((moving.session_id(), moving.state()), (session, SessionState::Connected));
        watching.sync("/").await.unwrap();
        assert!(watching.exists("/mine", false).await.unwrap().is_some(), "the session lives");
        moving.close().await.unwrap();
        watching.sync("/").await.unwrap();
        assert!(watching.exists("/mine", false).await.unwrap().is_none(), "and its node ends with it");
    });
}

#[test]
fn a_member_that_was_away_for_long_gets_what_it_missed() {
    let mut ensemble = TestEnsemble::start(3).unwrap();
    run(async {
        let leader = ensemble.leader().expect("one leads");
        let away = (leader + 1) % 3;
        let client = client(&ensemble.client_addrs()[leader].to_string());
        create(&client, "/first").await;
        for rounds in [3, 900] {
            ensemble.stop(away);
            let writes = (0..rounds).map(|_| client.set_data("/first", Some("y".into()), -1));
            for write in writes.collect::<Vec<_>>() {
                write.await.unwrap();
            }
            ensemble.start_again(away).unwrap();
            assert_converged(&ensemble, 3);
        }
    });
}

#[test]
fn a_member_alone_serves_nobody() {
    let mut ensemble = TestEnsemble::start(3).unwrap();
    run(async {
        let leader = ensemble.leader().expect("one leads");
        let alone = client(&ensemble.client_addrs()[leader].to_string());
        create(&alone, "/a").await;
        ensemble.stop((leader + 1) % 3);
        ensemble.stop((leader + 2) % 3);
        let write = alone.create("/b", None, open_acl(), CreateMode::Persistent);
        if let Ok(Ok(path)) = tokio::time::timeout(Duration::from_secs(20), write).await {
            panic!("{path} was acknowledged without a quorum");
        }
        assert_eq!(ensemble.leader(), None);
        ensemble.start_again((leader + 1) % 3).unwrap();
        assert!(ensemble.wait_for_leader());
        create(&alone, "/c").await;
    });
}
