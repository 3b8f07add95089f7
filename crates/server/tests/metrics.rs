//! What mntr tells moves with what a server does.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::{
    CheckVersionRequest, CreateMode, CreateRequest, DeleteRequest, ErrorCode, GetChildrenRequest,
    GetDataRequest, MultiOp, OpCode, SetDataRequest,
};
use oxherd_server::{Config, Handle, Server, TestEnsemble};

const PATIENCE: Duration = Duration::from_secs(30);

fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, story).await.expect("the story ends in time") })
}

/// What comes back for these bytes, to the end.
fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn number(mntr: &str, name: &str) -> Option<f64> {
    mntr.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t")))?.parse().ok()
}

fn still(mntr: &str, names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().filter(|name| number(mntr, name).is_none_or(|value| value <= 0.0)).collect()
}

fn alone(data: &tempfile::TempDir, change: impl Fn(&mut Config)) -> Handle {
    let mut config = Config::default();
    config.client_port.port = Some(0);
    config.client_port.address = Some("127.0.0.1".to_owned());
    config.client_port.words = "*".to_owned();
    config.storage.data_dir = data.path().to_owned();
    change(&mut config);
    Server::builder(config).worker_threads(2).start().unwrap()
}

fn client(address: SocketAddr) -> Client {
    Client::connect(&address.to_string(), &ClientOptions::default()).unwrap().0
}

/// Makes, changes and removes nodes, each with a watch that it fires.
async fn load(address: SocketAddr) {
    let client = client(address);
    client.exists("/a", true).await.unwrap();
    client.create("/a", Some(Bytes::from_static(b"1")), open_acl(), CreateMode::Persistent).await.unwrap();
    client.get_data("/a", true).await.unwrap();
    client.set_data("/a", Some(Bytes::from_static(b"2")), -1).await.unwrap();
    client.get_children("/a", true).await.unwrap();
    client.create("/a/b", None, open_acl(), CreateMode::Persistent).await.unwrap();
    client.exists("/a/b", true).await.unwrap();
    client.delete("/a/b", -1).await.unwrap();
    client.close().await.unwrap();
}

#[test]
fn a_load_moves_what_a_server_alone_measures() {
    let data = tempfile::TempDir::new().unwrap();
    let server = alone(&data, |_| {});
    let address = server.client_addr().unwrap();
    run(load(address));
    let mntr = ask(address, b"mntr");
    let moved = [
        "bytes_received_count",
        "response_bytes",
        "watch_bytes",
        "cnt_node_created_watch_count",
        "cnt_node_changed_watch_count",
        "cnt_node_children_watch_count",
        "cnt_node_deleted_watch_count",
        "cnt_propagation_latency",
        "outstanding_changes_queued",
        "outstanding_changes_removed",
        "connection_request_count",
        "sync_processor_request_queued",
        "cnt_sync_processor_queue_size",
        "cnt_sync_processor_queue_flush_time_ms",
        "last_client_response_size",
        "max_client_response_size",
        "min_client_response_size",
    ];
    assert_eq!(still(&mntr, &moved), [""; 0]);
    assert_eq!(number(&mntr, "max_node_changed_watch_count"), Some(1.0));
    assert_eq!(number(&mntr, "snap_count"), Some(0.0), "this counts snapshots for learners");
}

#[test]
fn a_word_counts_as_a_packet() {
    let data = tempfile::TempDir::new().unwrap();
    let server = alone(&data, |_| {});
    let address = server.client_addr().unwrap();
    ask(address, b"ruok");
    let mntr = ask(address, b"mntr");
    assert_eq!(number(&mntr, "packets_received"), Some(2.0));
    assert_eq!(number(&mntr, "packets_sent"), Some(1.0));
    assert_eq!(number(&mntr, "bytes_received_count"), Some(8.0));
}

#[test]
fn a_word_without_its_end_does_not_hold_a_connection() {
    let data = tempfile::TempDir::new().unwrap();
    let server = alone(&data, |config| config.client_port.sessionless_timeout_ms = 200);
    let address = server.client_addr().unwrap();
    // The socket stays open on this side; the server closes it.
    assert_eq!(ask(address, b"stmk\0\0"), "");
    let data = tempfile::TempDir::new().unwrap();
    let closed = alone(&data, |config| config.client_port.words = "ruok".to_owned());
    let answer = ask(closed.client_addr().unwrap(), b"stmk");
    assert_eq!(answer, "stmk is not executed because it is not in the whitelist.\n");
}

#[test]
fn sizes_of_directories_are_of_everything_in_them() {
    let data = tempfile::TempDir::new().unwrap();
    let server = alone(&data, |_| {});
    let address = server.client_addr().unwrap();
    let size = || {
        let answer = ask(address, b"dirs");
        let line = answer.lines().find_map(|line| line.strip_prefix("datadir_size: ")).unwrap();
        line.parse::<u64>().unwrap()
    };
    let before = size();
    let below = data.path().join("version-2").join("below");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("other"), [0; 1000]).unwrap();
    assert_eq!(size() - before, 1000);
}

#[test]
fn a_load_moves_what_the_members_of_an_ensemble_measure() {
    let ensemble =
        TestEnsemble::start_with(3, |_, config| config.client_port.words = "*".to_owned()).unwrap();
    let leader = ensemble.leader().unwrap();
    let addresses = ensemble.client_addrs();
    run(load(addresses[leader]));
    let mntr = ask(addresses[leader], b"mntr");
    let of_leader = [
        "proposal_count",
        "commit_count",
        "cnt_quorum_ack_latency",
        "cnt_proposal_ack_creation_latency",
        "looking_count",
        "cnt_election_time",
        "cnt_unavailable_time",
        "cnt_leader_unavailable_time",
        "diff_count",
        "last_proposal_size",
        "min_proposal_size",
        "max_proposal_size",
    ];
    assert_eq!(still(&mntr, &of_leader), [""; 0]);
    assert_eq!(number(&mntr, "synced_non_voting_followers"), Some(0.0));
    let follower = addresses[(leader + 1) % 3];
    let of_follower = [
        "learner_proposal_received_count",
        "learner_commit_received_count",
        "cnt_proposal_latency",
        "cnt_commit_propagation_latency",
        "cnt_proposal_ack_creation_latency",
        "cnt_election_time",
        "cnt_follower_sync_time",
        "cnt_unavailable_time",
    ];
    let end = Instant::now() + PATIENCE;
    loop {
        let missing = still(&ask(follower, b"mntr"), &of_follower);
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "{missing:?}");
    }
}

#[test]
fn a_start_tells_what_it_read() {
    let data = tempfile::TempDir::new().unwrap();
    let first = alone(&data, |_| {});
    run(load(first.client_addr().unwrap()));
    drop(first);
    let again = alone(&data, |_| {});
    let mntr = ask(again.client_addr().unwrap(), b"mntr");
    assert!(number(&mntr, "max_startup_txns_loaded").unwrap() >= 6.0, "{mntr}");
    for name in ["cnt_startup_snap_load_time", "cnt_startup_txns_load_time", "cnt_dbinittime"] {
        assert_eq!(number(&mntr, name), Some(1.0), "{name}");
    }
}

#[test]
fn quotas_are_shown_by_the_first_component_of_their_paths() {
    let data = tempfile::TempDir::new().unwrap();
    let server = alone(&data, |config| config.limits.enforce_quota = true);
    let address = server.client_addr().unwrap();
    let make = async |client: &Client, path: &str, data: &'static str| {
        client
            .create(path, Some(Bytes::from_static(data.as_bytes())), open_acl(), CreateMode::Persistent)
            .await
    };
    run(async {
        let client = client(address);
        make(&client, "/app", "").await.unwrap();
        make(&client, "/zookeeper/quota/app", "").await.unwrap();
        make(&client, "/zookeeper/quota/app/zookeeper_limits", "count=-1,bytes=100=;countHardLimit=2")
            .await
            .unwrap();
        make(&client, "/zookeeper/quota/app/zookeeper_stats", "count=0,bytes=0").await.unwrap();
        make(&client, "/app/a", "four").await.unwrap();
        let refused = make(&client, "/app/b", "").await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::QuotaExceeded));
        client.close().await.unwrap();
    });
    let mntr = ask(address, b"mntr");
    let of_app = |name: &str| number(&mntr, &format!("app_{name}_per_namespace"));
    assert_eq!((of_app("quota_count_limit"), of_app("quota_bytes_limit")), (Some(2.0), Some(100.0)));
    assert_eq!((of_app("quota_count_usage"), of_app("quota_bytes_usage")), (Some(2.0), Some(4.0)));
    assert_eq!(of_app("quota_exceeded_error"), Some(1.0));
}

/// Name, count, least, greatest and sum, as ZooKeeper 3.9.5's mntr shows them after the same requests.
const NAMESPACES: [(&str, [i64; 4]); 9] = [
    ("app_read", [7, 74, 79, 539]),
    ("two_read", [1, 75, 75, 75]),
    ("zookeeper_read", [1, 85, 85, 85]),
    ("app_write", [9, 6, 11, 77]),
    ("con_write", [1, 6, 6, 6]),
    ("seq-0000000004_write", [1, 16, 16, 16]),
    ("ttl_write", [1, 5, 5, 5]),
    ("two_write", [2, 4, 7, 11]),
    ("zookeeper_write", [3, 20, 57, 128]),
];

fn text(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

/// Every read and write there is, of which some fail and some do not count.
async fn read_and_write(client: &Client) {
    let make = async |path: &str, data, mode| client.create(path, data, open_acl(), mode).await.unwrap();
    make("/app", text("1234"), CreateMode::Persistent).await;
    make("/app/b", None, CreateMode::Persistent).await;
    make("/app/zo\u{eb}", text("12"), CreateMode::Persistent).await;
    make("/app/eph", text("1"), CreateMode::Ephemeral).await;
    client.set_data("/app", text("1234567"), -1).await.unwrap();
    client.set_data("/app", text("no"), 77).await.unwrap_err();
    for path in ["/app", "/app/b", "/app/zo\u{eb}"] {
        client.get_data(path, false).await.unwrap();
    }
    for path in ["/app/b", "/app/none", "/"] {
        client.exists(path, true).await.unwrap();
    }
    client.get_data("/app/none", false).await.unwrap_err();
    client.get_children("/app", false).await.unwrap();
    client.get_children2("/app", false).await.unwrap();
    client.get_children("/", false).await.unwrap();
    client.get_acl("/app").await.unwrap();
    client.get_all_children_number("/app").await.unwrap();
    several(client).await;
    make("/zookeeper/quota/app", None, CreateMode::Persistent).await;
    make("/zookeeper/quota/app/zookeeper_limits", text("count=100,bytes=1000"), CreateMode::Persistent).await;
    make("/zookeeper/quota/app/zookeeper_stats", text("count=0,bytes=0"), CreateMode::Persistent).await;
    client.set_data("/app/b", text("xyz"), 1).await.unwrap();
    client.create_ttl("/ttl", text("t"), open_acl(), CreateMode::PersistentTtl, 1_000_000).await.unwrap();
    make("/con", text("cc"), CreateMode::Container).await;
    make("/seq-", text("s"), CreateMode::PersistentSequential).await;
    client.delete("/two", 0).await.unwrap();
    client.get_data("/zookeeper/config", false).await.unwrap();
}

/// A multi, one that fails, and a multiRead with one that fails.
async fn several(client: &Client) {
    let create = |path: &str| {
        let request = CreateRequest { path: path.into(), data: text("abc"), acl: open_acl(), flags: 0 };
        MultiOp::Create(OpCode::Create, request)
    };
    let delete = |path: &str| MultiOp::Delete(DeleteRequest { path: path.into(), version: 0 });
    let check = MultiOp::Check(CheckVersionRequest { path: "/app".into(), version: 1 });
    let set = MultiOp::SetData(SetDataRequest { path: "/app/b".into(), data: text("xy"), version: 0 });
    client.multi(&[create("/two"), check, set, delete("/app/zo\u{eb}")]).await.unwrap();
    client.multi(&[create("/three"), delete("/app/none")]).await.ok();
    let data = |path: &str| MultiOp::GetData(GetDataRequest { path: path.into(), watch: false });
    let children = MultiOp::GetChildren(GetChildrenRequest { path: "/app".into(), watch: false });
    client.multi_read(&[data("/two"), children, data("/gone")]).await.unwrap();
}

fn namespaces(mntr: &str) -> Vec<(&str, [i64; 4])> {
    let of = |label: &str, name: &str| {
        let line = format!("zk_{label}_{name}_per_namespace\t");
        mntr.lines().find_map(|shown| shown.strip_prefix(&line)).unwrap().parse().unwrap()
    };
    let names = mntr.lines().filter_map(|line| line.strip_prefix("zk_cnt_")?.split_once("_per_namespace"));
    names.map(|(name, _)| (name, ["cnt", "min", "max", "sum"].map(|label| of(label, name)))).collect()
}

#[test]
fn reads_and_writes_are_shown_by_the_first_component_of_their_paths() {
    let data = tempfile::TempDir::new().unwrap();
    let open = || alone(&data, |config| config.limits.extended_types = true);
    let server = open();
    let address = server.client_addr().unwrap();
    run(async {
        let client = client(address);
        read_and_write(&client).await;
        client.close().await.unwrap();
    });
    let mntr = ask(address, b"mntr");
    assert_eq!(namespaces(&mntr), NAMESPACES);
    assert_eq!(number(&mntr, "avg_app_write_per_namespace"), Some(8.5556));
    drop(server);
    let again = open();
    let mntr = ask(again.client_addr().unwrap(), b"mntr");
    assert_eq!(namespaces(&mntr), NAMESPACES[3..], "what the log says was written counts anew");
}

#[test]
fn the_connection_that_asks_is_counted_too() {
    let data = tempfile::tempdir().unwrap();
    let server = alone(&data, |_| {});
    let address = server.client_addr().unwrap();
    let counted = |word: &str| {
        let answer = ask(address, word.as_bytes());
        let line = answer.lines().find_map(|line| line.strip_prefix("Connections: ").map(str::to_owned));
        line.or_else(|| number(&answer, "num_alive_connections").map(|count| count.to_string())).unwrap()
    };
    run(async {
        let client = client(address);
        client.exists("/", false).await.unwrap();
        // A word's link may outlive its answer for a moment.
        let end = Instant::now() + PATIENCE;
        while ["srvr", "stat", "mntr"].map(&counted) != ["2", "2", "2"] {
            assert!(Instant::now() < end, "itself and one client");
        }
    });
}

#[test]
fn a_follower_that_serves_no_observers_tells_of_none() {
    let ensemble =
        TestEnsemble::start_with(3, |_, config| config.client_port.words = "*".to_owned()).unwrap();
    let leader = ensemble.leader().unwrap();
    for (index, address) in ensemble.client_addrs().iter().enumerate() {
        let told = number(&ask(*address, b"mntr"), "synced_observers");
        assert_eq!(told, (index == leader).then_some(0.0), "server {index}");
    }
}
