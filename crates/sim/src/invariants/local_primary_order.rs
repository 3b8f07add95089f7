//! LocalPrimaryOrder: the txns of one leader are delivered in its order and without a gap.

use oxherd_proto::Zxid;

use super::name_of;
use crate::verdict::{Check, demand};

/// `next` is delivered right behind `last`: the next of its epoch, or the first of a later one.
pub fn check(last: Zxid, next: Zxid) -> Check {
    let holds = if next.epoch() == last.epoch() { next == last.next() } else { next.counter() == 1 };
    demand(holds, "LocalPrimaryOrder", || format!("{} follows {}", name_of(next), name_of(last)))
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Epoch;

    use super::*;

    #[test]
    fn a_gap_in_an_epoch_and_at_its_beginning_is_found() {
        let at = |epoch, counter| Zxid::new(Epoch(epoch), counter);
        assert!(check(at(1, 4), at(1, 5)).is_ok());
        assert!(check(at(1, 4), at(3, 1)).is_ok());
        assert!(check(at(1, 4), at(1, 6)).is_err());
        assert!(check(at(1, 4), at(2, 2)).is_err());
    }
}
