//! Ephemerals: they die with their session and not before, and a session dies of silence and not before.

use std::collections::BTreeSet;

use oxherd_proto::{ServerId, SessionId};

use crate::verdict::{Check, demand};

/// Owners of ephemeral nodes in a tree against the sessions that live.
pub fn have_owners(id: ServerId, owners: &BTreeSet<SessionId>, living: &BTreeSet<SessionId>) -> Check {
    let dead = owners.difference(living).next();
    demand(dead.is_none(), "Ephemerals", || format!("s{id} holds nodes of {dead:?}, a session that is over"))
}

/// A session expires at `now_us`; it was last heard of at `heard_us`.
pub fn not_early(session: SessionId, heard_us: u64, now_us: u64, timeout_ms: u64) -> Check {
    demand(now_us >= heard_us + timeout_ms * 1000, "Ephemerals", || {
        format!(
            "{session} expires {} µs after it was heard; its timeout is {timeout_ms} ms",
            now_us - heard_us
        )
    })
}

/// Sessions that were silent for longer than they may be.
pub fn are_over(silent: &BTreeSet<SessionId>) -> Check {
    demand(silent.is_empty(), "Ephemerals", || format!("{silent:?} live on though nobody was heard of"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_the_dead_an_early_end_and_a_late_one_are_found() {
        let of = |ids: &[i64]| ids.iter().copied().map(SessionId).collect::<BTreeSet<_>>();
        assert!(have_owners(ServerId(1), &of(&[1]), &of(&[1, 2])).is_ok());
        assert!(have_owners(ServerId(1), &of(&[3]), &of(&[1, 2])).is_err());
        assert!(not_early(SessionId(1), 1000, 5_001_000, 5000).is_ok());
        assert!(not_early(SessionId(1), 1000, 5_000_000, 5000).is_err());
        assert!(are_over(&of(&[])).is_ok());
        assert!(are_over(&of(&[4])).is_err());
    }
}
