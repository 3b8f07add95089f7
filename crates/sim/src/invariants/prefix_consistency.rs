//! PrefixConsistency: of what two servers serve, one is a prefix of the other.

use oxherd_proto::ServerId;

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// What a server serves, against what was served by anybody.
pub fn check(id: ServerId, served: &[Entry], history: &[Entry]) -> Check {
    let differs = served.iter().zip(history).position(|(mine, theirs)| mine != theirs);
    demand(differs.is_none(), "PrefixConsistency", || {
        let at = differs.unwrap_or(0);
        format!("s{id} serves {} where others served {}", name_of(served[at].0), name_of(history[at].0))
    })
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn another_history_is_found_and_a_shorter_or_longer_one_is_fine() {
        let history = [(Zxid(1), 1), (Zxid(2), 2)];
        assert!(check(ServerId(1), &history[..1], &history).is_ok());
        assert!(check(ServerId(1), &[history[0], history[1], (Zxid(3), 3)], &history).is_ok());
        assert!(check(ServerId(1), &[history[0], (Zxid(3), 3)], &history).is_err());
    }
}
