//! The two epochs a server must never forget, each in a file of its own.
//!
//! ```text
//! acceptedEpoch, currentEpoch: decimal digits, no end of line
//! ```

use std::path::{Path, PathBuf};

use oxherd_proto::{Epoch, Zxid};

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;

const TEMPORARY_SUFFIX: &str = ".tmp";
/// Longest file that is read, in bytes; the longest number has 20.
const LEN_MAX: usize = 64;
const REPAIR: &str = "write the epoch that the ensemble is in into it, as decimal digits, or empty the directories of \
    this server to learn everything from the leader of its ensemble";

/// What a server has promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    /// The last epoch a leader proposed to it: no older leader is followed.
    pub accepted: Epoch,
    /// The epoch its history belongs to.
    pub current: Epoch,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochFile {
    /// `acceptedEpoch`
    Accepted,
    /// `currentEpoch`
    Current,
}

impl EpochFile {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "acceptedEpoch",
            Self::Current => "currentEpoch",
        }
    }

    fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    fn temporary(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}{TEMPORARY_SUFFIX}", self.name()))
    }
}

/// The epochs, given the last zxid of snapshot and log; durable when this returns, files that were missing too.
///
/// Errors: as of [`find_epochs`].
// Java: QuorumPeer.loadDataBase
pub fn read_epochs<D: Disk>(disk: &D, dir: &Path, last_zxid: Zxid) -> Result<Epochs, StorageError> {
    let found = find_epochs(disk, dir, last_zxid)?;
    // What can be read may not be on the disk, when the server died of a sync that failed.
    write_epoch(disk, dir, EpochFile::Accepted, found.accepted)?;
    write_epoch(disk, dir, EpochFile::Current, found.current)?;
    Ok(found)
}

/// The epochs, given the last zxid of snapshot and log. Changes nothing.
///
/// A history of a later epoch than the current one, if that epoch was accepted, is of a synchronization that
/// a crash has ended: the server votes with the former epoch.
///
/// Errors: [`StorageError::Refused`] when the history is of a later epoch than both, or the accepted epoch is
/// older than the current one: then files of different times were put together. [`StorageError::Damaged`] when
/// a file holds no number.
pub fn find_epochs<D: Disk>(disk: &D, dir: &Path, last_zxid: Zxid) -> Result<Epochs, StorageError> {
    let of_zxid = last_zxid.epoch();
    let mut current = read_epoch(disk, dir, EpochFile::Current)?.unwrap_or(of_zxid);
    if of_zxid > current {
        current = take_unfinished(disk, dir, current, last_zxid)?;
    }
    let accepted = read_epoch(disk, dir, EpochFile::Accepted)?.unwrap_or(of_zxid);
    if accepted < current {
        let reason = format!(
            "in {} the accepted epoch ({}) is older than the current one ({}): the files are not of the same time",
            dir.display(),
            accepted.0,
            current.0
        );
        return Err(StorageError::Refused(reason));
    }
    Ok(Epochs { accepted, current })
}

/// What one of the files holds; `None` when there is none.
pub fn read_epoch<D: Disk>(disk: &D, dir: &Path, file: EpochFile) -> Result<Option<Epoch>, StorageError> {
    read(disk, dir, &file.path(dir))
}

/// Puts an epoch in its file; durable when this returns.
// Java: QuorumPeer.writeLongToFile
pub fn write_epoch<D: Disk>(disk: &D, dir: &Path, file: EpochFile, epoch: Epoch) -> Result<(), StorageError> {
    let (path, temporary) = (file.path(dir), file.temporary(dir));
    let mut opened = disk.create(&temporary).map_err(StorageError::io("create", &temporary))?;
    opened.write_at(epoch.0.to_string().as_bytes(), 0).map_err(StorageError::io("write", &temporary))?;
    opened.sync().map_err(StorageError::io("sync", &temporary))?;
    disk.rename(&temporary, &path).map_err(StorageError::io("rename", &temporary))?;
    disk.sync_dir(dir).map_err(StorageError::io("sync", dir))
}

/// The server died after it had written the current epoch and before the file got its name.
fn take_unfinished<D: Disk>(
    disk: &D,
    dir: &Path,
    current: Epoch,
    last_zxid: Zxid,
) -> Result<Epoch, StorageError> {
    let unfinished = match read(disk, dir, &EpochFile::Current.temporary(dir)) {
        // It was not even written; nothing was told to anybody about it.
        Err(StorageError::Damaged { .. }) => None,
        other => other?,
    };
    match unfinished {
        Some(epoch) if epoch >= last_zxid.epoch() => Ok(epoch),
        // Txns of a leader whose NEWLEADER was not acknowledged yet; its epoch would have come next.
        _ if read_epoch(disk, dir, EpochFile::Accepted)?
            .is_some_and(|accepted| accepted >= last_zxid.epoch()) =>
        {
            Ok(current)
        }
        _ => {
            let reason = format!(
                "in {} the current epoch ({}) is older than that of the last zxid ({last_zxid}): the files are not of \
                 the same time",
                dir.display(),
                current.0
            );
            Err(StorageError::Refused(reason))
        }
    }
}

// Java: QuorumPeer.readLongFromFile
fn read<D: Disk>(disk: &D, dir: &Path, path: &Path) -> Result<Option<Epoch>, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    if !names.iter().any(|name| path.file_name().is_some_and(|wanted| wanted == name.as_str())) {
        return Ok(None);
    }
    let file = disk.open(path).map_err(StorageError::io("open", path))?;
    let mut bytes = [0; LEN_MAX];
    let count = file.read_at(&mut bytes, 0).map_err(StorageError::io("read", path))?;
    let line = String::from_utf8_lossy(&bytes[..count]);
    let line = line.lines().next().unwrap_or_default().trim();
    line.parse().map(|epoch| Some(Epoch(epoch))).map_err(|_| StorageError::Damaged {
        path: path.to_owned(),
        offset: 0,
        reason: format!("{line:?} is no epoch"),
        repair: REPAIR,
    })
}

#[cfg(test)]
mod tests;
