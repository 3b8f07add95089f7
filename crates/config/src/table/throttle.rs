//! Keys that slow clients down when there is too much work.

use super::section;

section! {
    /// Token bucket over new connections.
    ConnectionThrottle {
        /// Tokens the bucket holds; 0 turns the throttle off.
        tokens: i32 = "connection_throttle_tokens", Property, A, Honoured, "0";
        /// Milliseconds between two refills.
        fill_ms: i32 = "connection_throttle_fill_time", Property, A, Honoured, "1";
        /// Tokens a refill adds.
        fill_count: i32 = "connection_throttle_fill_count", Property, A, Honoured, "1";
        /// Milliseconds the drop probability stays as it is; -1 turns dropping off.
        freeze_ms: i32 = "connection_throttle_freeze_time", Property, A, Honoured, "-1";
        /// Step by which the drop probability rises.
        drop_increase: f64 = "connection_throttle_drop_increase", Property, A, Honoured, "0.02";
        /// Step by which the drop probability falls.
        drop_decrease: f64 = "connection_throttle_drop_decrease", Property, A, Honoured, "0.002";
        /// Share of the bucket above which the drop probability falls.
        decrease_ratio: f64 = "connection_throttle_decrease_ratio", Property, A, Honoured, "0";
        /// Connections cost tokens by the weights below.
        weighted: bool = "connection_throttle_weight_enabled", Property, A, Honoured, "false";
        /// Tokens a new global session costs.
        global_weight: i32 = "connection_throttle_global_session_weight", Property, A, Honoured, "3";
        /// Tokens a new local session costs.
        local_weight: i32 = "connection_throttle_local_session_weight", Property, A, Honoured, "1";
        /// Tokens a resumed session costs.
        renew_weight: i32 = "connection_throttle_renew_session_weight", Property, A, Honoured, "2";
    }
}

section! {
    /// Limits of requests in progress.
    RequestThrottle {
        /// Requests in progress beyond which no more are read from a connection that waits for an answer; in an ensemble divided among the members.
        outstanding_max: i32 = "globalOutstandingLimit", Property, M, Honoured, "1000";
        /// Requests in progress before the throttle stalls new ones; 0 turns it off.
        requests_max: i32 = "request_throttle_max_requests", Property, A, Honoured, "0";
        /// Milliseconds between two looks at the oldest request that waits.
        stall_ms: i32 = "request_throttle_stall_time", Property, A, Honoured, "100";
        /// Give up stale requests that wait, and close their connections.
        drop_stale: bool = "request_throttle_drop_stale", Property, A, Honoured, "true";
        /// A request of a closed connection is stale.
        stale_connection: bool = "request_stale_connection_check", Property, A, Honoured, "true";
        /// A request older than its session timeout is stale.
        stale_latency: bool = "request_stale_latency_check", Property, A, Honoured, "false";
        /// Milliseconds the throttle is given to drain at shutdown.
        shutdown_ms: i32 = "request_throttler.shutdownTimeout", Property, A, Honoured, "10000";
        /// Milliseconds in the queue after which a request is answered as throttled; 0 turns it off. Nothing queues unless request_throttle_max_requests is set.
        throttled_op_ms: i32 = "throttled_op_wait_time", Property, A, Honoured, "0";
        /// Reads taken in one round of the original's commit stage; there is no such stage here.
        read_batch_max: i32 = "commitProcessor.maxReadBatchSize", Property, A, Jvm, "-1";
        /// Commits taken in one round of the original's commit stage; there is no such stage here.
        commit_batch_max: i32 = "commitProcessor.maxCommitBatchSize", Property, A, Jvm, "1";
    }
}
