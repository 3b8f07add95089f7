//! Four-letter words: reads the server's state for `oxherd-admin`, which knows the words.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use oxherd_admin::{
    Bucket, ConnectionStatus, Environment, Gauges, LeaderGauges, QuotaGauge, ServerState, SessionStatus,
    SessionsStatus, ShownConfig, ShownEnsemble, Statistics, StatusSource, WatchSummary, Whitelist, Word,
    Zone,
};
use oxherd_config::{Config, Mode};
use oxherd_proto::{ServerId, SessionId, Zxid};
use oxherd_replica::{Connection, Sessions};
use oxherd_tree::QuotaUse;
use oxherd_zab::Role;
use tokio::net::tcp::OwnedReadHalf;

use crate::driver::Driver;
use crate::link::Link;

/// The trace bits set from the start; kept for `gtmk` and `stmk`, which tools read and write.
// Java: ZooTrace.traceMask
const TRACE_MASK_DEFAULT: i64 = 0b1_0011_0010;

/// Bytes of an answer that the original sends as one packet.
// Java: NIOServerCnxn.SendBufferWriter behind a BufferedWriter
const ANSWER_PART_LEN: usize = 8192;

/// Whether the first four bytes of a link are a word and no frame length.
pub(crate) fn is_word(bytes: [u8; 4]) -> bool {
    Word::from_bytes(bytes).is_some()
}

/// Answers words over one server.
#[derive(Debug)]
pub(crate) struct Words {
    driver: Arc<Driver>,
    whitelist: Whitelist,
    shown: ShownConfig,
    snapshot_dir: PathBuf,
    log_dir: PathBuf,
    started_unix_ms: i64,
    trace_mask: AtomicI64,
    /// Whether observers learn from it when it follows (`observerMasterPort`).
    serves_observers: bool,
}

impl Words {
    pub(crate) fn new(config: &Config, driver: Arc<Driver>) -> Self {
        let snapshot_dir = config.storage.data_dir.join("version-2");
        let log_dir = config.log_dir().join("version-2");
        Self {
            driver,
            whitelist: Whitelist::parse(&config.client_port.words, config.client_port.read_only_mode),
            shown: shown(config, &snapshot_dir, &log_dir),
            snapshot_dir,
            log_dir,
            started_unix_ms: Driver::now().unix_ms,
            trace_mask: AtomicI64::new(TRACE_MASK_DEFAULT),
            serves_observers: config.quorum.observer_master_port > 0,
        }
    }

    /// Answers a word, with the bytes that belong to it, and leaves the link to be closed.
    pub(crate) async fn answer(
        &self,
        link: &Link,
        reader: &mut OwnedReadHalf,
        word: [u8; 4],
        mut rest: Vec<u8>,
    ) {
        let Some(word) = Word::from_bytes(word) else { return };
        let statistics = &self.driver.statistics;
        statistics.packets_received.add(1);
        statistics.metrics.bytes_received_count.add(4);
        if self.whitelist.contains(word) {
            link.read_behind_word(reader, &mut rest, word.argument_len()).await;
        }
        let argument = rest.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let text = oxherd_admin::respond(word, argument, &self.whitelist, self);
        statistics.packets_sent.add(i64::try_from(text.len().div_ceil(ANSWER_PART_LEN)).unwrap_or(i64::MAX));
        link.answer(text.as_bytes()).await;
    }
}

fn shown(config: &Config, snapshot_dir: &Path, log_dir: &Path) -> ShownConfig {
    let absolute = |path: &Path| {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
    };
    ShownConfig {
        client_port: config.client_port.port.map_or(-1, i32::from),
        secure_client_port: config.client_port.secure_port.map_or(-1, i32::from),
        data_dir: absolute(snapshot_dir),
        log_dir: absolute(log_dir),
        tick_time_ms: config.session.tick_time_ms,
        connections_per_address_max: config.client_port.per_address_max,
        session_timeout_ms_min: config.session.timeout_ms_min,
        session_timeout_ms_max: config.session.timeout_ms_max,
        backlog: config.client_port.backlog,
        server_id: config.server_id.filter(|_| config.mode == Mode::Ensemble).map_or(0, |id| id.0),
        ensemble: (config.mode == Mode::Ensemble).then(|| shown_ensemble(config)),
    }
}

fn shown_ensemble(config: &Config) -> ShownEnsemble {
    let own = config.server_id.and_then(|id| config.membership.members.get(&id));
    let addresses = own.map(|member| member.addresses.as_slice()).unwrap_or_default();
    ShownEnsemble {
        init_limit: config.quorum.init_limit,
        sync_limit: config.quorum.sync_limit,
        election_algorithm: config.quorum.election_algorithm,
        election_ports: addresses.iter().map(|address| address.election_port).collect(),
        quorum_ports: addresses.iter().map(|address| address.quorum_port).collect(),
        votes: own.is_some_and(|member| member.role == oxherd_config::Role::Participant),
        membership: None,
    }
}

fn connection_status(link: &Link) -> ConnectionStatus {
    let connection = link.connection.lock();
    let traffic = connection.traffic();
    let (received, sent) = (traffic.received.cast_signed(), traffic.sent.cast_signed());
    let outstanding = i64::try_from(connection.outstanding()).unwrap_or(i64::MAX);
    let session = (connection.session() != SessionId(0)).then(|| session_status(&connection));
    ConnectionStatus { remote: link.peer, interest: 1, outstanding, received, sent, session }
}

fn session_status(connection: &Connection) -> SessionStatus {
    let traffic = connection.traffic();
    let latency = traffic.latency();
    SessionStatus {
        id: connection.session(),
        last_operation: traffic.last_op.map_or("NA", |op| op.short_name()),
        established_ms: traffic.established_unix_ms,
        timeout_ms: connection.timeout_ms(),
        last_xid: i64::from(traffic.last_xid.0),
        last_zxid: traffic.last_zxid,
        last_response_ms: traffic.last_answer_ms.cast_signed(),
        last_latency_ms: traffic.last_latency_ms.cast_signed(),
        latency_ms_min: latency.min_ms.cast_signed(),
        latency_ms_mean: latency.total_ms.checked_div(latency.count).unwrap_or(0).cast_signed(),
        latency_ms_max: latency.max_ms.cast_signed(),
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl StatusSource for Words {
    fn is_running(&self) -> bool {
        self.driver.is_serving()
    }

    fn state(&self) -> ServerState {
        match self.driver.role() {
            None => ServerState::Standalone,
            Some(Role::Leading { .. }) => ServerState::Leader,
            Some(Role::Observing { .. }) => ServerState::Observer,
            Some(Role::ReadOnly) => ServerState::ReadOnly,
            Some(_) => ServerState::Follower,
        }
    }

    // Java: QuorumPeer.getDetailedPeerState
    fn peer_state(&self) -> Option<String> {
        self.driver.role().filter(|role| *role != Role::ReadOnly).map(|role| {
            let text = match role {
                Role::Looking | Role::ReadOnly | Role::Stopped { .. } => "looking",
                Role::Synchronizing { .. } => "following - synchronization",
                Role::Leading { .. } => "leading - broadcast",
                Role::Following { .. } => "following - broadcast",
                Role::Observing { .. } => "observing - broadcast",
            };
            text.to_owned()
        })
    }

    fn observer_master(&self) -> Option<ServerId> {
        match self.driver.role() {
            Some(Role::Observing { leader, .. }) => Some(leader),
            _ => None,
        }
    }

    fn statistics(&self) -> &Statistics {
        &self.driver.statistics
    }

    fn gauges(&self) -> Gauges {
        let (znodes, ephemerals, data_bytes, quotas) = self.driver.with_side(|side| {
            let tree = side.tree;
            (tree.node_count(), tree.ephemeral_count(), tree.data_size(), quota_gauges(tree.quotas()))
        });
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let role = self.driver.role();
        // Let go of before the replica is asked for: the exclusive step takes them in the other order.
        let watches = count(self.driver.watches.lock().count());
        let (voters, learners, uptime_ms, pending_syncs) = self.driver.with_replica(|replica, _| {
            let learners = replica.learners();
            let uptime_ms = replica.reign_ms(Driver::now());
            (replica.ensemble().voters().count(), learners, uptime_ms, replica.pending_syncs())
        });
        Gauges {
            drop_probability: self.driver.outstanding.drop_chance(),
            quorum_size: role.map(|_| count(voters)),
            synced_observers: match role {
                Some(Role::Leading { .. }) => true,
                Some(Role::Following { .. }) => self.serves_observers,
                _ => false,
            }
            .then(|| count(learners.synced_observers)),
            leader: matches!(role, Some(Role::Leading { .. })).then(|| LeaderGauges {
                learners: count(learners.connected),
                synced_followers: count(learners.synced_voters),
                leader_uptime_ms: uptime_ms,
                synced_non_voting_followers: count(learners.synced_non_voters),
                pending_syncs: count(pending_syncs),
            }),
            znodes: count(znodes),
            watches,
            ephemerals: count(ephemerals),
            data_bytes,
            global_sessions: self.driver.with_replica(|replica, _| count(replica.sessions().len())),
            local_sessions: self.driver.with_replica(|replica, _| {
                replica.local_sessions().map_or(0, |sessions| count(sessions.len()))
            }),
            open_files: std::fs::read_dir("/proc/self/fd").map_or(-1, |entries| count(entries.count())),
            open_files_max: open_files_max(),
            uptime_ms: Driver::now().unix_ms - self.started_unix_ms,
            quotas,
            ..Gauges::default()
        }
    }

    fn outstanding(&self) -> i64 {
        self.driver.outstanding.count()
    }

    /// With the one that asks.
    // Java: ServerCnxnFactory.getNumAliveConnections
    fn alive_connections(&self) -> i64 {
        i64::try_from(self.driver.all_links().len()).unwrap_or(i64::MAX)
    }

    fn last_zxid(&self) -> Zxid {
        self.driver.with_side(|side| side.tree.last_zxid())
    }

    fn config(&self) -> ShownConfig {
        let mut shown = self.shown.clone();
        let has_quorum = self.driver.role() != Some(Role::ReadOnly);
        if let Some(ensemble) = shown.ensemble.as_mut().filter(|_| has_quorum) {
            let text = self.driver.with_replica(|replica, _| replica.ensemble().to_string());
            ensemble.membership = Some(text);
        }
        shown
    }

    fn directory_sizes(&self) -> (u64, u64) {
        (size_of(&self.snapshot_dir), size_of(&self.log_dir))
    }

    fn connections(&self) -> Vec<ConnectionStatus> {
        let mut links = self.driver.all_links();
        links.sort_by_key(|link| link.client);
        links.iter().map(|link| connection_status(link)).collect()
    }

    fn reset_connections(&self) {
        for link in self.driver.all_links() {
            link.connection.lock().reset_traffic();
        }
    }

    fn sessions(&self) -> SessionsStatus {
        let now = Driver::now();
        let bucket = |(after_ms, members)| Bucket { expires_ms: now.unix_ms + after_ms, members };
        let buckets =
            |sessions: &Sessions| sessions.by_deadline(now.instant).into_iter().map(bucket).collect();
        let role = self.driver.role();
        self.driver.with_replica(|replica, _| {
            let local = replica.local_sessions().map(buckets);
            match (role, local) {
                (None, _) | (Some(Role::Leading { .. }), None) => {
                    SessionsStatus::Tracked(buckets(replica.sessions()))
                }
                (Some(Role::Leading { .. }), Some(local)) => {
                    SessionsStatus::TrackedApart { local, global: buckets(replica.sessions()) }
                }
                (Some(_), local) => {
                    SessionsStatus::Learned { local, global: replica.sessions().persistent() }
                }
            }
        })
    }

    fn ephemerals(&self) -> Vec<(SessionId, Vec<String>)> {
        self.driver.with_side(|side| {
            let sessions: Vec<SessionId> = side.tree.sessions_with_ephemerals().collect();
            let paths = |session| side.tree.ephemerals(session).map(|path| text(&path)).collect();
            sessions.into_iter().map(|session| (session, paths(session))).collect()
        })
    }

    fn connection_buckets(&self) -> Vec<Bucket<(SocketAddr, SessionId)>> {
        let now = Driver::now();
        let mut buckets: BTreeMap<i64, Vec<(SocketAddr, SessionId)>> = BTreeMap::new();
        for link in self.driver.all_links() {
            let connection = link.connection.lock();
            let due_ms = now.unix_ms + i64::from(connection.timeout_ms());
            buckets.entry(due_ms).or_default().push((link.peer, connection.session()));
        }
        buckets.into_iter().map(|(expires_ms, members)| Bucket { expires_ms, members }).collect()
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        oxherd_admin::environment(&process_environment())
    }

    fn watch_summary(&self) -> WatchSummary {
        let summary = self.driver.watches.lock().summary();
        WatchSummary { connections: summary.clients, paths: summary.paths, watches: summary.watches }
    }

    fn watches_by_path(&self) -> Vec<(String, Vec<SessionId>)> {
        let sessions = self.driver.session_names();
        let watches = self.driver.watches.lock();
        let names =
            |clients: &[_]| clients.iter().filter_map(|client| sessions.get(client).copied()).collect();
        watches.by_path().iter().map(|(path, clients)| (text(path), names(clients))).collect()
    }

    fn watches_by_session(&self) -> Vec<(SessionId, Vec<String>)> {
        let sessions = self.driver.session_names();
        let watches = self.driver.watches.lock();
        let mut rows = Vec::new();
        for (client, paths) in watches.by_client() {
            if let Some(session) = sessions.get(&client) {
                rows.push((*session, paths.iter().map(|path| text(path)).collect()));
            }
        }
        rows
    }

    fn digests(&self) -> Vec<(Zxid, u64)> {
        self.driver.digests()
    }

    fn zone(&self) -> Zone {
        Zone::utc()
    }

    fn trace_mask(&self) -> i64 {
        self.trace_mask.load(Ordering::Relaxed)
    }

    fn set_trace_mask(&self, mask: i64) {
        self.trace_mask.store(mask, Ordering::Relaxed);
    }
}

fn open_files_max() -> i64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// Bytes of all files below; preallocated space counts.
// Java: ZooKeeperServer.getDirSize
fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn process_environment() -> Environment {
    let uname = rustix::system::uname();
    let read = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let path = |result: std::io::Result<PathBuf>| result.map(|p| p.display().to_string()).unwrap_or_default();
    let info = rustix::system::sysinfo();
    let megabytes = |bytes: u64| bytes * u64::from(info.mem_unit) / (1 << 20);
    Environment {
        host: read(uname.nodename()),
        program: path(std::env::current_exe()),
        temporary_dir: std::env::temp_dir().display().to_string(),
        os_name: read(uname.sysname()),
        os_arch: read(uname.machine()),
        os_version: read(uname.release()),
        user: variable("USER"),
        home: variable("HOME"),
        working_dir: path(std::env::current_dir()),
        memory_free_mb: megabytes(info.freeram),
        memory_max_mb: megabytes(info.totalram),
        memory_total_mb: resident_mb(),
    }
}

/// Memory of this process in MB, as the kernel counts it.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Quotas summed up by the first component of their paths; a limit that is not set counts as −1, as in ZooKeeper.
// Java: QuotaMetricsUtils
fn quota_gauges(quotas: impl Iterator<Item = QuotaUse>) -> Vec<QuotaGauge> {
    let mut sums = BTreeMap::<String, [i64; 4]>::new();
    for quota in quotas {
        let first = quota.path.split(|byte| *byte == b'/').nth(1).unwrap_or_default();
        let sum = sums.entry(String::from_utf8_lossy(first).into_owned()).or_default();
        let values = [quota.count_limit, quota.bytes_limit, quota.count, quota.bytes];
        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
    }
    let gauge = |(namespace, [count_limit, bytes_limit, count, bytes]): (String, [i64; 4])| QuotaGauge {
        namespace,
        count_limit: Some(count_limit),
        bytes_limit: Some(bytes_limit),
        count: Some(count),
        bytes: Some(bytes),
    };
    sums.into_iter().map(gauge).collect()
}
