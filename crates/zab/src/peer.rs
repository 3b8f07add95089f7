//! One server of the ensemble: holds the current phase and routes inputs to it.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{ServerId, Zxid};

use crate::history::History;
use crate::io::{Input, Output, Role};
use crate::storage::StorageEvent;

/// Agreement as one server sees it.
///
/// Give it what happened with [`Peer::handle`], then drain [`Peer::poll_output`] and carry the outputs
/// out in order, then ask [`Peer::poll_timeout`] when to call again.
#[derive(Debug)]
pub struct Peer {
    history: History,
    outputs: VecDeque<Output>,
    role: Role,
}

impl Peer {
    /// A server alone: its own leader from the start, whose history ends at `last_zxid`.
    // Java: ZooKeeperServerMain
    pub fn standalone(_server: ServerId, last_zxid: Zxid) -> Self {
        let role = Role::Leading { epoch: last_zxid.epoch() };
        let mut outputs = VecDeque::new();
        outputs.push_back(Output::Role(role));
        Self { history: History::new(last_zxid, 0), outputs, role }
    }

    /// Takes what happened. `now` never goes back.
    pub fn handle(&mut self, _now: Instant, input: Input) {
        match input {
            Input::Storage(StorageEvent::Synced(zxid)) => {
                self.history.synced(zxid, &mut self.outputs);
                self.history.commit(zxid, &mut self.outputs);
            }
            Input::Storage(StorageEvent::Failed(_)) => self.stop(true),
            Input::Stop => self.stop(false),
            _ => {}
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Peer::handle`] with [`Input::Timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The zxid the next proposal must have; `None` unless leading, and when the counter is about to end.
    pub fn next_zxid(&self) -> Option<Zxid> {
        matches!(self.role, Role::Leading { .. }).then(|| self.history.appended().next())
    }

    /// Puts a txn into the log and before the ensemble. Panics when `zxid` is not [`Peer::next_zxid`].
    pub fn propose(&mut self, zxid: Zxid, payload: Bytes) {
        assert_eq!(Some(zxid), self.next_zxid(), "proposals are contiguous");
        self.history.append(zxid, payload, &mut self.outputs);
    }

    /// What this server is.
    pub fn role(&self) -> Role {
        self.role
    }

    fn stop(&mut self, failed: bool) {
        if !matches!(self.role, Role::Stopped { .. }) {
            self.role = Role::Stopped { failed };
            self.outputs.push_back(Output::Role(self.role));
        }
    }
}
