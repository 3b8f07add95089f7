//! Cutting the log behind a zxid, in an order that no crash turns into a gap.

use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;

use crate::disk::Disk;
use crate::durable::Mark;
use crate::error::StorageError;
use crate::log::HEADER_LEN;
use crate::reader::{Head, LogFile, LogReader, Step, log_files, log_files_from};
use crate::scan::{TornTail, cut};

/// What is to be cut.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The file that stays in part, and how much of it.
    holder: Option<(LogFile, u64)>,
    /// Files that go, newest first.
    later: Vec<PathBuf>,
}

impl Cut {
    /// Finds where the record of `zxid`, or else the last one before it, ends.
    ///
    /// Errors: [`StorageError::Refused`] when the log begins so late that txns up to `zxid` are missing,
    /// [`StorageError::Damaged`] when it cannot be read up to there.
    // Java: FileTxnLog.truncate, which keeps one txn too many when `zxid` itself is not in the log
    pub(crate) fn plan<D: Disk>(disk: &D, dir: &Path, zxid: Zxid) -> Result<Self, StorageError> {
        let files = log_files(disk, dir)?;
        if files.first().is_none_or(|file| file.first > zxid) {
            refuse_gap(dir, &files, zxid)?;
        }
        Self::of(disk, &files, zxid)
    }

    /// The same where a tree up to `zxid` takes the place of what is missing.
    pub(crate) fn plan_below_tree<D: Disk>(disk: &D, dir: &Path, zxid: Zxid) -> Result<Self, StorageError> {
        Self::of(disk, &log_files(disk, dir)?, zxid)
    }

    fn of<D: Disk>(disk: &D, files: &[LogFile], zxid: Zxid) -> Result<Self, StorageError> {
        let holder = log_files_from(files, zxid).first().filter(|file| file.first <= zxid);
        let later =
            files.iter().rev().filter(|file| file.first > zxid).map(|file| file.path.clone()).collect();
        let holder = match holder {
            Some(file) => Some((file.clone(), end_of(disk, file, zxid)?)),
            None => None,
        };
        Ok(Self { holder, later })
    }

    /// What is durable of the log when this is done, and already now.
    pub(crate) fn mark(&self) -> Mark {
        match &self.holder {
            Some((file, offset)) => Mark { file: file.first, offset: *offset },
            None => Mark::NOTHING,
        }
    }

    /// Cuts, durably. Later files go first, one by one: a crash in between leaves no gap.
    pub(crate) fn carry_out<D: Disk>(&self, disk: &D, dir: &Path) -> Result<(), StorageError> {
        for path in &self.later {
            disk.remove(path).map_err(StorageError::io("remove", path))?;
            disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
        }
        if let Some((file, offset)) = &self.holder {
            cut(disk, &TornTail { path: file.path.clone(), offset: *offset, reason: String::new() })?;
        }
        disk.sync_dir(dir).map_err(StorageError::io("sync", dir))
    }
}

/// All of the log may go when it begins right behind `zxid`, or with an epoch after it.
fn refuse_gap(dir: &Path, files: &[LogFile], zxid: Zxid) -> Result<(), StorageError> {
    let Some(file) = files.first() else { return Ok(()) };
    let begins_epoch = file.first.epoch() > zxid.epoch() && file.first.counter() == 1;
    if file.first == zxid.next() || begins_epoch {
        return Ok(());
    }
    let reason = format!(
        "{} begins with txn {}, so the log cannot be cut behind {zxid}: empty the directories of this server to \
         learn everything from the leader of its ensemble",
        dir.display(),
        file.first
    );
    Err(StorageError::Refused(reason))
}

fn end_of<D: Disk>(disk: &D, file: &LogFile, zxid: Zxid) -> Result<u64, StorageError> {
    let (mut reader, head) = LogReader::begin(disk, &file.path)?;
    match head {
        Head::Good => {}
        Head::Empty => return Ok(0),
        Head::Bad(reason) => return Err(reader.damaged(0, reason)),
    }
    let mut end = HEADER_LEN;
    loop {
        match reader.step()? {
            Step::Record(record) if record.zxid < zxid => end = record.end,
            Step::Record(record) if record.zxid == zxid => return Ok(record.end),
            Step::Record(_) | Step::End => return Ok(end),
            Step::Bad(reason) | Step::Partial(reason) => return Err(reader.damaged(end, reason)),
        }
    }
}
