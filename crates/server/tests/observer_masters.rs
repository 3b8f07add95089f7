//! Observers that learn from followers, and that keep no log: what their clients see, where they go when a
//! follower stops, what is on their disks.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::{CreateMode, ServerId};
use oxherd_server::{Config, Handle, Role, Server};

const PATIENCE: Duration = Duration::from_secs(60);
const OBSERVER: usize = 3;

/// Three voters and an observer, each at an address of its own, for all have one observer master port.
struct Ensemble {
    members: Vec<Option<Handle>>,
    configs: Vec<Config>,
    _dir: tempfile::TempDir,
}

fn free_port(host: &str) -> u16 {
    oxherd_server::test_port(host).unwrap()
}

fn host(index: usize) -> String {
    format!("127.0.0.{}", index + 1)
}

fn config(dir: &Path, index: usize, servers: &str, master_port: u16) -> Config {
    let data = dir.join(index.to_string());
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("myid"), format!("{}\n", index + 1)).unwrap();
    let peer_type = if index == OBSERVER { "observer" } else { "participant" };
    let text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=10\nclientPort={}\nclientPortAddress={}\npeerType={peer_type}\n\
         observerMasterPort={master_port}\nsnapCount=1000\ndataDir={}\n{servers}",
        free_port(&host(index)),
        host(index),
        data.display(),
    );
    let path = data.join("zoo.cfg");
    std::fs::write(&path, text).unwrap();
    Config::from_file(&path).unwrap()
}

impl Ensemble {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With other settings for the observer.
    fn start_with(change: impl Fn(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master_port = free_port(&host(0));
        let line = |index: usize| {
            let (id, host, observer) = (index + 1, host(index), index == OBSERVER);
            let kind = if observer { "observer" } else { "participant" };
            format!("server.{id}={host}:{}:{}:{kind}\n", free_port(&host), free_port(&host))
        };
        let servers: String = (0..=OBSERVER).map(line).collect();
        let mut configs: Vec<_> =
            (0..=OBSERVER).map(|index| config(dir.path(), index, &servers, master_port)).collect();
        change(&mut configs[OBSERVER]);
        let mut ensemble = Self { members: Vec::new(), configs, _dir: dir };
        ensemble.members.resize_with(OBSERVER + 1, || None);
        (0..=OBSERVER).for_each(|index| ensemble.launch(index));
        (0..=OBSERVER).for_each(|index| ensemble.await_service(index));
        ensemble
    }

    fn launch(&mut self, index: usize) {
        let config = self.configs[index].clone();
        self.members[index] = Some(Server::builder(config).worker_threads(1).start().unwrap());
    }

    fn await_service(&self, index: usize) {
        let serves =
            |role| matches!(role, Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. });
        assert!(self.member(index).wait_for_role(serves, PATIENCE), "member {index} serves");
    }

    fn member(&self, index: usize) -> &Handle {
        self.members[index].as_ref().unwrap()
    }

    /// Whom the observer learns from, once that is another one than `former`.
    fn master(&self, former: Option<usize>) -> usize {
        let other = |role| match role {
            Role::Observing { leader: ServerId(id), .. } => Some(usize::try_from(id).unwrap() - 1) != former,
            _ => false,
        };
        assert!(self.member(OBSERVER).wait_for_role(other, PATIENCE), "the observer learns from another");
        match self.member(OBSERVER).role() {
            Some(Role::Observing { leader, .. }) => usize::try_from(leader.0).unwrap() - 1,
            other => panic!("the observer observes: {other:?}"),
        }
    }

    fn is_leader(&self, index: usize) -> bool {
        matches!(self.member(index).role(), Some(Role::Leading { .. }))
    }

    fn client(&self, index: usize) -> Client {
        let options = ClientOptions { timeout_ms: 10_000, ..ClientOptions::default() };
        let address = self.member(index).client_addr().unwrap().to_string();
        Client::connect(&address, &options).unwrap().0
    }

    fn assert_converged(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let states: Vec<_> = self.members.iter().flatten().map(Handle::state).collect();
            if states.iter().all(|state| *state == states[0]) {
                return;
            }
            assert!(Instant::now() < end, "members differ: {states:?}");
            std::thread::yield_now();
        }
    }
}

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("the story ends in time") })
}

async fn fill(client: &Client, prefix: &str, count: usize) {
    let paths: Vec<String> = (0..count).map(|number| format!("/{prefix}-{number}")).collect();
    for path in &paths {
        client.create(path, Some("x".into()), open_acl(), CreateMode::Persistent).await.unwrap();
    }
}

#[test]
fn clients_of_an_observer_behind_a_follower_write_sync_and_keep_their_sessions() {
    let mut ensemble = Ensemble::start();
    run(async {
        let master = ensemble.master(None);
        assert!(!ensemble.is_leader(master), "a follower serves the observer");
        let client = ensemble.client(OBSERVER);
        client.create("/mine", None, open_acl(), CreateMode::Ephemeral).await.unwrap();
        fill(&client, "first", 20).await;
        client.sync("/").await.unwrap();
        let session = client.session_id();

        ensemble.members[master] = None;
        let next = ensemble.master(Some(master));
        assert!(!ensemble.is_leader(next), "the other follower serves the observer");
        while client.create("/again", None, open_acl(), CreateMode::Persistent).await.is_err() {
            client.connected().await;
        }
        assert_eq!(client.session_id(), session, "the leader says through the follower that it lives");
        assert!(client.exists("/mine", false).await.unwrap().is_some());
        client.close().await.unwrap();
        let witness = ensemble.client(next);
        witness.sync("/").await.unwrap();
        assert!(witness.exists("/mine", false).await.unwrap().is_none());
        ensemble.launch(master);
        ensemble.await_service(master);
        ensemble.assert_converged();
    });
}

#[test]
fn an_observer_that_was_away_gets_what_it_missed_from_a_follower() {
    let mut ensemble = Ensemble::start();
    run(async {
        for (round, count) in [3, 700].into_iter().enumerate() {
            ensemble.members[OBSERVER] = None;
            let client = ensemble.client(0);
            fill(&client, &format!("missed-{round}"), count).await;
            client.close().await.unwrap();
            ensemble.launch(OBSERVER);
            ensemble.await_service(OBSERVER);
            let master = ensemble.master(None);
            assert!(!ensemble.is_leader(master), "a follower serves the observer");
            ensemble.assert_converged();
        }
    });
}

#[test]
fn an_observer_without_a_log_serves_all_and_writes_no_txn() {
    let mut ensemble = Ensemble::start_with(|config| config.quorum.sync_enabled = false);
    run(async {
        for round in 0..2 {
            let client = ensemble.client(OBSERVER);
            fill(&client, &format!("round-{round}"), 20).await;
            client.close().await.unwrap();
            ensemble.assert_converged();
            ensemble.members[OBSERVER] = None;
            let dir = ensemble.configs[OBSERVER].storage.data_dir.join("version-2");
            let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
            let logs: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("log.")).collect();
            assert!(logs.is_empty(), "{logs:?}");
            ensemble.launch(OBSERVER);
            ensemble.await_service(OBSERVER);
        }
        ensemble.assert_converged();
    });
}
