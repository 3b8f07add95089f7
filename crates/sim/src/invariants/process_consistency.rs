//! ProcessConsistency: a server's tree, log and protocol state tell the same story.

use oxherd_proto::{ServerId, Zxid};

use super::name_of;
use crate::verdict::{Check, demand};

/// The last txn in memory against the last one on disk: memory is never ahead.
pub fn memory_within_log(id: ServerId, memory: Zxid, durable: Zxid) -> Check {
    demand(memory <= durable, "ProcessConsistency", || {
        format!("the tree of s{id} is at {} and its log ends at {}", name_of(memory), name_of(durable))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_ahead_of_the_log_is_found() {
        assert!(memory_within_log(ServerId(1), Zxid(4), Zxid(4)).is_ok());
        assert!(memory_within_log(ServerId(1), Zxid(5), Zxid(4)).is_err());
    }
}
