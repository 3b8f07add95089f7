//! The txns of this server: what is logged, what is durable, what is delivered.
//!
//! Order rules, kept by asserts:
//! `delivered ≤ logged ≤ appended`, where `logged` moves only with [`History::synced`]. A txn is
//! delivered when it is committed *and* durable here, so memory is never ahead of the log.

use std::collections::VecDeque;

use bytes::Bytes;
use oxherd_proto::Zxid;

use crate::io::Output;
use crate::storage::StorageCommand;

/// The log as this core knows it.
#[derive(Debug)]
pub(crate) struct History {
    /// Last zxid given to storage.
    appended: Zxid,
    /// Last zxid known durable.
    logged: Zxid,
    /// Last zxid known committed.
    committed: Zxid,
    /// Last zxid given to the tree.
    delivered: Zxid,
    /// Appended and not delivered.
    tail: VecDeque<(Zxid, Bytes)>,
    /// Delivered and kept for learners that come back, at most `recent_max`.
    recent: VecDeque<(Zxid, Bytes)>,
    /// The zxid just before `recent`.
    recent_base: Zxid,
    recent_max: usize,
}

impl History {
    pub(crate) fn new(last: Zxid, recent_max: usize) -> Self {
        Self {
            appended: last,
            logged: last,
            committed: last,
            delivered: last,
            tail: VecDeque::new(),
            recent: VecDeque::new(),
            recent_base: last,
            recent_max,
        }
    }

    pub(crate) fn appended(&self) -> Zxid {
        self.appended
    }

    pub(crate) fn logged(&self) -> Zxid {
        self.logged
    }

    pub(crate) fn delivered(&self) -> Zxid {
        self.delivered
    }

    pub(crate) fn append(&mut self, zxid: Zxid, payload: Bytes, out: &mut VecDeque<Output>) {
        assert!(zxid > self.appended, "zxids grow: {zxid} after {}", self.appended);
        self.appended = zxid;
        self.tail.push_back((zxid, payload.clone()));
        out.push_back(Output::Storage(StorageCommand::Append { zxid, payload }));
    }

    pub(crate) fn synced(&mut self, zxid: Zxid, out: &mut VecDeque<Output>) {
        assert!(zxid <= self.appended, "synced {zxid} was never appended");
        self.logged = self.logged.max(zxid);
        self.deliver(out);
    }

    pub(crate) fn commit(&mut self, zxid: Zxid, out: &mut VecDeque<Output>) {
        assert!(zxid <= self.appended, "committed {zxid} was never appended");
        self.committed = self.committed.max(zxid);
        self.deliver(out);
    }

    fn deliver(&mut self, out: &mut VecDeque<Output>) {
        let until = self.committed.min(self.logged);
        while let Some((zxid, _)) = self.tail.front() {
            if *zxid > until {
                break;
            }
            let (zxid, payload) = self.tail.pop_front().expect("front was there");
            self.delivered = zxid;
            self.remember(zxid, payload.clone());
            out.push_back(Output::Deliver { zxid, payload });
        }
    }

    fn remember(&mut self, zxid: Zxid, payload: Bytes) {
        self.recent.push_back((zxid, payload));
        while self.recent.len() > self.recent_max {
            let (zxid, _) = self.recent.pop_front().expect("longer than the limit");
            self.recent_base = zxid;
        }
    }
}
