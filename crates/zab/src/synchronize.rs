//! How a learner is brought to the leader's history: the choice of DIFF, TRUNC or SNAP.
// Java: LearnerHandler.syncFollower

use bytes::Bytes;
use oxherd_proto::{Epoch, PacketType, Zxid};

use crate::history::History;
use crate::io::{LinkId, Output};
use crate::local::Local;
use crate::packet;

/// Where the sender's history stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Everything up to here goes out as committed: for a leader not established yet the whole of its
    /// history, afterwards what is committed.
    pub(crate) committed: Zxid,
    /// The sender's epoch.
    pub(crate) epoch: Epoch,
}

/// What is sent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The learner lacks only what comes after `from`.
    Diff {
        /// For the packet.
        zxid: Zxid,
        from: Zxid,
    },
    /// The learner has txns this history lacks.
    Trunc(Zxid),
    /// The learner lacks more than is kept; maybe the log files have it.
    ReadLog,
    /// The learner gets the whole tree.
    Snap,
}

impl Plan {
    /// Chooses for a learner whose log ends at `last`.
    pub(crate) fn choose(history: &History, bounds: Bounds, last: Zxid) -> Self {
        let Bounds { committed, epoch } = bounds;
        let starts_epoch = last.counter() == 0;
        // A learner may have recorded the start of this very epoch, which is no txn.
        let at_epoch = last == Zxid::new(epoch, 0) && last > committed;
        if last == committed || at_epoch {
            return Self::Diff { zxid: last, from: last };
        }
        if last > committed {
            return if starts_epoch { Self::Snap } else { Self::Trunc(committed) };
        }
        if last >= history.kept_after() {
            return Self::within(history, committed, last);
        }
        if history.is_complete_after(last) && !starts_epoch { Self::ReadLog } else { Self::Snap }
    }

    /// The kept txns have no gap, so a zxid that is not among them is of a side path that ended with its
    /// epoch. A Java learner cannot be cut across epochs.
    fn within(history: &History, committed: Zxid, last: Zxid) -> Self {
        let is_known = last == history.kept_after() || history.kept().any(|(zxid, _)| *zxid == last);
        if is_known || last.counter() == 0 { Self::Diff { zxid: committed, from: last } } else { Self::Snap }
    }
}

/// Sends the first packet and everything after it that is committed; the last zxid that was sent.
pub(crate) fn send_committed(local: &mut Local, link: LinkId, plan: Plan, bounds: Bounds) {
    let from = match plan {
        Plan::Diff { zxid, from } => {
            local.send(link, packet::plain(PacketType::Diff, zxid));
            from
        }
        Plan::Trunc(zxid) => {
            local.send(link, packet::plain(PacketType::Trunc, zxid));
            zxid
        }
        Plan::Snap | Plan::ReadLog => {
            let zxid = local.history.delivered();
            local.send(link, packet::plain(PacketType::Snap, zxid));
            local.out.push_back(Output::SendSnapshot { link, zxid });
            zxid
        }
    };
    let kept: Vec<_> = kept_between(&local.history, from, bounds.committed);
    send_pairs(local, link, &kept);
}

/// Each txn with its commit.
pub(crate) fn send_pairs(local: &mut Local, link: LinkId, txns: &[(Zxid, Bytes)]) {
    for (zxid, payload) in txns {
        local.send(link, packet::with_data(PacketType::Proposal, *zxid, payload.clone()));
        local.send(link, packet::plain(PacketType::Commit, *zxid));
    }
}

pub(crate) fn kept_between(history: &History, after: Zxid, until: Zxid) -> Vec<(Zxid, Bytes)> {
    history.kept().filter(|(zxid, _)| *zxid > after && *zxid <= until).cloned().collect()
}

/// Whether txns read from the log files lead without a gap from `last` to the kept ones.
pub(crate) fn is_gap_free(history: &History, last: Zxid, txns: &[(Zxid, Bytes)]) -> bool {
    let starts = txns.first().is_some_and(|(zxid, _)| *zxid == last);
    let ends = txns.last().is_some_and(|(zxid, _)| *zxid >= history.kept_after());
    starts && ends && txns.windows(2).all(|pair| History::may_follow(pair[0].0, pair[1].0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DurableState, Past};

    fn z(epoch: i64, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    /// Kept: 3.48, 3.49, 3.50, 5.1, 5.2; the log files hold all after 3.10.
    fn history() -> History {
        let recent = [z(3, 48), z(3, 49), z(3, 50), z(5, 1), z(5, 2)].map(|zxid| (zxid, Bytes::new()));
        let state = DurableState {
            past: Past::Whole(z(5, 2)),
            log_complete_after: z(3, 10),
            recent: recent.to_vec(),
            recent_after: z(3, 47),
            ..DurableState::default()
        };
        History::recovered(state, 500)
    }

    fn choose(last: Zxid) -> Plan {
        Plan::choose(&history(), Bounds { committed: z(5, 2), epoch: Epoch(6) }, last)
    }

    #[test]
    fn a_learner_at_the_same_zxid_gets_an_empty_diff() {
        assert_eq!(choose(z(5, 2)), Plan::Diff { zxid: z(5, 2), from: z(5, 2) });
        assert_eq!(choose(z(6, 0)), Plan::Diff { zxid: z(6, 0), from: z(6, 0) }, "it saw this epoch begin");
    }

    #[test]
    fn a_learner_that_is_ahead_is_cut_back_unless_its_zxid_is_no_txn() {
        assert_eq!(choose(z(5, 9)), Plan::Trunc(z(5, 2)));
        assert_eq!(choose(z(7, 0)), Plan::Snap);
    }

    #[test]
    fn a_learner_within_the_kept_txns_gets_the_rest() {
        assert_eq!(choose(z(3, 49)), Plan::Diff { zxid: z(5, 2), from: z(3, 49) });
        assert_eq!(
            choose(z(3, 47)),
            Plan::Diff { zxid: z(5, 2), from: z(3, 47) },
            "the one before the first"
        );
        assert_eq!(choose(z(4, 0)), Plan::Diff { zxid: z(5, 2), from: z(4, 0) }, "no txn, but a known place");
    }

    #[test]
    fn a_learner_on_a_side_path_gets_the_tree() {
        assert_eq!(choose(z(3, 51)), Plan::Snap, "the next txn is of another epoch");
        assert_eq!(choose(z(4, 7)), Plan::Snap);
    }

    #[test]
    fn txns_before_a_gap_are_not_kept() {
        let gap = [z(3, 48), z(3, 50)].map(|zxid| (zxid, Bytes::new()));
        let state = DurableState {
            past: Past::Whole(z(3, 50)),
            recent: gap.to_vec(),
            recent_after: z(3, 47),
            ..DurableState::default()
        };
        let history = History::recovered(state, 500);
        let bounds = Bounds { committed: z(3, 50), epoch: Epoch(6) };
        assert_eq!(Plan::choose(&history, bounds, z(3, 48)), Plan::Snap, "never over the hole");
        let after = Plan::Diff { zxid: z(3, 50), from: z(3, 49) };
        assert_eq!(Plan::choose(&history, bounds, z(3, 49)), after, "it has what is missing here");
    }

    #[test]
    fn the_log_files_are_read_only_where_they_are_complete() {
        assert_eq!(choose(z(3, 20)), Plan::ReadLog);
        assert_eq!(choose(z(3, 9)), Plan::Snap, "there is a gap somewhere after it");
        assert_eq!(choose(z(3, 0)), Plan::Snap, "no txn to start from");
        assert_eq!(choose(Zxid(-1)), Plan::Snap);
    }

    #[test]
    fn what_was_read_must_have_no_gap() {
        let txns = |list: &[Zxid]| -> Vec<_> { list.iter().map(|zxid| (*zxid, Bytes::new())).collect() };
        let free = |list: &[Zxid]| is_gap_free(&history(), z(3, 45), &txns(list));
        assert!(free(&[z(3, 45), z(3, 46), z(3, 47)]));
        assert!(!free(&[z(3, 45), z(3, 47)]), "a hole");
        assert!(!free(&[z(3, 46), z(3, 47)]), "the learner's own zxid is missing");
        assert!(!free(&[z(3, 45), z(3, 46)]), "it does not reach the kept ones");
    }
}
