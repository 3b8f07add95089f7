//! Integrity: what is delivered was proposed by a leader.

use std::collections::BTreeMap;

use oxherd_proto::{ServerId, Zxid};

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// A server delivers a txn.
pub fn check(proposed: &BTreeMap<Zxid, u64>, id: ServerId, (zxid, print): Entry) -> Check {
    demand(proposed.get(&zxid) == Some(&print), "Integrity", || {
        format!("s{id} delivers {}, which no leader proposed", name_of(zxid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_txn_from_nowhere_is_found() {
        let proposed = BTreeMap::from([(Zxid(1), 10)]);
        assert!(check(&proposed, ServerId(1), (Zxid(1), 10)).is_ok());
        assert!(check(&proposed, ServerId(1), (Zxid(2), 10)).is_err());
        assert!(check(&proposed, ServerId(1), (Zxid(1), 11)).is_err());
    }
}
