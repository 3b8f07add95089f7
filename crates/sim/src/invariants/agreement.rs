//! Agreement: a zxid means the same txn on every server.

use std::collections::BTreeMap;

use oxherd_proto::{ServerId, Zxid};

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// Notes a txn that a server logs, and compares it with what others logged under its zxid.
pub fn check(known: &mut BTreeMap<Zxid, u64>, id: ServerId, (zxid, print): Entry) -> Check {
    let first = *known.entry(zxid).or_insert(print);
    demand(first == print, "Agreement", || {
        format!("s{id} has another txn {} than was proposed", name_of(zxid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_txns_of_one_zxid_are_found() {
        let mut known = BTreeMap::new();
        assert!(check(&mut known, ServerId(1), (Zxid(5), 7)).is_ok());
        assert!(check(&mut known, ServerId(2), (Zxid(5), 7)).is_ok());
        assert!(check(&mut known, ServerId(3), (Zxid(5), 8)).is_err());
    }
}
