//! What a `zoo.cfg` says, and what the core and the links then know of it.

use std::time::Duration;

use oxherd_config::table::{self, Key, Status};
use oxherd_config::{ConfigError, DIGEST_ALGORITHMS, Parsed, SCHEMES, Sources, variable_of};
use oxherd_zab::PeerConfig;

use super::*;
use crate::peers::PeerSettings;
use crate::snapshot_thread::Format;
use crate::{data, member};

const SEED: u64 = 7;

/// A member of an ensemble, so that every part of the core has something to be told.
const MEMBERS: &str =
    "clientPort=2181\ninitLimit=10\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";

/// Everything that the core and the links are told.
#[derive(Debug)]
struct Core {
    client: ClientOptions,
    replica: ReplicaOptions,
    tree: TreeOptions,
    batch: BatchOptions,
    drain: Duration,
    port: PortLimits,
    peer: PeerConfig,
    links: PeerSettings,
    log: oxherd_storage::LogOptions,
    snapshots: Format,
    slow_sync_ms: i64,
    log_share: f64,
    leader_serves: bool,
}

impl Core {
    fn of(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            client: client_options(config)?,
            replica: replica_options(config, SEED)?,
            tree: tree_options(config, SEED),
            batch: batch_options(config),
            drain: held_drain_max(config),
            port: port_limits(config),
            peer: member::peer_config(config, SEED)?,
            links: member::peer_settings(config, SEED)?,
            log: data::log_options(config),
            snapshots: Format::new(config),
            slow_sync_ms: slow_sync_ms(config),
            log_share: log_share(config),
            leader_serves: leader_serves(config),
        })
    }
}

/// A directory with a `myid`, in which files are read.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("myid"), "1\n").unwrap();
        Self(dir)
    }

    /// Reads the members with more lines; words that begin with `-D` are given as flags.
    fn parse(&self, more: &str, environment: Vec<(String, String)>) -> Result<Parsed, ConfigError> {
        let file = self.0.path().join("zoo.cfg");
        let (flags, lines): (Vec<&str>, Vec<&str>) = more.lines().partition(|line| line.starts_with("-D"));
        let text = format!("dataDir={}\n{MEMBERS}{}\n", self.0.path().display(), lines.join("\n"));
        std::fs::write(&file, text).unwrap();
        let mut environment = environment;
        environment.push(("JVMFLAGS".to_owned(), flags.join(" ")));
        Parsed::load(&Sources { file: Some(file), environment, ..Sources::default() })
    }

    fn core(&self, more: &str) -> Core {
        let read = self.parse(more, Vec::new()).and_then(Parsed::into_config);
        let (config, _) = read.unwrap_or_else(|error| panic!("{more}: {error}"));
        Core::of(&config).unwrap_or_else(|error| panic!("{more}: {error}"))
    }
}

/// Lines of a `zoo.cfg`, what of the core they concern, and what it then is.
type Case = (&'static str, fn(&Core) -> String, &'static str);

const CLIENTS: &[Case] = &[
    (
        "largeRequestThreshold=5\nlargeRequestMaxBytes=9",
        |core| format!("{:?}", core.client.limits.large.map(|large| (large.threshold, large.bytes_max))),
        "Some((5, 9))",
    ),
    ("DigestAuthenticationProvider.enabled=false", |core| format!("{}", core.client.auth.digest), "false"),
    (
        "DigestAuthenticationProvider.digestAlg=SHA-512",
        |core| {
            format!(
                "{:?} {:?}",
                core.client.auth.digest_algorithm, core.replica.prepare.auth.digest_algorithm
            )
        },
        "Sha512 Sha512",
    ),
    (
        "sessionRequireClientSASLAuth=true\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
        |core| format!("{:?}", core.client.auth.enforced_schemes),
        "Some([Sasl])",
    ),
    (
        "enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip",
        |core| format!("{:?}", core.client.auth.enforced_schemes),
        "Some([Digest, Ip])",
    ),
    ("clientTcpKeepAlive=true", |core| format!("{}", core.port.keep_alive), "true"),
    ("request_throttler.shutdownTimeout=1234", |core| format!("{:?}", core.drain), "1.234s"),
    (
        "closeSessionTxn.enabled=false",
        |core| format!("{}", core.replica.prepare.close_session_paths),
        "false",
    ),
    (
        "connection_throttle_weight_enabled=true\nconnection_throttle_tokens=10\n\
         connection_throttle_global_session_weight=7",
        |core| format!("{} {}", core.client.limits.connects.tokens, core.client.limits.connects.new_cost),
        "70 7",
    ),
    (
        "connection_throttle_weight_enabled=true\nlocalSessionsEnabled=true\n\
         connection_throttle_local_session_weight=2",
        |core| format!("{}", core.client.limits.connects.new_cost),
        "2",
    ),
    (
        "connection_throttle_weight_enabled=true\nconnection_throttle_renew_session_weight=5",
        |core| format!("{}", core.client.limits.connects.resume_cost),
        "5",
    ),
];

const FILES: &[Case] = &[
    ("extendedTypesEnabled=true", |core| format!("{}", core.tree.extended_types), "true"),
    ("flushDelay=30", |core| format!("{:?} {:?}", core.batch.delay, core.batch.idle), "30ms 10ms"),
    ("preAllocSize=2", |core| format!("{}", core.log.preallocate_bytes), "2048"),
    ("snapSizeLimitInKb=3", |core| format!("{:?}", core.replica.snapshot.bytes), "Some(3072)"),
    ("snapSizeLimitInKb=0", |core| format!("{:?}", core.replica.snapshot.bytes), "None"),
    (
        "serializeLastProcessedZxid.enabled=false",
        |core| format!("{:?}", core.snapshots),
        "Format { compression: None, digest: true, last_zxid: false }",
    ),
    ("fsync.warningthresholdms=25", |core| format!("{}", core.slow_sync_ms), "25"),
    ("-Dfsync.warningthresholdms=26", |core| format!("{}", core.slow_sync_ms), "26"),
    (
        "-Dznode.container.checkIntervalMs=9",
        |core| format!("{}", core.replica.containers.check_interval_ms),
        "9",
    ),
    ("-Dznode.container.maxPerMinute=8", |core| format!("{}", core.replica.containers.per_minute_max), "8"),
    (
        "-Dznode.container.maxNeverUsedIntervalMs=70",
        |core| format!("{}", core.replica.containers.never_used_ms_max),
        "70",
    ),
];

const PEERS: &[Case] = &[
    ("commitLogCount=700", |core| format!("{}", core.peer.commit_log_count), "700"),
    (
        "group.1=1:2:3\nweight.1=4",
        |core| {
            format!("{} {}", core.peer.ensemble.weight(ServerId(1)), core.links.ensemble.weight(ServerId(1)))
        },
        "4 4",
    ),
    ("connectToLearnerMasterLimit=3", |core| format!("{:?}", core.peer.connect_limit), "Some(3)"),
    ("quorumListenOnAllIPs=true", |core| format!("{}", core.links.listen_everywhere), "true"),
    ("syncEnabled=false", |core| format!("{}", core.peer.observer_log), "false"),
    ("observer.syncEnabled=false", |core| format!("{}", core.peer.observer_log), "false"),
    ("leaderServes=no", |core| format!("{}", core.leader_serves), "false"),
    ("cnxTimeout=321", |core| format!("{:?}", core.links.connect_timeout), "321ms"),
    ("quorumCnxnTimeoutMs=45", |core| format!("{:?}", core.links.hello_timeout), "45ms"),
    ("tickTime=100\nsyncLimit=4", |core| format!("{:?}", core.links.hello_timeout), "400ms"),
    ("tcpKeepAlive=true", |core| format!("{}", core.links.keep_alive), "true"),
    ("fastleader.minNotificationInterval=11", |core| format!("{:?}", core.peer.notify_again_min), "11ms"),
    ("fastleader.maxNotificationInterval=12", |core| format!("{:?}", core.peer.notify_again_max), "12ms"),
    ("leader.maxTimeToWaitForEpoch=13", |core| format!("{:?}", core.peer.epoch_wait), "Some(13ms)"),
    ("leader.maxConcurrentDiffSyncs=14", |core| format!("{}", core.peer.diff_syncs_max), "14"),
    ("leader.maxConcurrentSnapSyncs=15", |core| format!("{}", core.peer.snap_syncs_max), "15"),
    ("leaderConnectDelayDuringRetryMs=16", |core| format!("{:?}", core.links.leader_pause), "16ms"),
    ("observer.election.DelayMs=17", |core| format!("{:?}", core.peer.observer_delay_max), "17ms"),
    ("observer.reconnectDelayMs=18", |core| format!("{:?}", core.peer.observer_dial_delay_max), "18ms"),
    ("snapshotSizeFactor=0.5", |core| format!("{} {}", core.log_share, core.peer.log_sync), "0.5 true"),
    ("forceSnapshotSync=true", |core| format!("{}", core.peer.force_snapshot), "true"),
    ("snapshotSizeFactor=-1", |core| format!("{}", core.peer.log_sync), "false"),
];

#[test]
fn a_line_of_the_file_reaches_the_core() {
    let place = Place::new();
    let without = place.core("");
    for (lines, part, want) in [CLIENTS, FILES, PEERS].concat() {
        assert_ne!(part(&without), want, "{lines}: without it, it is so already");
        assert_eq!(part(&place.core(lines)), want, "{lines}");
    }
}

/// Honoured keys that the core is not told of: the shell around it reads them, or they say how others are read.
const ELSEWHERE: &[&str] = &[
    "clientPort",
    "clientPortAddress",
    "clientPortListenBacklog",
    "serverCnxnFactory",
    "4lw.commands.whitelist",
    "dataLogDir",
    "snapshot.trust.empty",
    "datadir.autocreate",
    "db.autocreate",
    "autopurge.snapRetainCount",
    "autopurge.purgeInterval",
    "electionAlg",
    "peerType",
    "dynamicConfigFile",
    "electionPortBindRetry",
    "allowPlain",
];

/// Texts of which at least one differs from the default of any key.
const TEXTS: [&str; 10] = ["true", "false", "yes", "no", "1", "7", "0.9", "digest", "gz", "/x"];

/// Whether some value of the key changes what the core is told, or keeps the server from starting.
fn reaches_the_core(place: &Place, key: &Key, without: &str) -> bool {
    TEXTS.iter().any(|text| {
        let environment = vec![(variable_of(key.name), (*text).to_owned())];
        // A key that names a file is read by nobody but the configuration itself.
        let Ok(parsed) = place.parse("", environment) else { return false };
        Core::of(&parsed.config).map_or(true, |core| format!("{core:?}") != without)
    })
}

#[test]
fn what_reaches_the_core_is_told_as_honoured_and_what_is_told_so_acts() {
    let place = Place::new();
    let without = format!("{:?}", place.core(""));
    let has_case =
        |name: &str| [CLIENTS, FILES, PEERS].concat().iter().any(|(lines, ..)| lines.contains(name));
    let (mut told_wrongly, mut without_effect) = (Vec::new(), Vec::new());
    for (_, key) in table::keys().filter(|(_, key)| key.family().is_none()) {
        match (key.status, reaches_the_core(&place, key, &without)) {
            // It makes the ids of certificates known, and is refused until there is TLS.
            (Status::Security, true) if key.name == "secureClientPort" => {}
            (Status::Honoured, false) if ELSEWHERE.contains(&key.name) || has_case(key.name) => {}
            (Status::Honoured, false) => without_effect.push(key.name),
            (Status::Honoured, _) | (_, false) => {}
            (_, true) => told_wrongly.push(key.name),
        }
    }
    assert_eq!(told_wrongly, [""; 0], "these have an effect");
    assert_eq!(without_effect, [""; 0], "these have none, or belong to ELSEWHERE");
}

#[test]
fn the_names_that_the_check_takes_are_those_that_the_core_knows() {
    for name in DIGEST_ALGORITHMS {
        assert!(DigestAlgorithm::from_name(name).is_some(), "{name}");
    }
    for name in SCHEMES {
        assert!(Scheme::from_name(name.as_bytes()).is_some(), "{name}");
    }
    for name in ["MD5", "SHA3-256", "ROT13", ""] {
        assert_eq!(DigestAlgorithm::from_name(name), None);
        assert!(!DIGEST_ALGORITHMS.contains(&name));
    }
}
