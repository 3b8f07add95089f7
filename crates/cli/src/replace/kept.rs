//! What clients kept over a step.

use super::facts::Facts;

/// Sessions and watches before a step and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The member that was swapped.
    pub(crate) member: i64,
    /// Sessions before the step, and those of them that are still there; `None` when a leader did not tell. A session
    /// that its client closed meanwhile is gone too.
    pub(crate) sessions: Option<(usize, usize)>,
    /// Watches on all members, before and after; `None` when one of them did not tell.
    pub(crate) watches: Option<(u64, u64)>,
}

impl Kept {
    /// Compares the looks before and after a step.
    pub(crate) fn between(before: &Facts, after: &Facts, member: i64) -> Self {
        let of_leader = |facts: &Facts| facts.leader().and_then(|(_, server)| server.sessions.clone());
        let sessions = of_leader(before).zip(of_leader(after));
        Self {
            member,
            sessions: sessions.map(|(before, after)| (before.len(), before.intersection(&after).count())),
            watches: watches(before).zip(watches(after)),
        }
    }
}

/// Watches of all members.
pub(crate) fn watches(facts: &Facts) -> Option<u64> {
    facts.serving().map(|(_, server)| server.watches).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::replace::facts::Mode;
    use crate::replace::rules::tests::{ensemble, server_mut};

    #[test]
    fn a_session_that_is_gone_is_counted_and_a_new_one_is_not() {
        let mut before = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower]);
        let mut after = before.clone();
        assert_eq!(
            Kept::between(&before, &after, 1),
            Kept { member: 1, sessions: None, watches: Some((3, 3)) }
        );
        server_mut(&mut before, 2).sessions = Some(BTreeSet::from([1, 2, 3]));
        server_mut(&mut after, 2).sessions = Some(BTreeSet::from([1, 3, 4]));
        server_mut(&mut after, 3).watches = None;
        assert_eq!(
            Kept::between(&before, &after, 1),
            Kept { member: 1, sessions: Some((3, 2)), watches: None }
        );
    }
}
