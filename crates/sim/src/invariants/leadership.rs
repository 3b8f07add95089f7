//! Leadership1 and Leadership2: an epoch has one established leader, and a quorum has stored its epoch.

use std::collections::{BTreeMap, BTreeSet};

use oxherd_proto::{Epoch, ServerId};
use oxherd_zab::EnsembleConfig;

use crate::verdict::{Check, demand};

/// A server is established as the leader of an epoch.
pub fn one_leader(leaders: &mut BTreeMap<Epoch, ServerId>, epoch: Epoch, id: ServerId) -> Check {
    let first = *leaders.entry(epoch).or_insert(id);
    demand(first == id, "Leadership1", || format!("s{first} and s{id} both lead epoch {epoch}"))
}

/// A quorum stands behind a leader that is established: each has the epoch in its file.
pub fn has_quorum(ensemble: &EnsembleConfig, epoch: Epoch, current: &BTreeMap<ServerId, Epoch>) -> Check {
    let behind: BTreeSet<ServerId> =
        current.iter().filter(|(_, stored)| **stored >= epoch).map(|(id, _)| *id).collect();
    demand(ensemble.is_quorum(&behind), "Leadership2", || {
        format!("the leader of epoch {epoch} is established and only {behind:?} have stored it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_leader_of_an_epoch_is_found() {
        let mut leaders = BTreeMap::new();
        assert!(one_leader(&mut leaders, Epoch(1), ServerId(1)).is_ok());
        assert!(one_leader(&mut leaders, Epoch(1), ServerId(1)).is_ok());
        assert!(one_leader(&mut leaders, Epoch(2), ServerId(2)).is_ok());
        assert!(one_leader(&mut leaders, Epoch(1), ServerId(2)).is_err());
    }

    #[test]
    fn a_leader_without_a_quorum_is_found() {
        let ensemble = EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2").expect("text");
        let stored = |epochs: [i64; 3]| (1..).map(ServerId).zip(epochs.map(Epoch)).collect();
        assert!(has_quorum(&ensemble, Epoch(2), &stored([2, 2, 1])).is_ok());
        assert!(has_quorum(&ensemble, Epoch(2), &stored([2, 1, 1])).is_err());
    }
}
