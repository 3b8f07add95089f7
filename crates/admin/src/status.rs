//! What an operator may see of a server, as plain data. The server fills it in; nothing here reaches into it.

use std::net::SocketAddr;

use oxherd_proto::{ServerId, SessionId, Zxid};

use crate::text::Zone;
use oxherd_metrics::Statistics;

/// What a server plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Alone.
    Standalone,
    /// Leads an ensemble.
    Leader,
    /// Follows a leader and votes.
    Follower,
    /// Follows a leader without a vote.
    Observer,
    /// Without a quorum, serving reads.
    ReadOnly,
}

impl ServerState {
    /// The word shown to operators.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// The settings that conf shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownConfig {
    /// Plain client port; -1 when there is none.
    pub client_port: i32,
    /// TLS client port; -1 when there is none.
    pub secure_client_port: i32,
    /// Directory of snapshots with its `version-2`, absolute.
    pub data_dir: String,
    /// Directory of logs with its `version-2`, absolute.
    pub log_dir: String,
    /// Milliseconds of a tick.
    pub tick_time_ms: i32,
    /// Connections of one address; 0 means no limit.
    pub connections_per_address_max: i32,
    /// Milliseconds, the lower bound of session timeouts.
    pub session_timeout_ms_min: i32,
    /// Milliseconds, the upper bound of session timeouts.
    pub session_timeout_ms_max: i32,
    /// Listen backlog; -1 means the system's.
    pub backlog: i32,
    /// Number of this server; 0 when standalone.
    pub server_id: i64,
    /// Settings of an ensemble.
    pub ensemble: Option<ShownEnsemble>,
}

/// The settings that conf shows in an ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownEnsemble {
    /// Ticks to connect and catch up.
    pub init_limit: i32,
    /// Ticks a learner may lag.
    pub sync_limit: i32,
    /// Number of the election algorithm.
    pub election_algorithm: i32,
    /// Election ports of this server's addresses.
    pub election_ports: Vec<u16>,
    /// Quorum ports of this server's addresses.
    pub quorum_ports: Vec<u16>,
    /// Whether this server votes.
    pub votes: bool,
    /// Text of the current membership; a read-only server shows none.
    pub membership: Option<String>,
}

/// One client connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// Address of the client.
    pub remote: SocketAddr,
    /// What the server waits for: 1 read, 4 write, 5 both, 0 nothing.
    pub interest: u32,
    /// Requests without a reply.
    pub outstanding: i64,
    /// Packets received.
    pub received: i64,
    /// Packets sent.
    pub sent: i64,
    /// The session; none before the handshake.
    pub session: Option<SessionStatus>,
}

/// What cons shows of a connection's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// Session of the connection.
    pub id: SessionId,
    /// Short name of the last operation, such as `GETD`; `NA` before the first.
    pub last_operation: &'static str,
    /// Wall clock of the connection's begin, in milliseconds.
    pub established_ms: i64,
    /// Milliseconds, the negotiated session timeout.
    pub timeout_ms: i32,
    /// Last request number of the client; -1 before the first.
    pub last_xid: i64,
    /// Last zxid the client was told.
    pub last_zxid: Zxid,
    /// Milliseconds on the server's clock at the last reply.
    pub last_response_ms: i64,
    /// Milliseconds the last request took.
    pub last_latency_ms: i64,
    /// Least latency in milliseconds.
    pub latency_ms_min: i64,
    /// Mean latency in whole milliseconds.
    pub latency_ms_mean: i64,
    /// Greatest latency in milliseconds.
    pub latency_ms_max: i64,
}

/// Things that expire together: sessions or connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket<T> {
    /// Wall clock of the expiry, in milliseconds.
    pub expires_ms: i64,
    /// What expires then.
    pub members: Vec<T>,
}

/// Sessions as dump shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionsStatus {
    /// This server expires them: buckets by time.
    Tracked(Vec<Bucket<SessionId>>),
    /// A leader expires sessions for all, and those that only it knows.
    TrackedApart {
        /// Local sessions by time.
        local: Vec<Bucket<SessionId>>,
        /// Global sessions by time.
        global: Vec<Bucket<SessionId>>,
    },
    /// A learner knows global sessions with their timeouts in milliseconds, and local ones when they are enabled.
    Learned {
        /// Local sessions by time.
        local: Option<Vec<Bucket<SessionId>>>,
        /// Global sessions with their timeouts.
        global: Vec<(SessionId, i32)>,
    },
}

/// Watches on data, as the watch words count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// Connections with a watch.
    pub connections: usize,
    /// Paths with a watch.
    pub paths: usize,
    /// Watches in all.
    pub watches: usize,
}

/// Values read off the server for mntr.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Nodes; the root counts twice.
    pub znodes: i64,
    /// Watches on data and children.
    pub watches: i64,
    /// Ephemeral nodes.
    pub ephemerals: i64,
    /// Bytes of paths and data.
    pub data_bytes: i64,
    /// Sessions of the ensemble.
    pub global_sessions: i64,
    /// Sessions of this server only.
    pub local_sessions: i64,
    /// Open file descriptors.
    pub open_files: i64,
    /// Limit of open file descriptors.
    pub open_files_max: i64,
    /// Probability with which the connection throttle drops.
    pub drop_probability: f64,
    /// TLS handshakes in progress.
    pub tls_handshakes: i64,
    /// Milliseconds since the start.
    pub uptime_ms: i64,
    /// Voting members, in an ensemble.
    pub quorum_size: Option<i64>,
    /// Observers this server keeps up to date, on a leader or follower.
    pub synced_observers: Option<i64>,
    /// Values of a leader.
    pub leader: Option<LeaderGauges>,
    /// Limits and use of quotas by first path component.
    pub quotas: Vec<QuotaGauge>,
}

/// Values that only a leader has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderGauges {
    /// Connected learners.
    pub learners: i64,
    /// Followers that are up to date.
    pub synced_followers: i64,
    /// Followers without a vote that are up to date.
    pub synced_non_voting_followers: i64,
    /// Syncs that wait for a commit.
    pub pending_syncs: i64,
    /// Milliseconds of this reign.
    pub leader_uptime_ms: i64,
}

/// Quota of a first path component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaGauge {
    /// First component of the path.
    pub namespace: String,
    /// Limit of nodes.
    pub count_limit: Option<i64>,
    /// Limit of bytes.
    pub bytes_limit: Option<i64>,
    /// Nodes in use.
    pub count: Option<i64>,
    /// Bytes in use.
    pub bytes: Option<i64>,
}

/// A running server, or one on its way up or down, as the words see it.
pub trait StatusSource {
    /// Whether requests are served.
    fn is_running(&self) -> bool;
    /// What the server plays.
    fn state(&self) -> ServerState;
    /// State of the peer in detail, in an ensemble: such as `following - broadcast`.
    fn peer_state(&self) -> Option<String>;
    /// The server that an observer learns from; `None` for any other.
    fn observer_master(&self) -> Option<ServerId> {
        None
    }
    /// Counted figures.
    fn statistics(&self) -> &Statistics;
    /// Values read now.
    fn gauges(&self) -> Gauges;
    /// Requests in progress.
    fn outstanding(&self) -> i64;
    /// Client connections without those that only sent a word.
    fn alive_connections(&self) -> i64;
    /// Last zxid applied.
    fn last_zxid(&self) -> Zxid;
    /// Settings.
    fn config(&self) -> ShownConfig;
    /// Bytes in the data directory and in the log directory.
    fn directory_sizes(&self) -> (u64, u64);
    /// Connections of the port that the word came through.
    fn connections(&self) -> Vec<ConnectionStatus>;
    /// Sets the figures of all connections back.
    fn reset_connections(&self);
    /// Sessions by expiry.
    fn sessions(&self) -> SessionsStatus;
    /// Ephemeral paths by session.
    fn ephemerals(&self) -> Vec<(SessionId, Vec<String>)>;
    /// Connections by expiry: address and session, 0 before the handshake.
    fn connection_buckets(&self) -> Vec<Bucket<(SocketAddr, SessionId)>>;
    /// Process and system, in order: see [`environment`](crate::environment).
    fn environment(&self) -> Vec<(&'static str, String)>;
    /// Numbers of data watches.
    fn watch_summary(&self) -> WatchSummary;
    /// Data watches by path.
    fn watches_by_path(&self) -> Vec<(String, Vec<SessionId>)>;
    /// Data watches by session.
    fn watches_by_session(&self) -> Vec<(SessionId, Vec<String>)>;
    /// Digests of the tree kept with their zxids.
    fn digests(&self) -> Vec<(Zxid, u64)>;
    /// Zone for dates.
    fn zone(&self) -> Zone;
    /// Mask of traced packets.
    fn trace_mask(&self) -> i64;
    /// Sets the mask of traced packets.
    fn set_trace_mask(&self, mask: i64);
}
