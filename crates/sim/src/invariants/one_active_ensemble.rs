//! OneActiveEnsemble: of all leaders that are alive, only the newest can still commit. Ensembles may have no
//! server in common as long as a quorum of the older one has accepted the newer leader's epoch.

use std::collections::{BTreeMap, BTreeSet};

use oxherd_proto::{Epoch, ServerId};
use oxherd_zab::EnsembleConfig;

use crate::verdict::{Check, demand};

/// A leader that is established and alive, with the ensembles that have a say in what it proposes.
#[derive(Clone, Debug)]
pub struct Reign {
    /// Who.
    pub leader: ServerId,
    /// Its epoch.
    pub epoch: Epoch,
    /// In force, and proposed if there is one.
    pub ensembles: Vec<EnsembleConfig>,
}

impl Reign {
    /// Whether those that have accepted no later epoch are enough for it to commit.
    fn can_commit(&self, accepted: &BTreeMap<ServerId, Epoch>) -> bool {
        let free: BTreeSet<ServerId> =
            accepted.iter().filter(|(_, accepted)| **accepted <= self.epoch).map(|(id, _)| *id).collect();
        self.ensembles.iter().all(|config| config.is_quorum(&free))
    }
}

/// All living leaders, and the epochs that the servers' disks have accepted.
pub fn check(reigns: &[Reign], accepted: &BTreeMap<ServerId, Epoch>) -> Check {
    let newest = reigns.iter().map(|reign| reign.epoch).max();
    let older = reigns.iter().find(|reign| Some(reign.epoch) < newest && reign.can_commit(accepted));
    demand(older.is_none(), "OneActiveEnsemble", || {
        let names: Vec<String> =
            reigns.iter().map(|reign| format!("s{} in epoch {}", reign.leader, reign.epoch)).collect();
        let older = older.map_or(ServerId(0), |reign| reign.leader);
        format!("{} lead, and s{older} can still commit without the newest", names.join(" and "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ensembles_that_can_both_commit_are_found() {
        let config = |text: &str| EnsembleConfig::parse(text).expect("text");
        let old = config("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2");
        let new = config("server.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2");
        let reign =
            |leader, epoch, ensembles| Reign { leader: ServerId(leader), epoch: Epoch(epoch), ensembles };
        let accepted = |epochs: [i64; 5]| (1..).map(ServerId).zip(epochs.map(Epoch)).collect();
        let both = [reign(1, 1, vec![old.clone()]), reign(4, 2, vec![new.clone()])];
        assert!(check(&both, &accepted([1, 1, 2, 2, 2])).is_err(), "1 and 2 do not know of epoch 2");
        assert!(check(&both, &accepted([1, 2, 2, 2, 2])).is_ok());
        let joint = [reign(1, 1, vec![old, new.clone()]), reign(4, 2, vec![new])];
        assert!(check(&joint, &accepted([1, 1, 2, 2, 2])).is_ok(), "it needs the new ones too");
    }
}
