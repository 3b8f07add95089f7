//! Every word against answers captured from a standalone ZooKeeper 3.9.5 with one session, an ephemeral node, two
//! data watches and one child watch. The version text is masked; everything else is compared byte by byte.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use oxherd_admin::{
    Bucket, ConnectionStatus, Environment, FULL_VERSION, Gauges, LeaderGauges, QuotaGauge, ServerState,
    SessionStatus, SessionsStatus, ShownConfig, ShownEnsemble, Statistics, StatusSource, WatchSummary,
    Whitelist, Word, Zone, environment, respond,
};
use oxherd_proto::{SessionId, Zxid};

const SESSION: SessionId = SessionId(0x0100_001a_28f2_0000 >> 4);

struct Server {
    running: bool,
    state: ServerState,
    statistics: Statistics,
    mask: Cell<i64>,
    config: ShownConfig,
    sessions: SessionsStatus,
    gauges: Gauges,
}

fn server() -> Server {
    let statistics = Statistics::default();
    for latency in [14, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0] {
        statistics.latency.add(latency);
    }
    statistics.packets_received.add(37);
    statistics.packets_sent.add(36);
    let bucket = Bucket { expires_ms: 1_795_394_705_000, members: vec![SESSION] };
    let config = ShownConfig {
        client_port: 21525,
        secure_client_port: -1,
        data_dir: "/d/version-2".to_owned(),
        log_dir: "/d/version-2".to_owned(),
        tick_time_ms: 2000,
        connections_per_address_max: 0,
        session_timeout_ms_min: 4000,
        session_timeout_ms_max: 40000,
        backlog: -1,
        server_id: 0,
        ensemble: None,
    };
    Server {
        running: true,
        state: ServerState::Standalone,
        statistics,
        mask: Cell::new(306),
        config,
        sessions: SessionsStatus::Tracked(vec![bucket]),
        gauges: Gauges { znodes: 8, ..Gauges::default() },
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl StatusSource for Server {
    fn is_running(&self) -> bool {
        self.running
    }

    fn state(&self) -> ServerState {
        self.state
    }

    fn peer_state(&self) -> Option<String> {
        (self.state == ServerState::Leader).then(|| "leading - broadcast".to_owned())
    }

    fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    fn outstanding(&self) -> i64 {
        0
    }

    fn alive_connections(&self) -> i64 {
        2
    }

    fn last_zxid(&self) -> Zxid {
        Zxid(5)
    }

    fn config(&self) -> ShownConfig {
        self.config.clone()
    }

    fn directory_sizes(&self) -> (u64, u64) {
        (67_109_358, 67_109_358)
    }

    fn connections(&self) -> Vec<ConnectionStatus> {
        let session = SessionStatus {
            id: SESSION,
            last_operation: "GETC",
            established_ms: 1_795_394_694_933,
            timeout_ms: 10_000,
            last_xid: 10,
            last_zxid: Zxid(5),
            last_response_ms: 1_755_471,
            last_latency_ms: 1,
            latency_ms_min: 0,
            latency_ms_mean: 2,
            latency_ms_max: 14,
        };
        let client = ConnectionStatus {
            remote: local(57762),
            interest: 1,
            outstanding: 0,
            received: 11,
            sent: 11,
            session: Some(session),
        };
        let asking = ConnectionStatus {
            remote: local(57802),
            interest: 0,
            outstanding: 0,
            received: 1,
            sent: 0,
            session: None,
        };
        vec![client, asking]
    }

    fn reset_connections(&self) {}

    fn sessions(&self) -> SessionsStatus {
        self.sessions.clone()
    }

    fn ephemerals(&self) -> Vec<(SessionId, Vec<String>)> {
        vec![(SESSION, vec!["/eph".to_owned()])]
    }

    fn connection_buckets(&self) -> Vec<Bucket<(SocketAddr, SessionId)>> {
        let members = vec![(local(57762), SESSION), (local(57816), SessionId(0))];
        vec![Bucket { expires_ms: 1_795_394_709_000, members }]
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&Environment {
            host: "localhost".to_owned(),
            memory_free_mb: 7,
            ..Environment::default()
        })
    }

    fn watch_summary(&self) -> WatchSummary {
        WatchSummary { connections: 1, paths: 2, watches: 2 }
    }

    fn watches_by_path(&self) -> Vec<(String, Vec<SessionId>)> {
        vec![("/p".to_owned(), vec![SESSION]), ("/nope".to_owned(), vec![SESSION])]
    }

    fn watches_by_session(&self) -> Vec<(SessionId, Vec<String>)> {
        vec![(SESSION, vec!["/p".to_owned(), "/nope".to_owned()])]
    }

    fn digests(&self) -> Vec<(Zxid, u64)> {
        vec![(Zxid(0x80), 1_371_985_504), (Zxid(0x100), u64::MAX)]
    }

    fn zone(&self) -> Zone {
        Zone::utc()
    }

    fn trace_mask(&self) -> i64 {
        self.mask.get()
    }

    fn set_trace_mask(&self, mask: i64) {
        self.mask.set(mask);
    }
}

fn ask(server: &Server, word: Word) -> String {
    respond(word, 5, &Whitelist::parse("*", false), server).replace(FULL_VERSION, "VERSION")
}

/// The answers of the original; only the session id is another.
const STANDALONE: &[(Word, &str)] = &[
    (Word::Ruok, "imok"),
    (Word::Isro, "rw"),
    (
        Word::Conf,
        "clientPort=21525\nsecureClientPort=-1\ndataDir=/d/version-2\ndataDirSize=67109358\ndataLogDir=/d/version-2\n\
         dataLogSize=67109358\ntickTime=2000\nmaxClientCnxns=0\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n\
         clientPortListenBacklog=-1\nserverId=0\n",
    ),
    (
        Word::Cons,
        " /127.0.0.1:57762[1](queued=0,recved=11,sent=11,sid=0x100001a28f2000,lop=GETC,est=1795394694933,to=10000,\
         lcxid=0xa,lzxid=0x5,lresp=1755471,llat=1,minlat=0,avglat=2,maxlat=14)\n \
         /127.0.0.1:57802[0](queued=0,recved=1,sent=0)\n\n",
    ),
    (Word::Crst, "Connection stats reset.\n"),
    (Word::Dirs, "datadir_size: 67109358\nlogdir_size: 67109358\n"),
    (
        Word::Dump,
        "SessionTracker dump:\nSession Sets (1)/(1):\n1 expire at Mon Nov 23 00:45:05 UTC 2026:\n\t0x100001a28f2000\n\
         ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x100001a28f2000:\n\t/eph\n\
         Connections dump:\nConnections Sets (1)/(2):\n2 expire at Mon Nov 23 00:45:09 UTC 2026:\n\
         \tip: /127.0.0.1:57762 sessionId: 0x100001a28f2000\n\tip: /127.0.0.1:57816 sessionId: 0x0\n",
    ),
    (Word::Gtmk, "306"),
    (Word::Stmk, "5"),
    (Word::Hash, "80: 1371985504\n100: 18446744073709551615\n"),
    (
        Word::Srvr,
        "Zookeeper version: VERSION\nLatency min/avg/max: 0/2.4545/14\nReceived: 37\nSent: 36\nConnections: 2\n\
         Outstanding: 0\nZxid: 0x5\nMode: standalone\nNode count: 8\n",
    ),
    (
        Word::Stat,
        "Zookeeper version: VERSION\nClients:\n /127.0.0.1:57762[1](queued=0,recved=11,sent=11)\n \
         /127.0.0.1:57802[0](queued=0,recved=1,sent=0)\n\nLatency min/avg/max: 0/2.4545/14\nReceived: 37\nSent: 36\n\
         Connections: 2\nOutstanding: 0\nZxid: 0x5\nMode: standalone\nNode count: 8\n",
    ),
    (Word::Wchs, "1 connections watching 2 paths\nTotal watches:2\n"),
    (Word::Wchc, "0x100001a28f2000\n\t/p\n\t/nope\n\n"),
    (Word::Wchp, "/p\n\t0x100001a28f2000\n/nope\n\t0x100001a28f2000\n\n"),
    (Word::TelnetClose, ""),
    (Word::Srst, "Server stats reset.\n"),
];

#[test]
fn a_standalone_server_answers_as_the_original() {
    let server = server();
    for (word, want) in STANDALONE {
        assert_eq!(ask(&server, *word), *want, "{}", word.name());
    }
    assert_eq!(server.statistics.packets_received.value(), 0, "srst came last");
    assert_eq!(server.mask.get(), 5, "stmk set the mask");
}

#[test]
fn the_environment_has_the_names_of_the_original_in_its_order() {
    let answer = ask(&server(), Word::Envi);
    let names: Vec<&str> = answer.lines().map(|line| line.split('=').next().unwrap()).collect();
    let want = "Environment: zookeeper.version host.name java.version java.vendor java.home java.class.path java.library.path \
                java.io.tmpdir java.compiler os.name os.arch os.version user.name user.home user.dir os.memory.free \
                os.memory.max os.memory.total";
    assert_eq!(names.join(" "), want);
    assert!(answer.contains("\nos.memory.free=7MB\n"));
}

#[test]
fn every_metric_of_the_original_is_shown_once() {
    let answer = ask(&server(), Word::Mntr);
    let shown: Vec<&str> = answer.lines().map(|line| line.split('\t').next().unwrap()).collect();
    let names: BTreeSet<&str> = shown.iter().copied().collect();
    assert_eq!(names.len(), shown.len(), "a name twice");
    // Sets show a value only after their first key; the capture holds the keys that its history made.
    let of_sets = |name: &&str| name.ends_with("_per_namespace");
    let original: BTreeSet<&str> =
        include_str!("mntr-3.9.5.txt").lines().filter(|name| !of_sets(name)).collect();
    let missing: Vec<_> = original.difference(&names).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let own: Vec<_> = names.difference(&original).collect();
    assert!(own.is_empty(), "{own:?}");
    assert!(answer.starts_with("zk_version\tVERSION\nzk_server_state\tstandalone\n"));
    assert!(
        answer.contains("\nzk_avg_latency\t2.4545\n")
            && answer.contains("\nzk_connection_drop_probability\t0.0\n")
    );
}

#[test]
fn words_outside_the_whitelist_are_refused_by_name() {
    let answer = |word| respond(word, 0, &Whitelist::parse("", false), &server());
    assert_eq!(answer(Word::Ruok), "ruok is not executed because it is not in the whitelist.\n");
    assert_eq!(
        answer(Word::TelnetClose),
        "telnet close is not executed because it is not in the whitelist.\n"
    );
    assert!(answer(Word::Srvr).starts_with("Zookeeper version: 3.9.5-oxherd-"));
}

#[test]
fn a_server_that_does_not_serve_says_so_in_most_words() {
    let server = Server { running: false, ..server() };
    let not_serving = "This ZooKeeper instance is not currently serving requests";
    for &word in Word::ALL {
        let want = match word {
            Word::Ruok => "imok".to_owned(),
            Word::Isro => "null".to_owned(),
            Word::Gtmk => "306".to_owned(),
            Word::Stmk | Word::Envi => continue,
            Word::Hash => not_serving.to_owned(),
            _ => format!("{not_serving}\n"),
        };
        assert_eq!(ask(&server, word), want, "{}", word.name());
    }
}

#[test]
fn a_leader_shows_its_ensemble() {
    let mut server = Server { state: ServerState::Leader, ..server() };
    server.statistics.proposal_sizes.add(48);
    let membership = Some("server.1=a:2:3:participant\nversion=0".to_owned());
    let ensemble = ShownEnsemble {
        init_limit: 10,
        sync_limit: 5,
        election_algorithm: 3,
        election_ports: vec![3, 4],
        quorum_ports: vec![2],
        votes: true,
        membership,
    };
    server.config.ensemble = Some(ensemble);
    server.gauges.quorum_size = Some(3);
    server.gauges.leader = Some(LeaderGauges { synced_followers: 2, ..LeaderGauges::default() });
    server.gauges.quotas =
        vec![QuotaGauge { namespace: "app".to_owned(), count_limit: Some(9), ..QuotaGauge::default() }];
    let tail = "initLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3|4\nquorumPort=2\npeerType=0\n\
                membership: \nserver.1=a:2:3:participant\nversion=0";
    assert!(ask(&server, Word::Conf).ends_with(tail));
    assert!(
        ask(&server, Word::Srvr)
            .ends_with("Mode: leader\nNode count: 8\nProposal sizes last/min/max: 48/48/48\n")
    );
    let monitor = ask(&server, Word::Mntr);
    for line in [
        "zk_peer_state\tleading - broadcast",
        "zk_quorum_size\t3",
        "zk_synced_followers\t2",
        "zk_app_quota_count_limit_per_namespace\t9",
    ] {
        assert!(monitor.lines().any(|shown| shown == line), "{line}");
    }
}

#[test]
fn a_learner_and_a_read_only_server_have_their_own_lines() {
    let sessions = SessionsStatus::Learned { local: Some(Vec::new()), global: vec![(SESSION, 10_000)] };
    let server = Server { state: ServerState::ReadOnly, sessions, ..server() };
    let head =
        "SessionTracker dump:\nLocal Session Sets (0)/(0):\nGlobal Sessions(1):\n0x100001a28f2000\t10000ms\n";
    assert!(ask(&server, Word::Dump).starts_with(head));
    assert_eq!(ask(&server, Word::Isro), "ro");
    assert!(ask(&server, Word::Srvr).contains("\nREAD-ONLY mode; serving only read-only clients\nLatency"));
}
