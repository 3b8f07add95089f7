//! KnownEnsemble: who elects itself votes in the ensemble it holds for the one in force; and once healed all
//! members know the ensemble that was agreed on last.

use std::collections::BTreeMap;

use oxherd_proto::ServerId;
use oxherd_zab::EnsembleConfig;

use crate::verdict::{Check, demand};

/// A server that looks for a leader votes for `leader`.
pub fn may_vote(id: ServerId, leader: ServerId, active: &EnsembleConfig) -> Check {
    demand(leader != id || active.is_voter(id), "KnownEnsemble", || {
        format!("s{id} stands for election and is no voter of version {:x}", active.version)
    })
}

/// Versions as the members know them, once all is healed.
pub fn is_known(last: &EnsembleConfig, versions: &BTreeMap<ServerId, i64>) -> bool {
    last.members.keys().all(|id| versions.get(id) == Some(&last.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_server_that_stands_for_election_is_found() {
        let config =
            EnsembleConfig::parse("server.1=a:1:2\nserver.2=b:1:2:observer\nversion=7").expect("text");
        assert!(may_vote(ServerId(1), ServerId(1), &config).is_ok());
        assert!(may_vote(ServerId(2), ServerId(2), &config).is_err());
        assert!(may_vote(ServerId(3), ServerId(3), &config).is_err());
        let versions = |of: [i64; 2]| (1..).map(ServerId).zip(of).collect();
        assert!(is_known(&config, &versions([7, 7])));
        assert!(!is_known(&config, &versions([7, 6])));
    }
}
