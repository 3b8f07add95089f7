//! TotalOrder: what is delivered is delivered in the order of zxids, each once.

use oxherd_proto::Zxid;

use super::name_of;
use crate::verdict::{Check, demand};

/// `next` is delivered behind `last`.
pub fn check(last: Zxid, next: Zxid) -> Check {
    demand(next > last, "TotalOrder", || format!("{} is delivered behind {}", name_of(next), name_of(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_txn_delivered_twice_or_late_is_found() {
        assert!(check(Zxid(4), Zxid(5)).is_ok());
        assert!(check(Zxid(5), Zxid(5)).is_err());
        assert!(check(Zxid(6), Zxid(5)).is_err());
    }
}
