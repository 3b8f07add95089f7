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

/// A quorum stands behind a leader that is established: each has the epoch in its file. `silent` are servers that
/// lost their disk and have no vote, with the epoch that was on it: they may be of that quorum, but no quorum of the
/// others may have missed the epoch.
pub fn has_quorum(
    ensemble: &EnsembleConfig,
    epoch: Epoch,
    current: &BTreeMap<ServerId, Epoch>,
    silent: &BTreeMap<ServerId, Epoch>,
) -> Check {
    let with = |epochs: &BTreeMap<ServerId, Epoch>| -> BTreeSet<ServerId> {
        epochs.iter().filter(|(_, stored)| **stored >= epoch).map(|(id, _)| *id).collect()
    };
    let (behind, gone) = (with(current), with(silent));
    let without = current.keys().filter(|id| !behind.contains(id) && !silent.contains_key(id));
    let missed = ensemble.is_quorum(&without.copied().collect());
    demand(ensemble.is_quorum(&behind.union(&gone).copied().collect()) && !missed, "Leadership2", || {
        format!("the leader of epoch {epoch} is established, {behind:?} have stored it and {gone:?} had")
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
        let none = BTreeMap::new();
        assert!(has_quorum(&ensemble, Epoch(2), &stored([2, 2, 1]), &none).is_ok());
        assert!(has_quorum(&ensemble, Epoch(2), &stored([2, 1, 1]), &none).is_err());
        let lost = BTreeMap::from([(ServerId(2), Epoch(2))]);
        assert!(has_quorum(&ensemble, Epoch(2), &stored([2, 0, 1]), &lost).is_ok());
        let never_had = BTreeMap::from([(ServerId(2), Epoch(1))]);
        assert!(has_quorum(&ensemble, Epoch(2), &stored([2, 0, 1]), &never_had).is_err());
    }
}
