//! CommittedLogDurability: what is committed is durable on a quorum of disks, and no disk that had it loses it.

use std::collections::BTreeSet;

use oxherd_proto::{ServerId, Zxid};
use oxherd_zab::EnsembleConfig;

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// Who has a txn on disk, and who has lost a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Homes {
    /// Have it.
    pub holders: BTreeSet<ServerId>,
    /// Had it on a disk that was lost.
    pub gone: BTreeSet<ServerId>,
    /// Lost their disk and have not learned since: they have no vote.
    pub silent: BTreeSet<ServerId>,
}

/// A txn is delivered: a quorum has had it on disk, and no quorum that may vote is without it.
pub fn on_quorum(ensemble: &EnsembleConfig, zxid: Zxid, homes: &Homes) -> Check {
    let had = homes.holders.union(&homes.gone).copied().collect();
    let voters = ensemble.members.keys().copied();
    let without = voters.filter(|id| !homes.holders.contains(id) && !homes.silent.contains(id)).collect();
    demand(ensemble.is_quorum(&had) && !ensemble.is_quorum(&without), "CommittedLogDurability", || {
        format!("{} is delivered, and on disks so: {homes:?}", name_of(zxid))
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
        let ids = |ids: &[i64]| ids.iter().copied().map(ServerId).collect();
        let held_by = |holders| Homes { holders, ..Homes::default() };
        assert!(on_quorum(&ensemble, Zxid(1), &held_by(ids(&[1, 3]))).is_ok());
        assert!(on_quorum(&ensemble, Zxid(1), &held_by(ids(&[3]))).is_err());
        let lost = Homes { gone: ids(&[1]), silent: ids(&[1]), ..held_by(ids(&[3])) };
        assert!(on_quorum(&ensemble, Zxid(1), &lost).is_ok(), "1 had it, and 2 alone is no quorum");
        let voting_again = Homes { silent: ids(&[]), ..lost };
        assert!(on_quorum(&ensemble, Zxid(1), &voting_again).is_err());
    }

    #[test]
    fn a_disk_that_loses_a_committed_txn_is_found() {
        let history = [(Zxid(1), 1), (Zxid(2), 2)];
        assert_eq!(held(&[history[0], (Zxid(3), 3)], &history), 1);
        assert!(kept(ServerId(1), 1, 2).is_ok());
        assert!(kept(ServerId(1), 2, 1).is_err());
    }
}
