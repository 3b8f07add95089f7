//! Keys of ensembles and of the links between peers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::section;

section! {
    /// Ensemble: members, limits in ticks, election, links between peers.
    Quorum {
        /// Members: `host:quorumPort:electionPort[:role][|more addresses][;clientPort]`, by server number.
        servers: BTreeMap<String, String> = "server.*", File, Q, Honoured, "";
        /// Groups of a hierarchical quorum: server numbers with colons between, by group number.
        groups: BTreeMap<String, String> = "group.*", File, Q, Honoured, "";
        /// Voting weights by server number; 1 when absent.
        weights: BTreeMap<String, String> = "weight.*", File, Q, Honoured, "";
        /// Ticks a learner has to connect to its leader and to catch up; required in an ensemble.
        init_limit: i32 = "initLimit", File, M, Honoured, "0";
        /// Ticks a learner may lag behind; required in an ensemble.
        sync_limit: i32 = "syncLimit", File, M, Honoured, "0";
        /// Ticks a learner has to connect to its leader; 0 means `initLimit`.
        connect_limit: i32 = "connectToLearnerMasterLimit", File, Q, Honoured, "0";
        /// Election algorithm; only 3 exists.
        election_algorithm: i32 = "electionAlg", File, Q, Honoured, "3";
        /// Role of this server, compared with the list of servers, which counts: participant or observer.
        peer_type: String = "peerType", File, Q, Honoured, "participant";
        /// Listen for peers on every address.
        listen_everywhere: bool = "quorumListenOnAllIPs", File, Q, Honoured, "false";
        /// Observers write log and snapshots too.
        sync_enabled: bool = "syncEnabled", File, Q, Honoured, "true";
        /// Overrides `syncEnabled`.
        observer_sync_enabled: Option<bool> = "observer.syncEnabled", Property, Q, Honoured, "";
        /// Port on which a follower serves observers; 0 turns it off.
        observer_master_port: i32 = "observerMasterPort", File, Q, Honoured, "0";
        /// File that holds the members; they may then not be in the main file.
        dynamic_file: Option<PathBuf> = "dynamicConfigFile", File, Q, Honoured, "";
        /// A single participant runs standalone, outside ensemble mode.
        standalone_enabled: bool = "standaloneEnabled", File, Q, Honoured, "true";
        /// Membership may be changed while serving.
        reconfig_enabled: bool = "reconfigEnabled", File, Q, Honoured, "false";
        /// Several addresses a member.
        multi_address: bool = "multiAddress.enabled", FileOrProperty, Q, Honoured, "false";
        /// Milliseconds an address of a member is tried.
        reachability_ms: i32 = "multiAddress.reachabilityCheckTimeoutMs", FileOrProperty, Q, Absent, "1000";
        /// Try the addresses of a member before use.
        reachability_check: bool = "multiAddress.reachabilityCheckEnabled", FileOrProperty, Q, Absent, "true";
        /// File that decides the quorum of two servers.
        oracle_path: Option<PathBuf> = "oraclePath", File, Q, Ensemble, "";
        /// TLS between peers.
        tls: bool = "sslQuorum", File, Q, Security, "false";
        /// Peers may use TLS or plain connections on one port.
        tls_port_unification: bool = "portUnification", File, Q, Security, "false";
        /// Reload the stores of peers when their files change.
        tls_reload: bool = "sslQuorumReloadCertFiles", File, Q, Security, "false";
        /// The leader serves clients.
        leader_serves: bool = "leaderServes", Property, Q, Honoured, "yes";
        /// Milliseconds to connect to a peer's election port.
        election_connect_ms: i32 = "cnxTimeout", Property, Q, Honoured, "5000";
        /// Milliseconds an election link may be silent; -1 means `syncLimit` ticks.
        election_read_ms: i32 = "quorumCnxnTimeoutMs", Property, Q, Honoured, "-1";
        /// Attempts to open the election port; 0 means for ever.
        election_bind_retries: i32 = "electionPortBindRetry", Property, Q, Honoured, "3";
        /// TCP keepalive on election links.
        election_keep_alive: bool = "tcpKeepAlive", Property, Q, Honoured, "false";
        /// Milliseconds an election first waits for notifications.
        notification_ms_min: i32 = "fastleader.minNotificationInterval", Property, Q, Honoured, "200";
        /// Milliseconds an election waits for notifications at most.
        notification_ms_max: i32 = "fastleader.maxNotificationInterval", Property, Q, Honoured, "60000";
        /// Milliseconds a leader waits for a quorum of epochs; -1 means `initLimit`.
        epoch_wait_ms: i32 = "leader.maxTimeToWaitForEpoch", Property, Q, Honoured, "-1";
        /// One acknowledgement in so many is measured.
        ack_logging: i32 = "leader.ackLoggingFrequency", Property, Q, Absent, "1000";
        /// Learners fed by snapshot at one time.
        snap_syncs_max: i32 = "leader.maxConcurrentSnapSyncs", Property, Q, Honoured, "10";
        /// Learners fed by differences at one time.
        diff_syncs_max: i32 = "leader.maxConcurrentDiffSyncs", Property, Q, Honoured, "100";
        /// Milliseconds between two attempts to reach the leader.
        leader_retry_ms: i32 = "leaderConnectDelayDuringRetryMs", Property, Q, Honoured, "100";
        /// Longest random wait of an observer before it connects to the leader, in ms.
        observer_reconnect_ms: i64 = "observer.reconnectDelayMs", Property, Q, Honoured, "0";
        /// Milliseconds an observer waits before it looks for a leader.
        observer_election_ms: i32 = "observer.election.DelayMs", Property, Q, Honoured, "200";
        /// Bytes a follower keeps for its observers.
        observer_buffer_bytes: i32 = "observerMaster.sizeLimit", Property, Q, Absent, "33554432";
        /// Committed proposals kept in memory for learners that lag; at least 500.
        commit_log_count: i32 = "commitLogCount", Property, Q, Honoured, "500";
        /// Size of log files to read, as a share of the newest snapshot, up to which a learner is fed from them; less than 0 never does.
        snapshot_size_factor: f64 = "snapshotSizeFactor", Property, Q, Honoured, "0.33";
        /// Feed every learner by snapshot, for tests.
        force_snapshot: bool = "forceSnapshotSync", Property, Q, Honoured, "false";
        /// Requests of learners skip a stage of the pipeline; there is no such stage here.
        skip_learner_request: bool = "follower.skipLearnerRequestToNextProcessor", Property, Q, Absent, "false";
        /// Learners' requests do not pass through the stage that waits for commits.
        skip_commit_stage: bool = "forward_learner_requests_to_commit_processor_disabled", Property, Q, Absent, "false";
        /// Keep the last packets of a link for a report when it breaks.
        track_messages: bool = "messageTracker.Enabled", Property, Q, Absent, "false";
        /// Packets kept for that report.
        tracked_messages: i32 = "messageTracker.BufferSize", Property, Q, Absent, "10";
        /// TCP_NODELAY on the leader's links.
        leader_no_delay: bool = "leader.nodelay", Bare, Q, Absent, "true";
        /// TCP_NODELAY on a follower's link.
        follower_no_delay: bool = "follower.nodelay", Bare, Q, Absent, "true";
    }
}

section! {
    /// SASL between peers.
    QuorumAuth {
        /// SASL between peers.
        enabled: bool = "quorum.auth.enableSasl", File, Q, Security, "false";
        /// A server refuses peers without SASL.
        server_required: bool = "quorum.auth.serverRequireSasl", File, Q, Security, "false";
        /// A learner refuses servers without SASL.
        learner_required: bool = "quorum.auth.learnerRequireSasl", File, Q, Security, "false";
        /// JAAS section of a learner.
        learner_context: String = "quorum.auth.learner.saslLoginContext", File, Q, Security, "QuorumLearner";
        /// JAAS section of a server.
        server_context: String = "quorum.auth.server.saslLoginContext", File, Q, Security, "QuorumServer";
        /// Kerberos principal of servers; `_HOST` stands for the host name.
        principal: String = "quorum.auth.kerberos.servicePrincipal", File, Q, Security, "zkquorum/localhost";
        /// Replace host names of members by their canonical names.
        canonical_hosts: bool = "kerberos.canonicalizeHostNames", Property, Q, Security, "false";
    }
}
