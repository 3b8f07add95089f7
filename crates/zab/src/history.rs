//! The txns of this server: what is logged, what is durable, what is delivered.
//!
//! Order rules, kept by asserts: `delivered ≤ logged ≤ appended`, and `logged` moves only in the
//! handlers of storage completions. A txn is delivered when it is committed *and* durable here, so
//! memory is never ahead of the log.

use std::collections::VecDeque;

use bytes::Bytes;
use oxherd_proto::Zxid;

use crate::config::{DurableState, Past};
use crate::io::Output;
use crate::storage::StorageCommand;

/// The log as this core knows it.
#[derive(Debug)]
pub(crate) struct History {
    /// Last zxid given to storage.
    appended: Zxid,
    /// Last zxid known durable.
    logged: Zxid,
    /// Last zxid to deliver.
    committed: Zxid,
    /// Last zxid that was committed in the life of this process; never goes back.
    agreed: Zxid,
    /// Last zxid in the tree.
    delivered: Zxid,
    /// Appended and not delivered.
    tail: VecDeque<(Zxid, Bytes)>,
    /// Delivered and kept for learners that come back, at most `recent_max`.
    recent: VecDeque<(Zxid, Bytes)>,
    /// The zxid just before the first of `recent`.
    recent_after: Zxid,
    recent_max: usize,
    /// The log files hold everything after this.
    complete_after: Zxid,
}

impl History {
    /// What a server without a vote has on disk is of no use to it or to others: it learns everything again.
    pub(crate) fn recovered(state: DurableState, recent_max: usize) -> Self {
        let (last, recent) = match state.past {
            Past::Whole(last) => (last, state.recent),
            Past::Empty | Past::Unknown => (Zxid::ZERO, Vec::new()),
        };
        assert!(recent.last().is_none_or(|(zxid, _)| *zxid == last), "recent txns end at the last zxid");
        let recent_after = if recent.is_empty() { last } else { state.recent_after };
        let mut history = Self {
            appended: last,
            logged: last,
            committed: last,
            agreed: Zxid::ZERO,
            delivered: last,
            tail: VecDeque::new(),
            recent: recent.into(),
            recent_after,
            recent_max,
            complete_after: state.log_complete_after,
        };
        history.forget_before_gap();
        history.forget_old();
        history
    }

    /// A Java server can leave a hole in a log: nobody is led over it.
    fn forget_before_gap(&mut self) {
        let txns: Vec<_> = self.recent.iter().map(|(zxid, _)| *zxid).collect();
        let gap = txns.windows(2).rposition(|pair| !Self::may_follow(pair[0], pair[1]));
        if let Some(before) = gap {
            self.recent.drain(..=before);
            self.recent_after = Zxid(txns[before + 1].0 - 1);
            self.complete_after = self.complete_after.max(self.recent_after);
        }
    }

    pub(crate) fn appended(&self) -> Zxid {
        self.appended
    }

    pub(crate) fn logged(&self) -> Zxid {
        self.logged
    }

    pub(crate) fn committed(&self) -> Zxid {
        self.committed
    }

    pub(crate) fn agreed(&self) -> Zxid {
        self.agreed
    }

    pub(crate) fn delivered(&self) -> Zxid {
        self.delivered
    }

    /// Whether everything given to storage is durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.logged == self.appended
    }

    /// The kept txns start after this zxid.
    pub(crate) fn kept_after(&self) -> Zxid {
        self.recent_after
    }

    /// Whether the log files hold everything after this zxid.
    pub(crate) fn is_complete_after(&self, zxid: Zxid) -> bool {
        zxid >= self.complete_after
    }

    /// The kept txns, oldest first: delivered ones, then the rest.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &(Zxid, Bytes)> {
        self.recent.iter().chain(&self.tail)
    }

    /// The first txn that is not committed.
    pub(crate) fn first_uncommitted(&self) -> Option<&(Zxid, Bytes)> {
        self.tail.get(self.tail.partition_point(|(zxid, _)| *zxid <= self.committed))
    }

    /// Txns in `(after, until]` that are not delivered, oldest first.
    pub(crate) fn undelivered(&self, after: Zxid, until: Zxid) -> impl Iterator<Item = &(Zxid, Bytes)> {
        let first = self.tail.partition_point(|(zxid, _)| *zxid <= after);
        let end = self.tail.partition_point(|(zxid, _)| *zxid <= until).max(first);
        self.tail.range(first..end)
    }

    /// Whether a txn with this zxid may follow the log's end: the next one, or the first of a later epoch.
    pub(crate) fn may_follow(last: Zxid, zxid: Zxid) -> bool {
        last.0.checked_add(1) == Some(zxid.0) || (zxid.epoch() > last.epoch() && zxid.counter() == 1)
    }

    pub(crate) fn append(&mut self, zxid: Zxid, payload: Bytes, out: &mut VecDeque<Output>) {
        assert!(zxid > self.appended, "zxids grow: {zxid} after {}", self.appended);
        self.appended = zxid;
        self.tail.push_back((zxid, payload.clone()));
        out.push_back(Output::Storage(StorageCommand::Append { zxid, payload }));
    }

    /// As [`Self::append`], for one who keeps no log: nothing is asked of storage.
    pub(crate) fn append_unlogged(&mut self, zxid: Zxid, payload: Bytes) {
        assert!(zxid > self.appended, "zxids grow: {zxid} after {}", self.appended);
        assert!(self.is_settled(), "nothing waits for a log that is not kept");
        self.appended = zxid;
        self.logged = zxid;
        self.complete_after = zxid;
        self.tail.push_back((zxid, payload));
    }

    pub(crate) fn commit(&mut self, zxid: Zxid, out: &mut VecDeque<Output>) {
        assert!(zxid <= self.appended, "committed {zxid} was never appended");
        self.committed = self.committed.max(zxid);
        self.agreed = self.agreed.max(zxid);
        self.deliver(out);
    }

    pub(crate) fn synced(&mut self, zxid: Zxid, out: &mut VecDeque<Output>) {
        assert!(zxid <= self.appended, "synced {zxid} was never appended");
        self.logged = self.logged.max(zxid);
        self.deliver(out);
    }

    /// The log was cut behind `zxid`; a tree that was ahead has been rebuilt to the log's end.
    pub(crate) fn truncated(&mut self, zxid: Zxid) {
        self.tail.retain(|(each, _)| *each <= zxid);
        self.recent.retain(|(each, _)| *each <= zxid);
        self.appended = zxid;
        self.logged = zxid;
        self.committed = self.committed.min(zxid);
        self.delivered = self.delivered.min(zxid);
        self.recent_after = self.recent_after.min(zxid);
        self.complete_after = self.complete_after.min(zxid);
    }

    /// The snapshot of `zxid` is all there is.
    pub(crate) fn installed(&mut self, zxid: Zxid) {
        self.tail.clear();
        self.recent.clear();
        self.appended = zxid;
        self.logged = zxid;
        self.committed = zxid;
        self.delivered = zxid;
        self.recent_after = zxid;
        self.complete_after = zxid;
    }

    fn deliver(&mut self, out: &mut VecDeque<Output>) {
        let until = self.committed.min(self.logged);
        while self.tail.front().is_some_and(|(zxid, _)| *zxid <= until) {
            let Some((zxid, payload)) = self.tail.pop_front() else { break };
            assert!(zxid > self.delivered, "{zxid} delivered twice");
            self.delivered = zxid;
            self.recent.push_back((zxid, payload.clone()));
            out.push_back(Output::Deliver { zxid, payload });
        }
        self.forget_old();
    }

    fn forget_old(&mut self) {
        while self.recent.len() > self.recent_max {
            if let Some((zxid, _)) = self.recent.pop_front() {
                self.recent_after = zxid;
            }
        }
    }
}
