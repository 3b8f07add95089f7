//! LeaderLogCompleteness: the log of an established leader holds all that was ever committed.

use oxherd_proto::ServerId;

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// A leader's durable log against what was delivered by anybody.
pub fn check(id: ServerId, log: &[Entry], history: &[Entry]) -> Check {
    let missing = history.iter().enumerate().find(|(at, entry)| log.get(*at) != Some(entry));
    demand(missing.is_none(), "LeaderLogCompleteness", || {
        format!(
            "s{id} leads, and its log lacks {}",
            missing.map_or(String::new(), |(_, entry)| name_of(entry.0))
        )
    })
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn a_leader_without_a_committed_txn_is_found() {
        let history = [(Zxid(1), 1), (Zxid(2), 2)];
        assert!(check(ServerId(1), &[history[0], history[1], (Zxid(3), 3)], &history).is_ok());
        assert!(check(ServerId(1), &history[..1], &history).is_err());
    }
}
