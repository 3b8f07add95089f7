//! LeaderLogCompleteness: the log of an established leader holds all that was committed before its epoch.

use oxherd_proto::{Epoch, ServerId};

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// A leader's durable log against what was delivered by anybody. One that stood still while its quorum
/// acknowledged it, and then went on to a later leader, may lack what that one committed.
pub fn check(id: ServerId, epoch: Epoch, log: &[Entry], history: &[Entry]) -> Check {
    let mut earlier = history.iter().take_while(|(zxid, _)| zxid.epoch() <= epoch).enumerate();
    let missing = earlier.find(|(at, entry)| log.get(*at) != Some(entry));
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
        let history = [(Zxid::new(Epoch(1), 1), 1), (Zxid::new(Epoch(1), 2), 2), (Zxid::new(Epoch(3), 1), 3)];
        assert!(check(ServerId(1), Epoch(2), &history[..2], &history).is_ok());
        assert!(check(ServerId(1), Epoch(2), &history[..1], &history).is_err());
        assert!(check(ServerId(1), Epoch(4), &history[..2], &history).is_err());
    }
}
