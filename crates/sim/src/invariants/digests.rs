//! Equal digest at equal zxid, on every server and after every recovery.

use std::collections::BTreeMap;

use oxherd_proto::{ServerId, Zxid};

use super::name_of;
use crate::verdict::{Check, demand};

/// A server's tree has this digest at that zxid.
pub fn check(known: &mut BTreeMap<Zxid, u64>, id: ServerId, zxid: Zxid, digest: u64) -> Check {
    let first = *known.entry(zxid).or_insert(digest);
    demand(first == digest, "EqualDigest", || {
        format!("the tree of s{id} at {} has digest {digest:x} where others had {first:x}", name_of(zxid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_tree_at_the_same_zxid_is_found() {
        let mut known = BTreeMap::new();
        assert!(check(&mut known, ServerId(1), Zxid(3), 9).is_ok());
        assert!(check(&mut known, ServerId(2), Zxid(4), 8).is_ok());
        assert!(check(&mut known, ServerId(2), Zxid(3), 8).is_err());
    }
}
