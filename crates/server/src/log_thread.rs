//! Drains storage commands: one write and one sync a batch, then tells the replica.

use std::sync::Arc;

use oxherd_proto::Zxid;
use oxherd_replica::Input;
use oxherd_zab::{StorageCommand, StorageEvent};
use parking_lot::{Condvar, Mutex};

use crate::driver::Driver;

/// Commands on their way to the log thread. Bounded by what clients may have outstanding.
#[derive(Debug, Default)]
pub(crate) struct LogQueue {
    state: Mutex<QueueState>,
    signal: Condvar,
}

/// What the log thread is to do.
#[derive(Debug)]
pub(crate) enum LogCommand {
    /// Asked by the replica.
    Storage(StorageCommand),
    /// Begin a new file with the next txn, because a snapshot begins.
    Roll,
}

#[derive(Debug, Default)]
struct QueueState {
    commands: Vec<LogCommand>,
    over: bool,
}

impl LogQueue {
    pub(crate) fn push(&self, commands: Vec<LogCommand>) {
        if commands.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        if state.commands.is_empty() {
            state.commands = commands;
        } else {
            state.commands.extend(commands);
        }
        drop(state);
        self.signal.notify_one();
    }

    /// Lets the thread end once it has carried out what waits.
    pub(crate) fn finish(&self) {
        self.state.lock().over = true;
        self.signal.notify_one();
    }

    /// The commands that wait; `None` when it is over and none is left.
    fn take(&self) -> Option<Vec<LogCommand>> {
        let mut state = self.state.lock();
        while state.commands.is_empty() {
            if state.over {
                return None;
            }
            self.signal.wait(&mut state);
        }
        Some(std::mem::take(&mut state.commands))
    }
}
