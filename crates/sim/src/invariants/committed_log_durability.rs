//! CommittedLogDurability: what is committed is durable on a quorum of disks, and no disk that had it loses it.

use std::collections::BTreeSet;

use oxherd_proto::{ServerId, Zxid};
use oxherd_zab::EnsembleConfig;

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// A txn is delivered while these servers have it on their disks.
pub fn on_quorum(ensemble: &EnsembleConfig, zxid: Zxid, holders: &BTreeSet<ServerId>) -> Check {
    demand(ensemble.is_quorum(holders), "CommittedLogDurability", || {
        format!("{} is delivered, and only {holders:?} have it on disk", name_of(zxid))
    })
}

/// How many of the committed txns a disk holds, from the first on.
pub fn held(log: &[Entry], history: &[Entry]) -> usize {
    log.iter().zip(history).take_while(|(mine, committed)| mine == committed).count()
}

/// A disk held that many of the committed txns and holds so many now.
pub fn kept(id: ServerId, before: usize, now: usize) -> Check {
    demand(now >= before, "CommittedLogDurability", || {
        format!("the disk of s{id} held {before} committed txns and holds {now}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_is_no_home_for_a_committed_txn() {
        let ensemble = EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2").expect("text");
        let holders = |ids: &[i64]| ids.iter().copied().map(ServerId).collect();
        assert!(on_quorum(&ensemble, Zxid(1), &holders(&[1, 3])).is_ok());
        assert!(on_quorum(&ensemble, Zxid(1), &holders(&[3])).is_err());
    }

    #[test]
    fn a_disk_that_loses_a_committed_txn_is_found() {
        let history = [(Zxid(1), 1), (Zxid(2), 2)];
        assert_eq!(held(&[history[0], (Zxid(3), 3)], &history), 1);
        assert!(kept(ServerId(1), 1, 2).is_ok());
        assert!(kept(ServerId(1), 2, 1).is_err());
    }
}
