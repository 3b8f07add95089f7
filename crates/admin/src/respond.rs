//! The answer to a word. Pure: what a server is comes through [`StatusSource`].
// Java: org.apache.zookeeper.server.command

use std::fmt::Write as _;

use oxherd_proto::SessionId;

use crate::status::{Bucket, ConnectionStatus, ServerState, SessionsStatus, StatusSource};
use crate::text;
use crate::version::FULL_VERSION;
use crate::word::{Whitelist, Word};
use oxherd_metrics::Value;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// Appends a formatted line; writing into a `String` cannot fail.
macro_rules! line {
    ($out:expr, $($argument:tt)*) => {{ let _ = writeln!($out, $($argument)*); }};
}

/// Appends formatted text.
macro_rules! put {
    ($out:expr, $($argument:tt)*) => {{ let _ = write!($out, $($argument)*); }};
}

/// The whole answer to a word, after which the connection is closed.
///
/// `argument` is the mask that follows stmk, read as a big-endian number; other words ignore it.
pub fn respond(word: Word, argument: i64, whitelist: &Whitelist, source: &dyn StatusSource) -> String {
    if !whitelist.contains(word) {
        return format!("{} is not executed because it is not in the whitelist.\n", word.name());
    }
    match word {
        Word::Ruok => "imok".to_owned(),
        Word::Envi => environment(source),
        Word::Gtmk => source.trace_mask().to_string(),
        Word::Stmk => {
            source.set_trace_mask(argument);
            argument.to_string()
        }
        Word::Isro => read_only(source).to_owned(),
        Word::TelnetClose => String::new(),
        Word::Hash if !source.is_running() => NOT_SERVING.to_owned(),
        _ if !source.is_running() => format!("{NOT_SERVING}\n"),
        _ => serving(word, source),
    }
}

fn serving(word: Word, source: &dyn StatusSource) -> String {
    match word {
        Word::Conf => configuration(source),
        Word::Cons => connections(source, false),
        Word::Crst => {
            source.reset_connections();
            "Connection stats reset.\n".to_owned()
        }
        Word::Dirs => {
            let (data, log) = source.directory_sizes();
            format!("datadir_size: {data}\nlogdir_size: {log}\n")
        }
        Word::Dump => dump(source),
        Word::Hash => {
            source.digests().iter().map(|(zxid, digest)| format!("{:x}: {digest}\n", zxid.0)).collect()
        }
        Word::Mntr => monitor(source),
        Word::Srst => {
            source.statistics().reset();
            "Server stats reset.\n".to_owned()
        }
        Word::Srvr => summary(source, false),
        Word::Stat => summary(source, true),
        Word::Wchs => {
            let watches = source.watch_summary();
            format!(
                "{} connections watching {} paths\nTotal watches:{}\n",
                watches.connections, watches.paths, watches.watches
            )
        }
        Word::Wchp => watches_by_path(source),
        Word::Wchc => watches_by_session(source),
        Word::Ruok | Word::Envi | Word::Gtmk | Word::Stmk | Word::Isro | Word::TelnetClose => String::new(),
    }
}

fn environment(source: &dyn StatusSource) -> String {
    let mut out = "Environment:\n".to_owned();
    for (key, value) in source.environment() {
        line!(out, "{key}={value}");
    }
    out
}

fn read_only(source: &dyn StatusSource) -> &'static str {
    match source.state() {
        _ if !source.is_running() => "null",
        ServerState::ReadOnly => "ro",
        _ => "rw",
    }
}

// Java: ZooKeeperServer.dumpConf and QuorumZooKeeperServer.dumpConf
fn configuration(source: &dyn StatusSource) -> String {
    let config = source.config();
    let (data_bytes, log_bytes) = source.directory_sizes();
    let mut out = String::new();
    line!(out, "clientPort={}", config.client_port);
    line!(out, "secureClientPort={}", config.secure_client_port);
    line!(out, "dataDir={}", config.data_dir);
    line!(out, "dataDirSize={data_bytes}");
    line!(out, "dataLogDir={}", config.log_dir);
    line!(out, "dataLogSize={log_bytes}");
    line!(out, "tickTime={}", config.tick_time_ms);
    line!(out, "maxClientCnxns={}", config.connections_per_address_max);
    line!(out, "minSessionTimeout={}", config.session_timeout_ms_min);
    line!(out, "maxSessionTimeout={}", config.session_timeout_ms_max);
    line!(out, "clientPortListenBacklog={}", config.backlog);
    line!(out, "serverId={}", config.server_id);
    if let Some(ensemble) = config.ensemble {
        line!(out, "initLimit={}", ensemble.init_limit);
        line!(out, "syncLimit={}", ensemble.sync_limit);
        line!(out, "electionAlg={}", ensemble.election_algorithm);
        line!(out, "electionPort={}", joined(&ensemble.election_ports));
        line!(out, "quorumPort={}", joined(&ensemble.quorum_ports));
        line!(out, "peerType={}", i32::from(!ensemble.votes));
        if let Some(membership) = ensemble.membership {
            put!(out, "membership: \n{membership}");
        }
    }
    out
}

fn joined(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join("|")
}

fn connections(source: &dyn StatusSource, brief: bool) -> String {
    let mut out = String::new();
    for connection in source.connections() {
        put_connection(&mut out, &connection, brief);
        out.push('\n');
    }
    out.push('\n');
    out
}

// Java: ServerCnxn.dumpConnectionInfo
fn put_connection(out: &mut String, connection: &ConnectionStatus, brief: bool) {
    put!(out, " {}[{:x}]", text::address(connection.remote), connection.interest);
    put!(out, "(queued={},recved={},sent={}", connection.outstanding, connection.received, connection.sent);
    if let Some(session) = connection.session.as_ref().filter(|_| !brief) {
        put!(out, ",sid=0x{:x},lop={}", session.id.0, session.last_operation);
        put!(out, ",est={},to={}", session.established_ms, session.timeout_ms);
        if session.last_xid >= 0 {
            put!(out, ",lcxid=0x{:x}", session.last_xid);
        }
        put!(out, ",lzxid=0x{:x},lresp={}", session.last_zxid.0, session.last_response_ms);
        put!(out, ",llat={},minlat={}", session.last_latency_ms, session.latency_ms_min);
        put!(out, ",avglat={},maxlat={}", session.latency_ms_mean, session.latency_ms_max);
    }
    out.push(')');
}

// Java: DumpCommand
fn dump(source: &dyn StatusSource) -> String {
    let mut out = "SessionTracker dump:\n".to_owned();
    put_sessions(&mut out, source);
    out.push_str("ephemeral nodes dump:\n");
    let ephemerals = source.ephemerals();
    line!(out, "Sessions with Ephemerals ({}):", ephemerals.len());
    for (session, paths) in ephemerals {
        line!(out, "0x{:x}:", session.0);
        paths.iter().for_each(|path| line!(out, "\t{path}"));
    }
    out.push_str("Connections dump:\nConnections ");
    put_buckets(&mut out, source, &source.connection_buckets(), |(remote, session)| {
        format!("ip: {} sessionId: 0x{:x}", text::address(*remote), session.0)
    });
    out
}

// Java: SessionTrackerImpl.dumpSessions and LearnerSessionTracker.dumpSessions
fn put_sessions(out: &mut String, source: &dyn StatusSource) {
    let show = |session: &SessionId| format!("0x{:x}", session.0);
    match source.sessions() {
        SessionsStatus::Tracked(buckets) => {
            out.push_str("Session ");
            put_buckets(out, source, &buckets, show);
        }
        // Java: LeaderSessionTracker.dumpSessions
        SessionsStatus::TrackedApart { local, global } => {
            out.push_str("Local Session ");
            put_buckets(out, source, &local, show);
            out.push_str("Global Session ");
            put_buckets(out, source, &global, show);
        }
        SessionsStatus::Learned { local, global } => {
            if let Some(buckets) = local {
                out.push_str("Local Session ");
                put_buckets(out, source, &buckets, show);
            }
            line!(out, "Global Sessions({}):", global.len());
            for (session, timeout_ms) in global {
                line!(out, "0x{:x}\t{timeout_ms}ms", session.0);
            }
        }
    }
}

// Java: ExpiryQueue.dump
fn put_buckets<T>(
    out: &mut String,
    source: &dyn StatusSource,
    buckets: &[Bucket<T>],
    show: impl Fn(&T) -> String,
) {
    let members: usize = buckets.iter().map(|bucket| bucket.members.len()).sum();
    line!(out, "Sets ({})/({members}):", buckets.len());
    let zone = source.zone();
    for bucket in buckets {
        line!(out, "{} expire at {}:", bucket.members.len(), text::date(bucket.expires_ms, &zone));
        bucket.members.iter().for_each(|member| line!(out, "\t{}", show(member)));
    }
}

// Java: StatCommand and ServerStats.toString
fn summary(source: &dyn StatusSource, with_clients: bool) -> String {
    let (statistics, state) = (source.statistics(), source.state());
    let mut out = format!("Zookeeper version: {FULL_VERSION}\n");
    if state == ServerState::ReadOnly {
        out.push_str("READ-ONLY mode; serving only read-only clients\n");
    }
    if with_clients {
        put!(out, "Clients:\n{}", connections(source, true));
    }
    let latency = &statistics.latency;
    line!(
        out,
        "Latency min/avg/max: {}/{}/{}",
        latency.least(),
        text::decimal(latency.mean()),
        latency.greatest()
    );
    line!(out, "Received: {}", statistics.packets_received.value());
    line!(out, "Sent: {}", statistics.packets_sent.value());
    line!(out, "Connections: {}", source.alive_connections());
    line!(out, "Outstanding: {}", source.outstanding());
    line!(out, "Zxid: 0x{:x}", source.last_zxid().0);
    line!(out, "Mode: {}", state.name());
    line!(out, "Node count: {}", source.gauges().znodes);
    if state == ServerState::Leader {
        let (last, least, greatest) = statistics.proposal_sizes.values();
        line!(out, "Proposal sizes last/min/max: {last}/{least}/{greatest}");
    }
    out
}

fn watches_by_path(source: &dyn StatusSource) -> String {
    let mut out = String::new();
    for (path, sessions) in source.watches_by_path() {
        line!(out, "{path}");
        sessions.iter().for_each(|session| line!(out, "\t0x{:x}", session.0));
    }
    out.push('\n');
    out
}

fn watches_by_session(source: &dyn StatusSource) -> String {
    let mut out = String::new();
    for (session, paths) in source.watches_by_session() {
        line!(out, "0x{:x}", session.0);
        paths.iter().for_each(|path| line!(out, "\t{path}"));
    }
    out.push('\n');
    out
}

// Java: MonitorCommand
fn monitor(source: &dyn StatusSource) -> String {
    let mut out = String::new();
    line!(out, "zk_version\t{FULL_VERSION}");
    line!(out, "zk_server_state\t{}", source.state().name());
    if let Some(state) = source.peer_state() {
        line!(out, "zk_peer_state\t{state}");
    }
    // Java: ObserverZooKeeperServer.dumpMonitorValues
    if let Some(master) = source.observer_master() {
        line!(out, "zk_observer_master_id\t{}", master.0);
    }
    let mut sink = |name: &str, value: Value| match value {
        Value::Integer(number) => line!(out, "zk_{name}\t{number}"),
        Value::Decimal(number) => line!(out, "zk_{name}\t{}", text::decimal(number)),
    };
    for (name, value) in gauges(source) {
        sink(&name, value);
    }
    source.statistics().metrics.dump(&mut sink);
    out
}

/// The values that are read off the server at the moment of the question.
// Java: ZooKeeperServer.registerMetrics, QuorumZooKeeperServer, LeaderZooKeeperServer
pub fn gauges(source: &dyn StatusSource) -> Vec<(String, Value)> {
    let (statistics, gauges) = (source.statistics(), source.gauges());
    let latency = &statistics.latency;
    let (response_last, response_min, response_max) = statistics.response_sizes.values();
    let mut values: Vec<(String, Value)> = vec![
        ("avg_latency".to_owned(), Value::Decimal(latency.mean())),
        ("connection_drop_probability".to_owned(), Value::Decimal(gauges.drop_probability)),
    ];
    let mut add = |name: &str, value: i64| values.push((name.to_owned(), Value::Integer(value)));
    add("max_latency", latency.greatest());
    add("min_latency", latency.least());
    add("packets_received", statistics.packets_received.value());
    add("packets_sent", statistics.packets_sent.value());
    add("num_alive_connections", source.alive_connections());
    add("outstanding_requests", source.outstanding());
    add("uptime", gauges.uptime_ms);
    add("znode_count", gauges.znodes);
    add("watch_count", gauges.watches);
    add("ephemerals_count", gauges.ephemerals);
    add("approximate_data_size", gauges.data_bytes);
    add("global_sessions", gauges.global_sessions);
    add("local_sessions", gauges.local_sessions);
    add("open_file_descriptor_count", gauges.open_files);
    add("max_file_descriptor_count", gauges.open_files_max);
    add("last_client_response_size", response_last);
    add("max_client_response_size", response_max);
    add("min_client_response_size", response_min);
    add("outstanding_tls_handshake", gauges.tls_handshakes);
    add("auth_failed_count", statistics.auth_failed.value());
    add("non_mtls_remote_conn_count", statistics.non_mtls_remote.value());
    add("non_mtls_local_conn_count", statistics.non_mtls_local.value());
    add_ensemble_gauges(source, &mut add);
    add_quota_gauges(source, &mut add);
    values
}

fn add_ensemble_gauges(source: &dyn StatusSource, add: &mut dyn FnMut(&str, i64)) {
    let gauges = source.gauges();
    gauges.quorum_size.iter().for_each(|&size| add("quorum_size", size));
    gauges.synced_observers.iter().for_each(|&observers| add("synced_observers", observers));
    let Some(leader) = gauges.leader else {
        return;
    };
    let (last, least, greatest) = source.statistics().proposal_sizes.values();
    add("learners", leader.learners);
    add("synced_followers", leader.synced_followers);
    add("synced_non_voting_followers", leader.synced_non_voting_followers);
    add("pending_syncs", leader.pending_syncs);
    add("leader_uptime", leader.leader_uptime_ms);
    add("last_proposal_size", last);
    add("max_proposal_size", greatest);
    add("min_proposal_size", least);
}

fn add_quota_gauges(source: &dyn StatusSource, add: &mut dyn FnMut(&str, i64)) {
    for quota in source.gauges().quotas {
        let values = [
            ("quota_count_limit_per_namespace", quota.count_limit),
            ("quota_bytes_limit_per_namespace", quota.bytes_limit),
            ("quota_count_usage_per_namespace", quota.count),
            ("quota_bytes_usage_per_namespace", quota.bytes),
        ];
        for (name, value) in values {
            value.iter().for_each(|&value| add(&format!("{}_{name}", quota.namespace), value));
        }
    }
}
