//! BothQuorums: a change of the ensemble, and what is proposed behind it until it is committed, is committed
//! with a quorum of the former ensemble and one of the next.

use std::collections::BTreeSet;

use oxherd_proto::{ServerId, Zxid};
use oxherd_zab::EnsembleConfig;

use super::committed_log_durability::Homes;
use super::name_of;
use crate::verdict::{Check, demand};

/// A txn is committed while it is on these disks, or was before they were lost; `needed` are the ensembles in play
/// when it was proposed.
pub fn check(needed: &[&EnsembleConfig], zxid: Zxid, homes: &Homes) -> Check {
    let holders: BTreeSet<ServerId> = homes.holders.union(&homes.gone).copied().collect();
    let lacking = needed.iter().find(|config| !config.is_quorum(&holders));
    demand(lacking.is_none(), "BothQuorums", || {
        let voters: Vec<i64> =
            lacking.iter().flat_map(|config| config.voters()).map(|server| server.0).collect();
        format!("{} is committed; {holders:?} have it on disk, no quorum of {voters:?}", name_of(zxid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_without_the_former_or_the_next_quorum_is_found() {
        let former = EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2").expect("text");
        let next = EnsembleConfig::parse("server.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2").expect("text");
        let both = |ids: &[i64]| {
            let holders = ids.iter().copied().map(ServerId).collect();
            check(&[&former, &next], Zxid(7), &Homes { holders, ..Homes::default() })
        };
        assert!(both(&[2, 3, 4]).is_ok());
        assert!(both(&[1, 2, 3]).is_err(), "no quorum of the next");
        assert!(both(&[3, 4, 5]).is_err(), "no quorum of the former");
    }
}
