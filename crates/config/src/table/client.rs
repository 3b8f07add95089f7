//! Keys of the client port, sessions and request sizes.

use std::path::PathBuf;

use super::section;

section! {
    /// Where clients connect and how many may.
    ClientPort {
        /// TCP port for plain client connections; absent in a file means no plain port.
        port: Option<u16> = "clientPort", File, M, Honoured, "";
        /// Address or host name the client port listens on; absent means every address.
        address: Option<String> = "clientPortAddress", File, M, Honoured, "";
        /// TCP port for TLS client connections.
        secure_port: Option<u16> = "secureClientPort", File, M, Security, "";
        /// Address or host name the TLS client port listens on.
        secure_address: Option<String> = "secureClientPortAddress", File, M, Security, "";
        /// Listen backlog of the client port; -1 leaves the choice to the system.
        backlog: i32 = "clientPortListenBacklog", File, A, Honoured, "-1";
        /// Connections one client address may hold; 0 means no limit.
        per_address_max: i32 = "maxClientCnxns", File, M, Honoured, "60";
        /// Connections all clients together may hold; 0 means no limit.
        connections_max: i32 = "maxCnxns", Property, M, Honoured, "0";
        /// Connection implementation; both names of the original mean the one this server has.
        factory: String = "serverCnxnFactory", Property, M, Honoured, "org.apache.zookeeper.server.NIOServerCnxnFactory";
        /// Milliseconds a connection may stay silent before it opens a session.
        sessionless_timeout_ms: i32 = "nio.sessionlessCnxnTimeout", Property, A, Honoured, "10000";
        /// TCP keepalive on client sockets.
        tcp_keep_alive: bool = "clientTcpKeepAlive", PropertyOrBare, A, Honoured, "false";
        /// Four-letter words that are answered, comma separated or `*`; srvr always is.
        words: String = "4lw.commands.whitelist", Property, M, Honoured, "";
        /// TLS and plain connections on the one client port.
        port_unification: bool = "client.portUnification", Property, A, Security, "false";
        /// Reload the stores of the client port when their files change.
        certificate_reload: bool = "client.certReload", Property, A, Security, "false";
        /// TLS handshakes in progress at one time; -1 means no limit.
        handshakes_max: i32 = "netty.server.outstandingHandshake.limit", Property, A, Security, "-1";
        /// Close TLS connections at once while the server does not serve.
        early_drop: bool = "netty.server.earlyDropSecureConnectionHandshakes", Property, A, Security, "false";
        /// Serve reads to clients that ask for it while there is no quorum.
        read_only_mode: bool = "readonlymode.enabled", Bare, M, Honoured, "false";
    }
}

section! {
    /// Time and the life of sessions.
    Session {
        /// Length of one tick in milliseconds, the unit of session buckets and peer timeouts.
        tick_time_ms: i32 = "tickTime", File, M, Honoured, "3000";
        /// Shortest session timeout granted, in milliseconds; -1 means two ticks.
        timeout_ms_min: i32 = "minSessionTimeout", File, M, Honoured, "-1";
        /// Longest session timeout granted, in milliseconds; -1 means twenty ticks.
        timeout_ms_max: i32 = "maxSessionTimeout", File, M, Honoured, "-1";
        /// Sessions start local to their server, outside the replicated state.
        local: bool = "localSessionsEnabled", File, A, Honoured, "false";
        /// A local session that creates an ephemeral node becomes a global one.
        local_upgrade: bool = "localSessionsUpgradingEnabled", File, A, Honoured, "false";
        /// The txn that closes a session lists the ephemeral nodes it removes.
        close_lists_ephemerals: bool = "closeSessionTxn.enabled", Property, M, Honoured, "true";
    }
}

section! {
    /// Sizes of requests and the upkeep of containers, TTL nodes and quotas.
    Limits {
        /// Largest request frame in bytes, and largest field in a record.
        frame_bytes_max: i32 = "jute.maxbuffer", Bare, M, Honoured, "1048575";
        /// Bytes beyond the largest frame that fields and stored txns may have; absent means as many again.
        extra_bytes: Option<i32> = "jute.maxbuffer.extrasize", Property, A, Honoured, "";
        /// Bytes of large requests being processed at one time; a connection that would exceed it is closed.
        large_bytes_max: i32 = "largeRequestMaxBytes", Property, A, Honoured, "104857600";
        /// Bytes beyond which a request counts as large; -1 turns the limit off.
        large_threshold: i32 = "largeRequestThreshold", Property, A, Honoured, "-1";
        /// TTL nodes may be created.
        extended_types: bool = "extendedTypesEnabled", Property, M, Honoured, "false";
        /// TTL nodes in the layout of release 3.5.3.
        emulate_353_ttl: bool = "emulate353TTLNodes", Property, A, Honoured, "false";
        /// Milliseconds between two searches for empty containers and expired TTL nodes.
        container_interval_ms: i64 = "znode.container.checkIntervalMs", Bare, A, Honoured, "60000";
        /// Containers and TTL nodes removed in a minute at most.
        container_per_minute_max: i32 = "znode.container.maxPerMinute", Bare, A, Honoured, "10000";
        /// Milliseconds after which a container that never had a child is removed; 0 means never.
        container_unused_ms: i64 = "znode.container.maxNeverUsedIntervalMs", Bare, A, Honoured, "0";
        /// A write that would exceed a hard quota fails; otherwise quotas only warn.
        enforce_quota: bool = "enforceQuota", Property, M, Honoured, "false";
        /// File of the JAAS configuration.
        jaas_file: Option<PathBuf> = "java.security.auth.login.config", Bare, A, Security, "";
    }
}
