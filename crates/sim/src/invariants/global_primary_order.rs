//! GlobalPrimaryOrder: the txns of an earlier leader are delivered before those of a later one.

use oxherd_proto::Zxid;

use super::name_of;
use crate::verdict::{Check, demand};

/// `next` is delivered behind `last`.
pub fn check(last: Zxid, next: Zxid) -> Check {
    demand(next.epoch() >= last.epoch(), "GlobalPrimaryOrder", || {
        format!("{} of an earlier epoch is delivered behind {}", name_of(next), name_of(last))
    })
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Epoch;

    use super::*;

    #[test]
    fn a_txn_of_an_earlier_epoch_is_found() {
        let at = |epoch, counter| Zxid::new(Epoch(epoch), counter);
        assert!(check(at(1, 9), at(2, 1)).is_ok());
        assert!(check(at(2, 1), at(1, 10)).is_err());
    }
}
