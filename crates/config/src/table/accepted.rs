//! Keys that are accepted and explained, and have no field: they tune Java, its scripts or its clients.

use super::{Key, row};

macro_rules! rows {
    ($(#[$meta:meta])* $name:ident, $class:ident { $( #[doc = $meaning:literal] $key:literal, $place:ident, $default:literal; )* }) => {
        $(#[$meta])*
        pub(super) const $name: &[Key] = &[
            $( row!(#[doc = $meaning] $key, $place, $class, Jvm, $default) ),*
        ];
    };
}

rows! {
    /// Thread pools, caches and class names of the original.
    JVM, J {
        /// Selector threads.
        "nio.numSelectorThreads", Property, "";
        /// Worker threads of the connection layer.
        "nio.numWorkerThreads", Property, "";
        /// Direct buffer of a selector thread, in bytes.
        "nio.directBufferBytes", Property, "65536";
        /// Milliseconds the worker pool is given to stop.
        "nio.shutdownTimeout", Property, "5000";
        /// Flow control of the Netty connection layer.
        "netty.advancedFlowControl.enabled", Property, "false";
        /// Replies of getData that are kept encoded.
        "maxResponseCacheSize", Property, "400";
        /// Replies of getChildren that are kept encoded.
        "maxGetChildrenResponseCacheSize", Property, "400";
        /// Class of the watch table; there is one table here, with every kind of watch.
        "watchManagerName", Property, "org.apache.zookeeper.server.watch.WatchManager";
        /// Threads that clean watches of closed connections.
        "watcherCleanThreadsNum", Property, "2";
        /// Dead watchers that start a cleaning.
        "watcherCleanThreshold", Property, "1000";
        /// Seconds between two cleanings.
        "watcherCleanIntervalInSeconds", Property, "600";
        /// Dead watchers in cleaning at one time.
        "maxInProcessingDeadWatchers", Property, "-1";
        /// Cache of the compact watch table.
        "bitHashCacheSize", Property, "10";
        /// Statistics of the busiest paths in the log.
        "pathStats.enabled", Property, "false";
        /// Time slots of the path statistics.
        "pathStats.slotCapacity", Property, "60";
        /// Seconds of a slot.
        "pathStats.slotDuration", Property, "15";
        /// Depth to which paths are counted.
        "pathStats.maxDepth", Property, "6";
        /// Share of requests counted.
        "pathStats.sampleRate", Property, "0.1";
        /// Minutes before the first report.
        "pathStats.initialDelay", Property, "5";
        /// Minutes between two reports.
        "pathStats.delay", Property, "5";
        /// Paths in a report.
        "pathStats.topPathMax", Property, "20";
        /// Threads of the commit stage.
        "commitProcessor.numWorkerThreads", Property, "";
        /// Milliseconds the commit stage is given to stop.
        "commitProcessor.shutdownTimeout", Property, "5000";
        /// Port of the test controller.
        "controllerPort", Property, "";
        /// Configuration object of the embedded server.
        "configuration", Property, "";
        /// First size of a buffer in which records are encoded.
        "intBufferStartingSizeBytes", Property, "1024";
        /// Let a test propose with gaps.
        "test.allowDiscontinuousProposals", Property, "false";
        /// Threads of SASL links between peers.
        "quorum.cnxn.threads.size", File, "20";
        /// Watch for pauses of the JVM; there are none here.
        "jvm.pause.monitor", File, "false";
        /// Milliseconds of a pause that is noted.
        "jvm.pause.info-threshold.ms", File, "1000";
        /// Milliseconds of a pause that is a warning.
        "jvm.pause.warn-threshold.ms", File, "10000";
        /// Milliseconds between two looks.
        "jvm.pause.sleep.time.ms", File, "500";
        /// Close links to learners on a thread of its own.
        "leader.closeSocketAsync", PropertyOrBare, "false";
        /// Close the link to the leader on a thread of its own.
        "learner.closeSocketAsync", PropertyOrBare, "false";
        /// Send to the leader on a thread of its own.
        "learner.asyncSending", PropertyOrBare, "false";
        /// Milliseconds between two Kerberos logins.
        "kerberos.minReLoginTimeMs", Property, "60000";
        /// Fail without a Kerberos configuration.
        "requireKerberosConfig", Property, "false";
        /// Program that renews Kerberos tickets.
        "kinit", Property, "/usr/bin/kinit";
        /// Class of the audit log.
        "audit.impl.class", Property, "org.apache.zookeeper.audit.Slf4jAuditLogger";
        /// Class that makes TLS contexts for clients.
        "ssl.context.supplier.class", Property, "";
        /// Class that makes TLS contexts for peers.
        "ssl.quorum.context.supplier.class", Property, "";
        /// TLS implementation of the Netty connection layer.
        "ssl.sslProvider", Property, "JDK";
        /// HTTP version of the admin server.
        "admin.httpVersion", Property, "11";
        /// Leave the logging beans out of JMX.
        "jmx.log4j.disable", Property, "false";
        /// Name of the logging bean in JMX.
        "jmx.log4j.mbean", Property, "log4j";
    }
}

rows! {
    /// What the original's scripts pass on every start.
    SCRIPTS, J {
        /// Directory of log files.
        "log.dir", Property, "";
        /// Name of the log file.
        "log.file", Property, "";
        /// Level and target of the log.
        "root.logger", Property, "";
        /// Level of the console log.
        "console.threshold", Property, "";
        /// Level of the log file.
        "log.threshold", Property, "";
    }
}

rows! {
    /// Names that only a client reads.
    CLIENT, C {
        /// SASL in the client.
        "sasl.client", Property, "true";
        /// User part of the server's principal.
        "sasl.client.username", Property, "zookeeper";
        /// JAAS section of the client.
        "sasl.clientconfig", Property, "Client";
        /// Canonical server names in the client.
        "sasl.client.canonicalize.hostname", Property, "true";
        /// Reverse lookups in the client.
        "sasl.client.allowReverseDnsLookup", Property, "false";
        /// TLS in the client.
        "client.secure", Property, "false";
        /// Connection class of the client.
        "clientCnxnSocket", Property, "";
        /// Do not set watches again after a reconnect.
        "disableAutoWatchReset", Property, "false";
        /// Milliseconds a client waits for a reply.
        "request.timeout", Property, "0";
        /// Principal of the server.
        "server.principal", Property, "";
        /// Realm of the server.
        "server.realm", Property, "";
        /// Shuffle the addresses of a host.
        "shuffleDnsResponse", Property, "false";
        /// Seconds between two lookups of service records.
        "hostProvider.dnsSrvRefreshIntervalSeconds", Property, "60";
    }
}
