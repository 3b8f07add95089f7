//! PrimaryIntegrity: a leader has delivered all that was delivered before its epoch when it begins to propose.

use oxherd_proto::{Epoch, ServerId};

use super::{Entry, name_of};
use crate::verdict::{Check, demand};

/// A leader of `epoch` that serves, its deliveries, and what anybody delivered; both in the order of zxids.
pub fn check(id: ServerId, epoch: Epoch, delivered: &[Entry], history: &[Entry]) -> Check {
    let mut later = delivered.iter();
    let mut delivers = |entry: &&Entry| later.find(|other| other.0 >= entry.0) == Some(*entry);
    let missing = history.iter().filter(|(zxid, _)| zxid.epoch() < epoch).find(|entry| !delivers(entry));
    demand(missing.is_none(), "PrimaryIntegrity", || {
        format!(
            "s{id} leads epoch {epoch} and lacks {}",
            missing.map_or(String::new(), |entry| name_of(entry.0))
        )
    })
}

#[cfg(test)]
mod tests {
    use oxherd_proto::Zxid;

    use super::*;

    #[test]
    fn a_leader_that_lacks_an_earlier_txn_is_found() {
        let history = [(Zxid::new(Epoch(1), 1), 1), (Zxid::new(Epoch(1), 2), 2), (Zxid::new(Epoch(2), 1), 3)];
        assert!(check(ServerId(1), Epoch(2), &history[..2], &history).is_ok());
        assert!(check(ServerId(1), Epoch(2), &history[..1], &history).is_err());
    }
}
