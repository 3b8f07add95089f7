//! Writes snapshots while txns go on, a slice of the tree at a time, and removes old files.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use oxherd_config::Config;
use oxherd_proto::{SessionId, Zxid};
use oxherd_replica::Input;
use oxherd_storage::{Compression, Layout, OsDisk, Seal, SnapshotWriter, StorageError, purge};
use oxherd_tree::{Tree, WalkId, WalkPoint, WalkState};
use tracing::{error, info, warn};

use crate::driver::Driver;
use crate::log_thread::LogCommand;

/// Bytes of the tree taken under its lock at once.
const SLICE_BYTES: usize = 48 << 10;

/// Starts the thread.
pub(crate) fn start(
    config: &Config,
    layout: Layout,
    driver: Arc<Driver>,
    over: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let hours = u64::try_from(config.purge.interval_hours).unwrap_or(0);
    let purge_every = (hours > 0).then(|| Duration::from_secs(hours * 3600));
    let writer = Writer {
        format: Format::new(config),
        layout,
        driver,
        over,
        retain: usize::try_from(config.purge.retain).unwrap_or(3).max(3),
        purge_every,
    };
    std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || writer.run())
}

/// How snapshot files look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    compression: Compression,
    digest: bool,
    last_zxid: bool,
}

impl Format {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            compression: compression(config),
            digest: config.storage.digest,
            last_zxid: config.storage.seal_zxid,
        }
    }

    pub(crate) fn seal(&self, point: WalkPoint) -> Seal {
        Seal {
            digest: self.digest.then_some((point.zxid, point.digest)),
            last_zxid: self.last_zxid.then_some(point.zxid),
        }
    }
}

/// How snapshot files are packed (`snapshot.compression.method`).
pub(crate) fn compression(config: &Config) -> Compression {
    Compression::from_method(&config.storage.compression).unwrap_or_default()
}

/// Writes the snapshot of a tree nobody else has yet.
pub(crate) fn write_first(
    config: &Config,
    layout: &Layout,
    tree: &mut Tree,
    sessions: &[(SessionId, i32)],
) -> Result<(), StorageError> {
    let format = Format::new(config);
    let walk = tree.begin_walk(sessions.to_vec());
    let Some(point) = tree.walk_point(walk) else { return Ok(()) };
    let mut file = SnapshotWriter::begin(OsDisk, &layout.snap_dir, point.zxid, format.compression)?;
    let mut slice = Vec::new();
    loop {
        let state = tree.walk_slice(walk, &mut slice, SLICE_BYTES);
        file.write(&slice)?;
        slice.clear();
        if state == WalkState::Done {
            break;
        }
    }
    tree.end_walk(walk);
    file.finish(&format.seal(point)).map(|_| ())
}

struct Writer {
    format: Format,
    layout: Layout,
    driver: Arc<Driver>,
    over: Arc<AtomicBool>,
    retain: usize,
    purge_every: Option<Duration>,
}

impl Writer {
    fn run(&self) {
        // The first time at once, or a server that restarts often never would.
        let mut purge_at = self.purge_every.map(|_| Driver::now().instant);
        while !self.over.load(Ordering::Acquire) {
            if self.driver.wait_for_snapshot(&self.over, purge_at) {
                self.snapshot();
            }
            if purge_at.is_some_and(|at| Driver::now().instant >= at) {
                self.purge();
                purge_at = self.purge_every.map(|pause| Driver::now().instant + pause);
            }
        }
    }

    fn snapshot(&self) {
        let begun = Driver::now().instant;
        let walk = self.begin();
        match self.write(walk) {
            Ok(Some(zxid)) => self.done(zxid, begun),
            Ok(None) => {}
            Err(error) => {
                self.driver.statistics.metrics.snapshot_error_count.add(1);
                error!(%error, "cannot write a snapshot; the log keeps everything meanwhile");
            }
        }
        self.driver.with_tree_mut(|tree| tree.end_walk(walk));
    }

    fn done(&self, zxid: Zxid, begun: Instant) {
        let took_ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.driver.statistics.metrics.snapshottime.add(took_ms);
        info!(%zxid, took_ms, "wrote a snapshot");
    }

    /// Fixes the moment the snapshot shows; from here on the log's next file belongs to it.
    fn begin(&self) -> WalkId {
        let walk = self.driver.with_replica(|replica, tree| tree.begin_walk(replica.sessions().persistent()));
        self.driver.submit_one(Input::SnapshotBegun);
        self.driver.log.push(vec![LogCommand::Roll]);
        walk
    }

    fn write(&self, walk: WalkId) -> Result<Option<Zxid>, StorageError> {
        let Some(point) = self.driver.with_tree_mut(|tree| tree.walk_point(walk)) else { return Ok(None) };
        let mut file =
            SnapshotWriter::begin(OsDisk, &self.layout.snap_dir, point.zxid, self.format.compression)?;
        let mut slice = Vec::with_capacity(SLICE_BYTES * 2);
        loop {
            if self.over.load(Ordering::Acquire) {
                return Ok(None);
            }
            slice.clear();
            let Some(state) = self.driver.walk_slice(walk, &mut slice, SLICE_BYTES) else { return Ok(None) };
            file.write(&slice)?;
            if state == WalkState::Done {
                break;
            }
        }
        file.finish(&self.format.seal(point))?;
        Ok(Some(point.zxid))
    }

    fn purge(&self) {
        match purge(&OsDisk, &self.layout.snap_dir, &self.layout.log_dir, self.retain) {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => info!(files = removed.len(), kept_snapshots = self.retain, "removed old files"),
            Err(error) => warn!(%error, "cannot remove old files"),
        }
    }
}
