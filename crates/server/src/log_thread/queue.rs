//! What waits for the log thread, and who waits for it.

use std::time::Duration;

use oxherd_zab::StorageCommand;
use parking_lot::{Condvar, Mutex};

use crate::membership::MembershipChange;

/// Bytes of txns that may wait before peers have to wait with theirs. What clients send is bounded by what they
/// may have outstanding.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Commands on their way to the log thread.
#[derive(Debug, Default)]
pub(crate) struct LogQueue {
    state: Mutex<QueueState>,
    signal: Condvar,
    room: Condvar,
}

/// What the log thread is to do.
#[derive(Debug)]
pub(crate) enum LogCommand {
    /// Asked by the replica.
    Storage(StorageCommand),
    /// The ensemble changes.
    Membership(MembershipChange),
    /// Begin a new file with the next txn, because a snapshot begins.
    Roll,
}

impl LogCommand {
    fn len(&self) -> usize {
        match self {
            Self::Storage(StorageCommand::Append { payload, .. }) => payload.len(),
            _ => 0,
        }
    }
}

#[derive(Debug, Default)]
struct QueueState {
    commands: Vec<LogCommand>,
    /// Bytes of the txns among them.
    bytes: usize,
    /// The thread waits for as many.
    wanted: usize,
    over: bool,
}

impl QueueState {
    fn is_full(&self) -> bool {
        self.bytes > WAITING_BYTES_MAX && !self.over
    }
}

impl LogQueue {
    pub(crate) fn push(&self, commands: Vec<LogCommand>) {
        if commands.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        state.bytes += commands.iter().map(LogCommand::len).sum::<usize>();
        if state.commands.is_empty() {
            state.commands = commands;
        } else {
            state.commands.extend(commands);
        }
        let is_enough = state.commands.len() >= state.wanted;
        drop(state);
        if is_enough {
            self.signal.notify_one();
        }
    }

    /// How many commands wait.
    pub(super) fn len(&self) -> usize {
        self.state.lock().commands.len()
    }

    /// Lets the thread end once it has carried out what waits.
    pub(crate) fn finish(&self) {
        self.state.lock().over = true;
        self.signal.notify_one();
        self.room.notify_all();
    }

    /// Waits until the disk has caught up, or will not any more.
    pub(crate) fn wait_for_room(&self) {
        let mut state = self.state.lock();
        while state.is_full() {
            self.room.wait(&mut state);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().over
    }

    /// The commands that wait, behind a pause when they are fewer than `count`; `None` when it is over and none is
    /// left.
    pub(super) fn take(&self, count: usize, pause: Duration) -> Option<Vec<LogCommand>> {
        let mut state = self.state.lock();
        while state.commands.is_empty() {
            if state.over {
                return None;
            }
            self.signal.wait(&mut state);
        }
        if state.commands.len() < count && !state.over {
            state.wanted = count;
            self.signal.wait_for(&mut state, pause);
            state.wanted = 0;
        }
        Some(self.hand_out(&mut state))
    }

    /// As [`Self::take`], but gives an empty list when nothing came within `pause`.
    pub(super) fn take_within(&self, pause: Duration) -> Option<Vec<LogCommand>> {
        let mut state = self.state.lock();
        if state.commands.is_empty() && !state.over {
            self.signal.wait_for(&mut state, pause);
        }
        if state.commands.is_empty() && state.over {
            return None;
        }
        Some(self.hand_out(&mut state))
    }

    fn hand_out(&self, state: &mut QueueState) -> Vec<LogCommand> {
        state.bytes = 0;
        self.room.notify_all();
        std::mem::take(&mut state.commands)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use oxherd_proto::Zxid;

    use super::*;

    fn append(len: usize) -> LogCommand {
        let payload = Bytes::from(vec![0; len]);
        LogCommand::Storage(StorageCommand::Append { zxid: Zxid(1), payload })
    }

    fn waits_for_room(queue: &Arc<LogQueue>) -> std::thread::JoinHandle<()> {
        let queue = Arc::clone(queue);
        std::thread::spawn(move || queue.wait_for_room())
    }

    fn full_queue() -> Arc<LogQueue> {
        let queue = Arc::new(LogQueue::default());
        queue.push(vec![append(WAITING_BYTES_MAX / 2), LogCommand::Roll]);
        queue.wait_for_room();
        queue.push(vec![append(WAITING_BYTES_MAX / 2 + 1)]);
        assert!(queue.state.lock().is_full());
        queue
    }

    #[test]
    fn a_peer_waits_until_the_log_thread_has_taken_what_waits() {
        let queue = full_queue();
        let peer = waits_for_room(&queue);
        assert_eq!(queue.take(1, Duration::ZERO).unwrap().len(), 3);
        peer.join().unwrap();
    }

    #[test]
    fn nobody_waits_for_a_log_that_is_over() {
        let queue = full_queue();
        let peer = waits_for_room(&queue);
        queue.finish();
        peer.join().unwrap();
    }
}
