//! What must hold, one file a property; names as in the TLA+ specifications of Zab where there is one.
//!
//! Each is a function of what was seen, so that a failing example is a unit test.

pub mod acknowledged_writes;
pub mod agreement;
pub mod both_quorums;
pub mod committed_log_durability;
pub mod convergence;
pub mod digests;
pub mod durable_votes;
pub mod ephemerals;
pub mod epochs_never_go_back;
pub mod event_before_data;
pub mod global_primary_order;
pub mod integrity;
pub mod known_ensemble;
pub mod leader_log_completeness;
pub mod leadership;
pub mod local_primary_order;
pub mod monotonic_view;
pub mod needless_stop;
pub mod no_panic;
pub mod one_active_ensemble;
pub mod prefix_consistency;
pub mod primary_integrity;
pub mod process_consistency;
pub mod recovered_prefix;
pub mod reply_after_commit;
pub mod session_order;
pub mod should_not_be_triggered;
pub mod total_order;
pub mod witness_reads;

use oxherd_proto::Zxid;

/// A txn as invariants know it: its zxid, and a short name for its bytes.
pub type Entry = (Zxid, u64);

/// A zxid for people.
pub fn name_of(zxid: Zxid) -> String {
    format!("{}.{}", zxid.epoch().0, zxid.counter())
}
