//! What a server starts from: the newest whole snapshot and the log after it.

use std::path::PathBuf;

use bytes::Bytes;
use oxherd_proto::Zxid;

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;
use crate::keep;
use crate::layout::Layout;
use crate::reader;
use crate::scan::{self, TornTail};
use crate::snapshot::{self, Seal, SnapshotBody, SnapshotFile};

/// Snapshots that are tried before giving up, not counting those that lack their end.
// Java: FileSnap.findNValidSnapshots
const SNAPSHOT_TRIES_MAX: usize = 100;

/// Bytes of the log between two words about progress.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Where recovery puts what it finds.
pub trait RecoverySink {
    /// A snapshot is about to be loaded; anything of an earlier, broken one is to be forgotten.
    fn begin_snapshot(&mut self, file: &SnapshotFile) -> &mut dyn SnapshotBody;
    /// The snapshot was whole.
    fn end_snapshot(&mut self, file: &SnapshotFile, seal: &Seal) -> Result<(), StorageError>;
    /// A txn after the snapshot, in order.
    fn txn(&mut self, zxid: Zxid, payload: Bytes) -> Result<(), StorageError>;
    /// Bytes of the log done of bytes in all; a snapshot's are told to its body.
    fn progress(&mut self, done: u64, total: u64);
}

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The snapshot the tree comes from; `None` on an empty directory.
    pub snapshot: Option<SnapshotFile>,
    /// Snapshots that were no good, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// The last txn: of the log, or else of the snapshot.
    pub last_zxid: Zxid,
    /// Txns replayed.
    pub txns: u64,
    /// A torn tail that was cut off.
    pub torn: Option<TornTail>,
}

/// Recovers from the directories.
///
/// What it found is durable when it returns. Errors: no snapshot is whole; there are logs and no snapshot (unless `trust_empty`); the log is
/// damaged before the end of what was acknowledged.
// Java: FileTxnSnapLog.restore
pub fn recover<D: Disk>(
    disk: &D,
    layout: &Layout,
    trust_empty: bool,
    sink: &mut dyn RecoverySink,
) -> Result<Recovery, StorageError> {
    let snapshots = snapshot::snapshots(disk, &layout.snap_dir)?;
    let files = reader::log_files(disk, &layout.log_dir)?;
    let mut recovery = Recovery::default();
    let mut found = None;
    let mut unreadable = None;
    let mut tries = 0;
    for file in &snapshots {
        let reason = match snapshot::looks_whole(disk, file) {
            Ok(false) => "its end is missing".to_owned(),
            Ok(true) if tries == SNAPSHOT_TRIES_MAX => break,
            _ => {
                tries += 1;
                match load(disk, file, sink) {
                    Ok(seal) => {
                        found = Some((file.clone(), seal));
                        break;
                    }
                    Err(error) => {
                        let reason = error.to_string();
                        if matches!(error, StorageError::Io { .. }) {
                            unreadable.get_or_insert(error);
                        }
                        reason
                    }
                }
            }
        };
        recovery.skipped.push((file.path.clone(), reason));
    }
    match (found, unreadable) {
        (Some((file, seal)), unreadable) => {
            sink.end_snapshot(&file, &seal)?;
            recovery.last_zxid = file.zxid;
            recovery.snapshot = Some(file);
            // The log need not go back to an older snapshot than the one that could not be read.
            replay(disk, layout, &mut recovery, sink).map_err(|error| unreadable.unwrap_or(error))?;
        }
        // The disk may answer the next time: nothing says that the snapshot is damaged.
        (None, Some(error)) => return Err(error),
        (None, None) => {
            refuse_without_snapshot(layout, &recovery, files.is_empty(), trust_empty)?;
            replay(disk, layout, &mut recovery, sink)?;
        }
    }
    Ok(recovery)
}

fn load<D: Disk>(disk: &D, file: &SnapshotFile, sink: &mut dyn RecoverySink) -> Result<Seal, StorageError> {
    let body = sink.begin_snapshot(file);
    snapshot::load_snapshot(disk, file, body)
}

fn refuse_without_snapshot(
    layout: &Layout,
    recovery: &Recovery,
    no_logs: bool,
    trust_empty: bool,
) -> Result<(), StorageError> {
    if !recovery.skipped.is_empty() {
        let list: Vec<String> =
            recovery.skipped.iter().map(|(path, reason)| format!("{}: {reason}", path.display())).collect();
        let reason = format!(
            "none of the snapshots in {} is whole: put back a backup of this directory and of the logs, or, in an \
                 ensemble, empty both, and this server learns everything from the leader:\n{}",
            layout.snap_dir.display(),
            list.join("\n")
        );
        return Err(StorageError::Refused(reason));
    }
    if no_logs || trust_empty {
        return Ok(());
    }
    let reason = format!(
        "{} holds txn logs but {} holds no snapshot: part of the data is missing. Put the snapshots back, or set \
         snapshot.trust.empty=true for one start if there never was one",
        layout.log_dir.display(),
        layout.snap_dir.display()
    );
    Err(StorageError::Refused(reason))
}

fn replay<D: Disk>(
    disk: &D,
    layout: &Layout,
    recovery: &mut Recovery,
    sink: &mut dyn RecoverySink,
) -> Result<(), StorageError> {
    // Without a snapshot nothing tells where the log ought to begin.
    let from = if recovery.snapshot.is_some() { recovery.last_zxid.next() } else { Zxid::ZERO };
    let total = log_bytes(disk, layout, from)?;
    let (mut done, mut reported, mut txns) = (0, 0, 0_u64);
    let mut bytes = 0;
    sink.progress(0, total);
    let sink = std::cell::RefCell::new(sink);
    let end = scan::scan(
        disk,
        &layout.log_dir,
        from,
        &mut |record| {
            txns += 1;
            sink.borrow_mut().txn(record.zxid, record.payload)
        },
        &mut |count| {
            bytes += count;
            done += count;
            if bytes - reported > PROGRESS_BYTES {
                reported = bytes;
                sink.borrow_mut().progress(done, total);
            }
        },
    )?;
    recovery.txns = txns;
    recovery.last_zxid = recovery.last_zxid.max(end.last.unwrap_or(Zxid::ZERO));
    if let Some((path, offset)) = &end.newest {
        // What was reserved behind the end is given back too: no server appends to this file again.
        scan::cut(disk, &TornTail { path: path.clone(), offset: *offset, reason: String::new() })?;
    }
    recovery.torn = end.torn;
    keep::keep(disk, layout, end.newest.as_ref())
}

/// Bytes of the log files that replay reads; reserved space counts, so progress may jump at the end.
fn log_bytes<D: Disk>(disk: &D, layout: &Layout, from: Zxid) -> Result<u64, StorageError> {
    let files = reader::log_files(disk, &layout.log_dir)?;
    let mut total = 0;
    for file in reader::log_files_from(&files, from) {
        let opened = disk.open(&file.path).map_err(StorageError::io("open", &file.path))?;
        total += opened.len().map_err(StorageError::io("measure", &file.path))?;
    }
    Ok(total)
}
