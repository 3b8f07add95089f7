//! Drains storage commands: one write and one sync a batch, then tells the replica.

mod gather;
mod member;
mod queue;
mod reads;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use oxherd_config::Config;
use oxherd_proto::Zxid;
use oxherd_replica::{Batching, Input};
use oxherd_storage::{Layout, Log, OsDisk, StorageError};
use oxherd_tree::TreeOptions;
use oxherd_zab::{StorageCommand, StorageEvent};
use tracing::{error, warn};

use crate::data::Files;
use crate::driver::Driver;
use crate::membership::{MembershipChange, MembershipFiles};
use crate::settings;

use gather::Gathering;
pub(crate) use queue::{LogCommand, LogQueue};

/// Longest pause between two looks at a full disk.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(200);

/// Starts the thread that writes the log.
pub(crate) fn start(
    files: Files,
    config: &Config,
    tree: TreeOptions,
    driver: Arc<Driver>,
) -> io::Result<JoinHandle<()>> {
    let mut thread = LogThread {
        log: files.log,
        layout: files.layout,
        config: config.clone(),
        tree,
        driver,
        slow_sync_ms: settings::slow_sync_ms(config),
        batching: Batching::new(settings::batch_options(config), Driver::now().instant),
        gathering: Gathering::default(),
        has_room: true,
        membership: MembershipFiles::of(config),
        reads: reads::Reads::default(),
    };
    if let Some(files) = &mut thread.membership {
        files.settle(config)?;
    }
    std::thread::Builder::new().name("log".to_owned()).spawn(move || thread.run())
}

struct LogThread {
    log: Log<OsDisk>,
    layout: Layout,
    config: Config,
    /// How a tree is built.
    tree: TreeOptions,
    driver: Arc<Driver>,
    slow_sync_ms: i64,
    /// When what waits is synced.
    batching: Batching,
    gathering: Gathering,
    has_room: bool,
    /// Only where the ensemble may change.
    membership: Option<MembershipFiles>,
    reads: reads::Reads,
}

/// The thread's end, also one that nobody meant: whoever waits for room waits for nothing then.
struct End(Arc<Driver>);

impl Drop for End {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.halt("the log's thread ended by an error of the program".to_owned());
        }
        self.0.log.finish();
    }
}

impl LogThread {
    fn run(&mut self) {
        let _end = End(Arc::clone(&self.driver));
        self.drain();
    }

    fn drain(&mut self) {
        let mut batch = Vec::new();
        loop {
            let commands = self.next_commands(&batch);
            let is_over = commands.is_none();
            if let Err(error) = self.carry_out(commands.unwrap_or_default(), &mut batch) {
                return self.fail(&error.to_string());
            }
            if is_over {
                return;
            }
            self.look_for_room();
        }
    }

    /// What the queue has, waiting for it as long as may be; `None` when it is over.
    fn next_commands(&self, batch: &[(Zxid, Bytes)]) -> Option<Vec<LogCommand>> {
        let queue = &self.driver.log;
        if !batch.is_empty() {
            queue.take_within(self.batching.patience(Driver::now().instant))
        } else if self.has_room {
            queue.take(self.gathering.count(), self.gathering.pause())
        } else {
            queue.take_within(FULL_DISK_PAUSE)
        }
    }

    fn fail(&self, reason: &str) {
        self.driver.submit_one(Input::Storage(StorageEvent::Failed(reason.to_owned())));
    }

    /// Appends to `batch`, and syncs it when it is time; everything but an append waits for what is before it.
    fn carry_out(
        &mut self,
        commands: Vec<LogCommand>,
        batch: &mut Vec<(Zxid, Bytes)>,
    ) -> Result<(), StorageError> {
        let came = !commands.is_empty();
        let waiting = i64::try_from(commands.len()).unwrap_or(i64::MAX);
        self.driver.statistics.metrics.sync_processor_queue_size.add(waiting);
        let now = Driver::now().instant;
        for command in commands {
            match command {
                LogCommand::Storage(StorageCommand::Append { zxid, payload }) => {
                    batch.push((zxid, payload));
                    if self.batching.is_due(now, batch.len()) {
                        self.append(batch)?;
                    }
                }
                LogCommand::Roll => {
                    self.append(batch)?;
                    self.log.roll();
                }
                LogCommand::Membership(change) => {
                    self.append(batch)?;
                    self.change_members(&change)?;
                }
                LogCommand::Storage(other) => {
                    self.append(batch)?;
                    self.member_command(other)?;
                }
            }
        }
        if came && !self.batching.patience(Driver::now().instant).is_zero() {
            return Ok(());
        }
        self.append(batch)
    }

    /// One write, one sync, one answer.
    fn append(&mut self, batch: &mut Vec<(Zxid, Bytes)>) -> Result<(), StorageError> {
        let Some((last, _)) = batch.last() else { return Ok(()) };
        let last = *last;
        let size = i64::try_from(batch.len()).unwrap_or(i64::MAX);
        let begun = Driver::now().instant;
        while let Err(error) = self.log.append(batch) {
            if !error.is_no_space() {
                return Err(error);
            }
            self.tell_room();
            if self.driver.log.is_over() {
                // Nobody was told that these txns are safe, and there is no room to make them so.
                return Err(error);
            }
            std::thread::sleep(FULL_DISK_PAUSE);
        }
        self.sync()?;
        self.gathering.synced(batch.len(), self.driver.log.len(), begun.elapsed());
        batch.clear();
        self.batching.synced(Driver::now().instant);
        let metrics = &self.driver.statistics.metrics;
        metrics.sync_processor_batch_size.add(size);
        metrics.sync_processor_request_queued.add(size);
        let took_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        metrics.sync_processor_queue_flush_time_ms.add(took_ms);
        self.driver.submit_one(Input::Storage(StorageEvent::Synced(last)));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let begun = Driver::now().instant;
        self.log.sync()?;
        let took_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.driver.statistics.metrics.fsynctime.add(took_ms);
        if took_ms > self.slow_sync_ms {
            self.driver.statistics.slow_syncs.add(1);
            warn!(
                took_ms,
                "syncing the log was slow; every write waits for it: is the disk shared or failing?"
            );
        }
        Ok(())
    }

    /// A change of the ensemble waits for space, as txns do.
    fn change_members(&mut self, change: &MembershipChange) -> Result<(), StorageError> {
        while let Err(error) = self.membership_change(change) {
            if !error.is_no_space() || self.driver.log.is_over() {
                return Err(error);
            }
            error!(%error, "a change of the ensemble waits for space");
            std::thread::sleep(FULL_DISK_PAUSE);
        }
        Ok(())
    }

    fn look_for_room(&mut self) {
        if !self.log.has_room() {
            self.log.retry_room();
        }
        self.tell_room();
    }

    fn tell_room(&mut self) {
        let has_room = self.log.has_room();
        if has_room == self.has_room {
            return;
        }
        self.has_room = has_room;
        if has_room {
            warn!("there is space on the log's disk again; all writes are taken");
        } else {
            error!(
                "the log's disk is full: writes that add data are refused until there is space; \
                    reads, sessions and deletes go on"
            );
        }
        self.driver.submit_one(Input::Room(has_room));
    }
}
