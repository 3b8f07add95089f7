//! Making durable what a start found, before anybody is told of it.
//!
//! A server that died may have left a tail of the log that can be read and is not on the disk: it was not synced
//! yet, or its sync failed. After a failed sync the system takes the bytes for written. They can be read as
//! before, a later sync has nothing to do and succeeds, and they go with the machine. So syncing again proves
//! nothing. What no sync is known to have saved, which is all behind the durable mark, is written once more, so
//! that the sync after it has something to save:
//!
//! - The mark names the file: its name and all before the mark were saved. The rest is written again where it
//!   is. A power loss meanwhile leaves old or new sectors, which are equal where anything was acknowledged.
//! - The mark does not name it: its name may not be saved either, so a copy takes its place; on a full disk all
//!   of it is written again where it is.
//!
//! Then the mark covers all of it. What is left are names of files whose removal or renaming was not saved: a
//! file system whose journal cannot be written takes no further changes, so there is nobody left to be misled.

use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;

use crate::disk::{Disk, DiskFile};
use crate::durable::{self, Mark};
use crate::error::StorageError;
use crate::layout::Layout;
use crate::log::HEADER_LEN;
use crate::reader::{self, LogFile};

/// Bytes that are copied at a time.
const COPY_LEN: usize = 1 << 20;
const TEMPORARY_PREFIX: &str = "oxherd-log.";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Makes log and names durable. `newest` is the newest file and where the log ends in it; what was behind that
/// is cut off already, or the file removed when it had not even a header.
pub(crate) fn keep<D: Disk>(
    disk: &D,
    layout: &Layout,
    newest: Option<&(PathBuf, u64)>,
) -> Result<(), StorageError> {
    let dir = &layout.log_dir;
    remove_unfinished(disk, dir)?;
    for file in reader::log_files(disk, dir)? {
        let end = newest.filter(|(path, end)| *path == file.path && *end > HEADER_LEN);
        match end {
            Some((_, end)) => {
                keep_newest(disk, dir, &file, *end)?;
                disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
                durable::establish(disk, dir, Mark { file: file.first, offset: *end })?;
            }
            // Another followed it. Without forceSync nothing else synced it.
            None => sync(disk, &file.path)?,
        }
    }
    disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
    let names = disk.list(&layout.snap_dir).map_err(StorageError::io("list", &layout.snap_dir))?;
    if !names.is_empty() {
        disk.sync_dir(&layout.snap_dir).map_err(StorageError::io("sync", &layout.snap_dir))?;
    }
    Ok(())
}

fn keep_newest<D: Disk>(disk: &D, dir: &Path, file: &LogFile, len: u64) -> Result<(), StorageError> {
    let mut opened = disk.open(&file.path).map_err(StorageError::io("open", &file.path))?;
    let mark = durable::read(disk, dir)?.unwrap_or(Mark::NOTHING);
    let known = if mark.covers(file.first, HEADER_LEN) { mark.offset } else { 0 };
    if known >= len {
        return opened.sync().map_err(StorageError::io("sync", &file.path));
    }
    let result = if known > 0 { Ok(false) } else { replace_by_copy(disk, dir, file) };
    let is_copied = match result {
        Err(error) if error.is_no_space() => false,
        other => other?,
    };
    if !is_copied {
        write_again(&mut opened, known, len).map_err(StorageError::io("write", &file.path))?;
        opened.sync().map_err(StorageError::io("sync", &file.path))?;
    }
    Ok(())
}

fn write_again<F: DiskFile>(file: &mut F, from: u64, end: u64) -> std::io::Result<()> {
    copy(from, end, |at, bytes| {
        let count = file.read_at(bytes, at)?;
        file.write_at(&bytes[..count], at)?;
        Ok(count)
    })
}

fn replace_by_copy<D: Disk>(disk: &D, dir: &Path, file: &LogFile) -> Result<bool, StorageError> {
    let temporary = temporary(dir, file.first);
    copy_file(disk, &file.path, &temporary)?;
    disk.rename(&temporary, &file.path).map_err(StorageError::io("rename", &temporary))?;
    Ok(true)
}

/// A file of the log that is not whole yet; a start removes it.
pub(crate) fn temporary(dir: &Path, first: Zxid) -> PathBuf {
    dir.join(format!("{TEMPORARY_PREFIX}{:x}{TEMPORARY_SUFFIX}", first.0))
}

/// Copies a file and syncs the copy, but not its name. What cannot be written is removed again.
pub(crate) fn copy_file<D: Disk>(disk: &D, from: &Path, to: &Path) -> Result<(), StorageError> {
    let opened = disk.open(from).map_err(StorageError::io("open", from))?;
    let len = opened.len().map_err(StorageError::io("measure", from))?;
    let mut made = disk.create(to).map_err(StorageError::io("create", to))?;
    let written = copy(0, len, |at, bytes| {
        let count = opened.read_at(bytes, at)?;
        made.write_at(&bytes[..count], at)?;
        Ok(count)
    });
    if let Err(error) = written.and_then(|()| made.sync()) {
        disk.remove(to).map_err(StorageError::io("remove", to))?;
        return Err(StorageError::io("write", to)(error));
    }
    Ok(())
}

/// Lets `step` handle pieces from `from` to `end`; it answers how many bytes there were.
fn copy(
    from: u64,
    end: u64,
    mut step: impl FnMut(u64, &mut [u8]) -> std::io::Result<usize>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; COPY_LEN];
    let mut at = from;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(COPY_LEN).min(COPY_LEN);
        match step(at, &mut buffer[..wanted])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => at += count as u64,
        }
    }
    Ok(())
}

fn sync<D: Disk>(disk: &D, path: &Path) -> Result<(), StorageError> {
    let mut file = disk.open(path).map_err(StorageError::io("open", path))?;
    file.sync().map_err(StorageError::io("sync", path))
}

/// What a start left that died in the middle of a copy.
fn remove_unfinished<D: Disk>(disk: &D, dir: &Path) -> Result<(), StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    for name in
        names.iter().filter(|name| name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX))
    {
        let path = dir.join(name);
        disk.remove(&path).map_err(StorageError::io("remove", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
