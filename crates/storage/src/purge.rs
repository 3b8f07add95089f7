//! Removing what no recovery needs.

use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;

use crate::disk::Disk;
use crate::error::StorageError;
use crate::reader::{log_files, log_files_from};
use crate::snapshot::{SnapshotFile, looks_whole, parse_temporary_name, snapshots};

/// Fewer snapshots are never kept.
// Java: PurgeTxnLog.COUNT_ERR_MSG
const RETAIN_MIN: usize = 3;

/// Keeps the newest `retain` snapshots that look whole and the logs from the oldest of them on; answers
/// what was removed.
///
/// Removes what [`purgeable`] names. May run beside a snapshot being written.
///
/// Errors: [`StorageError::Refused`] when `retain` is below 3.
// Java: PurgeTxnLog.purge
pub fn purge<D: Disk>(
    disk: &D,
    snap_dir: &Path,
    log_dir: &Path,
    retain: usize,
) -> Result<Vec<PathBuf>, StorageError> {
    let Purgeable { snapshots: mut removed, logs } = purgeable(disk, snap_dir, log_dir, retain)?;
    remove(disk, snap_dir, &removed)?;
    remove(disk, log_dir, &logs)?;
    removed.extend(logs);
    Ok(removed)
}

/// Files that no recovery from a kept snapshot needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Purgeable {
    /// Unfinished snapshots, then whole ones, oldest first. They must go before the logs, so that at no time there
    /// is one whose logs have a gap.
    pub snapshots: Vec<PathBuf>,
    /// Logs, oldest first.
    pub logs: Vec<PathBuf>,
}

/// What is older than the newest `retain` snapshots that look whole, and than the logs from the oldest of them on.
///
/// With fewer snapshots, all of them stay; with none, all files do. Files whose names hold no zxid are left alone.
///
/// Errors: [`StorageError::Refused`] when `retain` is below 3.
// Java: PurgeTxnLog.purgeOlderSnapshots
pub fn purgeable<D: Disk>(
    disk: &D,
    snap_dir: &Path,
    log_dir: &Path,
    retain: usize,
) -> Result<Purgeable, StorageError> {
    if retain < RETAIN_MIN {
        return Err(StorageError::Refused(format!(
            "at least {RETAIN_MIN} snapshots are to be kept, not {retain}"
        )));
    }
    let all = snapshots(disk, snap_dir)?;
    let Some(least) = least_kept(disk, &all, retain)? else { return Ok(Purgeable::default()) };
    let mut snapshots = unfinished_before(disk, snap_dir, least)?;
    snapshots.extend(all.into_iter().rev().filter(|file| file.zxid < least).map(|file| file.path));
    Ok(Purgeable { snapshots, logs: logs_before(disk, log_dir, least)? })
}

/// The zxid of the oldest snapshot to keep.
fn least_kept<D: Disk>(disk: &D, all: &[SnapshotFile], retain: usize) -> Result<Option<Zxid>, StorageError> {
    let mut least = None;
    let mut kept = 0;
    for file in all {
        if kept < retain && looks_whole(disk, file)? {
            kept += 1;
            least = Some(file.zxid);
        }
    }
    Ok(least)
}

/// What servers left that died in a snapshot. A newer one may be in the making.
fn unfinished_before<D: Disk>(disk: &D, snap_dir: &Path, least: Zxid) -> Result<Vec<PathBuf>, StorageError> {
    let names = disk.list(snap_dir).map_err(StorageError::io("list", snap_dir))?;
    let old = |name: &&String| parse_temporary_name(name).is_some_and(|zxid| zxid < least);
    Ok(names.iter().filter(old).map(|name| snap_dir.join(name)).collect())
}

/// The last log whose name is not above `least` may hold txns after it, so it stays.
// Java: FileTxnSnapLog.getSnapshotLogs
fn logs_before<D: Disk>(disk: &D, log_dir: &Path, least: Zxid) -> Result<Vec<PathBuf>, StorageError> {
    let files = log_files(disk, log_dir)?;
    let needed = log_files_from(&files, least).len();
    Ok(files[..files.len() - needed].iter().map(|file| file.path.clone()).collect())
}

fn remove<D: Disk>(disk: &D, dir: &Path, files: &[PathBuf]) -> Result<(), StorageError> {
    for path in files {
        disk.remove(path).map_err(StorageError::io("remove", path))?;
    }
    if files.is_empty() { Ok(()) } else { disk.sync_dir(dir).map_err(StorageError::io("sync", dir)) }
}

#[cfg(test)]
mod tests;
