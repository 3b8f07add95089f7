//! ShouldNotBeTriggered: no server that keeps the protocol is told by another one that it broke it.
//!
//! The specifications mark the branches that only a broken peer can reach. Here such a branch ends the link with what
//! the peer is said to have done.

use oxherd_proto::ServerId;

use crate::verdict::{Check, demand};

/// What a link may end with although both sides keep the protocol, and how that comes about.
const MAY_BE: [(&str, &str); 5] = [
    ("connected again", "the end of the learner's former link is still on its way"),
    (
        "is ahead of the leader",
        "a leader was elected by votes that are older than what a voter has logged since",
    ),
    ("is below the accepted", "the learner has accepted the epoch of another leader meanwhile"),
    ("could not be taken", "the link broke in the middle of a tree"),
    (
        "which is older: it cannot follow",
        "a change came into force at a learner while its leader was elected",
    ),
];

/// A server ends a link, for this reason.
pub fn check(id: ServerId, reason: &str) -> Check {
    demand(MAY_BE.iter().any(|(words, _)| reason.contains(words)), "ShouldNotBeTriggered", || {
        format!("s{id} ends the link of one that keeps the protocol: {reason}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_found_and_a_second_link_is_none() {
        assert!(check(ServerId(1), "server 2 connected again; do two servers share this id?").is_ok());
        assert!(check(ServerId(1), "proposal 0x100000004 after 0x100000002").is_err());
    }
}
