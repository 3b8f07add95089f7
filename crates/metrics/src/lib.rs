//! Metrics of a server: counters and summaries by the names that dashboards know.
//!
//! One table names all of them, so that each exists from the start with the value 0. Adding a value is a few relaxed
//! atomic operations, without a lock and without allocation but for the first value of a reservoir.

mod instrument;
mod namespaces;
mod statistics;

pub use instrument::{Counter, CounterSet, Percentiles, RESERVOIR_LEN, Summary, SummarySet};
pub use namespaces::{NAMESPACES_MAX, Namespaces};
pub use statistics::{Sizes, Statistics};

/// A value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A number printed with at least one decimal.
    Decimal(f64),
}

macro_rules! metrics {
    (
        counters { $($counter:ident),* $(,)? }
        summaries { $($summary:ident),* $(,)? }
        percentiles { $($percentiles:ident),* $(,)? }
        counter_sets { $($counter_set:ident),* $(,)? }
        summary_sets { $($summary_set:ident),* $(,)? }
        namespaces { $($namespaces:ident),* $(,)? }
        percentile_sets { $($percentile_set:ident),* $(,)? }
    ) => {
        /// All metrics that count or measure; values that are read off the server are gauges of the status.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $( #[doc = concat!("Counter `", stringify!($counter), "`.")] pub $counter: Counter, )*
            $( #[doc = concat!("Summary `", stringify!($summary), "`.")] pub $summary: Summary, )*
            $( #[doc = concat!("Summary with percentiles `", stringify!($percentiles), "`.")] pub $percentiles: Percentiles, )*
            $( #[doc = concat!("Counters `", stringify!($counter_set), "`, one a key.")] pub $counter_set: CounterSet, )*
            $( #[doc = concat!("Summaries `", stringify!($summary_set), "`, one a key.")] pub $summary_set: SummarySet<Summary>, )*
            $( #[doc = concat!("Summaries `", stringify!($namespaces), "`, one a namespace.")] pub $namespaces: Namespaces, )*
            $( #[doc = concat!("Summaries with percentiles `", stringify!($percentile_set), "`, one a key.")] pub $percentile_set: SummarySet<Percentiles>, )*
        }

        impl Metrics {
            /// Names of the counters.
            pub const COUNTERS: &'static [&'static str] = &[$( stringify!($counter) ),*];
            /// Names of the summaries.
            pub const SUMMARIES: &'static [&'static str] = &[$( stringify!($summary) ),*];
            /// Names of the summaries with percentiles.
            pub const PERCENTILES: &'static [&'static str] = &[$( stringify!($percentiles) ),*];
            /// Names of the sets, of which a value appears with its first key.
            pub const SETS: &'static [&'static str] = &[
                $( stringify!($counter_set), )* $( stringify!($summary_set), )* $( stringify!($namespaces), )*
                $( stringify!($percentile_set), )*
            ];

            /// Gives every value under the name that monitoring tools know.
            // Java: DefaultMetricsProvider.dump
            pub fn dump(&self, sink: &mut dyn FnMut(&str, Value)) {
                $( sink(stringify!($counter), Value::Integer(self.$counter.value())); )*
                $( self.$counter_set.dump(stringify!($counter_set), sink); )*
                $( self.$summary.dump(stringify!($summary), sink); )*
                $( self.$percentiles.dump(stringify!($percentiles), sink); )*
                $( self.$summary_set.dump(stringify!($summary_set), sink); )*
                $( self.$namespaces.dump(stringify!($namespaces), sink); )*
                $( self.$percentile_set.dump(stringify!($percentile_set), sink); )*
            }

            /// Sets every value back.
            pub fn reset(&self) {
                $( self.$counter.reset(); )*
                $( self.$summary.reset(); )*
                $( self.$percentiles.reset(); )*
                $( self.$counter_set.reset(); )*
                $( self.$summary_set.reset(); )*
                $( self.$namespaces.reset(); )*
                $( self.$percentile_set.reset(); )*
            }
        }
    };
}

metrics! {
    counters {
        add_dead_watcher_stall_time, bytes_received_count, cnxn_closed_without_zk_server_running, commit_count,
        connection_drop_count, connection_rejected, connection_request_count, connection_revalidate_count,
        dead_watchers_cleared, dead_watchers_queued, diff_count, digest_mismatches_count, ensemble_auth_fail,
        ensemble_auth_skip, ensemble_auth_success, insecure_admin_count, large_requests_rejected,
        learner_commit_received_count, learner_proposal_received_count, looking_count, outstanding_changes_queued, outstanding_changes_removed,
        prep_processor_request_queued, proposal_count, quit_leading_due_to_disloyal_voter, request_commit_queued,
        request_throttle_wait_count, requests_not_forwarded_to_commit_processor, response_bytes,
        response_packet_cache_hits, response_packet_cache_misses, response_packet_get_children_cache_hits,
        response_packet_get_children_cache_misses, restore_error_count, restore_rate_limited_count, revalidate_count,
        sessionless_connections_expired, skip_learner_request_to_next_processor_count, snap_count,
        snapshot_error_count, snapshot_rate_limited_count, stale_replies, stale_requests, stale_requests_dropped,
        stale_sessions_expired, sync_processor_request_queued, throttled_ops, tls_handshake_exceeded,
        unrecoverable_error_count, unsuccessful_handshake,
        watch_bytes,
    }
    summaries {
        commit_commit_proc_req_queued, commit_process_time, concurrent_request_processing_in_commit_processor,
        connection_token_deficit, dbinittime, election_time, follower_sync_time, fsynctime, inflight_diff_count,
        inflight_snap_count, leader_unavailable_time, learner_request_processor_queue_size,
        netty_queued_buffer_capacity, node_changed_watch_count, node_children_watch_count, node_created_watch_count,
        node_deleted_watch_count, observer_sync_time, pending_session_queue_size, prep_process_time,
        prep_processor_queue_size, proposal_process_time, read_commit_proc_issued, read_commit_proc_req_queued,
        reads_after_write_in_session_queue, reads_issued_from_session_queue, requests_in_session_queue, restore_time,
        session_queues_drained, snapshottime, socket_closing_time, startup_snap_load_time, startup_txns_load_time,
        startup_txns_loaded, sync_process_time, sync_processor_batch_size, sync_processor_queue_size,
        time_waiting_empty_pool_in_commit_processor_read_ms, unavailable_time, write_batch_time_in_commit_processor,
        write_commit_proc_issued, write_commit_proc_req_queued,
    }
    percentiles {
        close_session_prep_time, commit_propagation_latency, dead_watchers_cleaner_latency, jvm_pause_time_ms,
        local_write_committed_time_ms, om_commit_process_time_ms, om_proposal_process_time_ms,
        prep_processor_queue_time_ms, propagation_latency, proposal_ack_creation_latency, proposal_latency,
        quorum_ack_latency, read_commitproc_time_ms, read_final_proc_time_ms, readlatency,
        request_throttle_queue_time_ms, server_write_committed_time_ms, sync_processor_queue_and_flush_time_ms,
        sync_processor_queue_flush_time_ms, sync_processor_queue_time_ms, updatelatency, write_commitproc_time_ms,
        write_final_proc_time_ms,
    }
    counter_sets { quota_exceeded_error_per_namespace }
    summary_sets { learner_handler_qp_size }
    namespaces { read_per_namespace, write_per_namespace }
    percentile_sets { ack_latency, learner_handler_qp_time_ms }
}

#[cfg(test)]
mod tests;
