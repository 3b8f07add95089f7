//! Keys of the HTTP admin server and of metrics.

use std::collections::BTreeMap;

use super::section;

section! {
    /// HTTP admin server.
    Admin {
        /// Serve the admin commands over HTTP.
        enabled: bool = "admin.enableServer", Property, M, Http, "true";
        /// Address the admin server listens on.
        address: String = "admin.serverAddress", Property, M, Http, "0.0.0.0";
        /// Port of the admin server.
        port: i32 = "admin.serverPort", Property, M, Http, "8080";
        /// Milliseconds an idle HTTP connection is kept.
        idle_ms: i32 = "admin.idleTimeout", Property, A, Http, "30000";
        /// Path under which the commands lie.
        command_url: String = "admin.commandURL", Property, A, Http, "/commands";
        /// HTTP and HTTPS on one port.
        port_unification: bool = "admin.portUnification", Property, A, Http, "false";
        /// HTTPS only.
        force_https: bool = "admin.forceHttps", Property, A, Http, "false";
        /// HTTPS clients need a certificate.
        need_client_auth: bool = "admin.needClientAuth", Property, A, Http, "false";
        /// Milliseconds between two snapshot or restore commands.
        rate_limit_ms: i64 = "admin.rateLimiterIntervalInMS", Property, A, Http, "300000";
        /// The snapshot command is offered.
        snapshot: bool = "admin.snapshot.enabled", Property, M, Http, "true";
        /// The restore command is offered.
        restore: bool = "admin.restore.enabled", Property, M, Http, "true";
    }
}

section! {
    /// Metrics provider.
    Metrics {
        /// Provider: the original's class name, of which the last part counts.
        provider: String = "metricsProvider.className", File, M, Http, "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider";
        /// Address of the Prometheus endpoint.
        host: String = "metricsProvider.httpHost", File, M, Http, "0.0.0.0";
        /// Port of the Prometheus endpoint.
        port: i32 = "metricsProvider.httpPort", File, M, Http, "7000";
        /// Add figures of the process to the endpoint.
        process: bool = "metricsProvider.exportJvmInfo", File, A, Http, "true";
        /// TLS port of the endpoint; -1 means none.
        https_port: i32 = "metricsProvider.httpsPort", File, A, Http, "-1";
        /// Seconds over which quantiles are taken.
        rotate_s: i32 = "metricsProvider.prometheusMetricsSummaryRotateIntervalSeconds", File, A, Http, "60";
        /// Stores and TLS settings of the endpoint.
        tls: BTreeMap<String, String> = "metricsProvider.ssl.*", File, A, Http, "";
        /// Threads of the endpoint.
        threads: i32 = "metricsProvider.numWorkerThreads", File, J, Jvm, "1";
        /// Queue of the endpoint.
        queue_max: i32 = "metricsProvider.maxQueueSize", File, J, Jvm, "1000000";
        /// Milliseconds the endpoint is given to stop.
        shutdown_ms: i64 = "metricsProvider.workerShutdownTimeoutMs", File, J, Jvm, "1000";
        /// Further settings, handed to the provider as they are.
        other: BTreeMap<String, String> = "metricsProvider.*", File, A, Http, "";
    }
}
