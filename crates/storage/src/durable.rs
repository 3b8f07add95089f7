//! How far the log is known to be durable, kept beside it as a lower bound.
//!
//! After each sync the mark is written, but synced itself only now and then: after a power loss it may be old,
//! never new. So damage before the mark is damage of acknowledged data; damage behind it may be the torn tail
//! of a batch that was never acknowledged.
//!
//! What that promises, and what not: a torn tail never hides acknowledged txns. A power loss and, besides, rot
//! within what the last [`SYNC_EVERY`] batches wrote can: then the rotten record, and all behind it, looks like
//! a tail. The file cannot tell, for its form is ZooKeeper's and records no batches; a sync of the mark with
//! every batch would double the price of a write. A server that ended in any other way has an exact mark, and
//! a member of an ensemble gets from its leader what it lacks.
//!
//! ```text
//! oxherd.durable   zxid in the log file's name i64 | bytes of it that are durable i64 | Adler-32 of both i64
//! ```

use std::io;
use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;

const NAME: &str = "oxherd.durable";
const LEN: usize = 24;
/// Batches between two syncs of the mark: far less than a percent of all syncs.
const SYNC_EVERY: u32 = 256;

/// A position in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The first zxid of the log file, as in its name.
    pub(crate) file: Zxid,
    /// Bytes of it that are durable.
    pub(crate) offset: u64,
}

impl Mark {
    /// Nothing is known to be durable.
    pub(crate) const NOTHING: Self = Self { file: Zxid::ZERO, offset: 0 };

    /// Whether bytes behind `offset` of a file are durable.
    pub(crate) fn covers(self, file: Zxid, offset: u64) -> bool {
        self.file == file && offset < self.offset
    }
}

/// The file of the mark, open for writing.
#[derive(Debug)]
pub(crate) struct MarkFile<F> {
    path: PathBuf,
    file: F,
    /// Writes since it was synced.
    unsynced: u32,
}

impl<F: DiskFile> MarkFile<F> {
    /// Opens the mark of an earlier run, which stays in force, or makes one, durably: from then on its absence
    /// means that another release wrote the log.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, dir: &Path) -> Result<Self, StorageError> {
        if read(disk, dir)?.is_none() {
            return Self::create(disk, dir, Mark::NOTHING);
        }
        let path = dir.join(NAME);
        let file = disk.open(&path).map_err(StorageError::io("open", &path))?;
        Ok(Self { path, file, unsynced: 0 })
    }

    fn create<D: Disk<File = F>>(disk: &D, dir: &Path, mark: Mark) -> Result<Self, StorageError> {
        let path = dir.join(NAME);
        let file = disk.create(&path).map_err(StorageError::io("create", &path))?;
        let mut made = Self { path, file, unsynced: 0 };
        made.write_durably(mark)?;
        disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
        Ok(made)
    }

    /// Writes a mark, and syncs it when that was long ago.
    pub(crate) fn write(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.file.write_at(&encode(mark), 0).map_err(StorageError::io("write", &self.path))?;
        self.unsynced += 1;
        if self.unsynced < SYNC_EVERY { Ok(()) } else { self.sync() }
    }

    /// Writes a mark that may be lower than the one before: no crash brings that back.
    pub(crate) fn write_durably(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.file.write_at(&encode(mark), 0).map_err(StorageError::io("write", &self.path))?;
        self.sync()
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.unsynced = 0;
        self.file.sync().map_err(StorageError::io("sync", &self.path))
    }
}

/// Makes this the mark, durably.
pub(crate) fn establish<D: Disk>(disk: &D, dir: &Path, mark: Mark) -> Result<(), StorageError> {
    match read(disk, dir)? {
        Some(found) if found == mark => Ok(()),
        Some(_) => MarkFile::open(disk, dir)?.write_durably(mark),
        None => MarkFile::create(disk, dir, mark).map(drop),
    }
}

/// The mark; [`Mark::NOTHING`] when it is not whole, `None` when there is none.
pub(crate) fn read<D: Disk>(disk: &D, dir: &Path) -> Result<Option<Mark>, StorageError> {
    let path = dir.join(NAME);
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("open", &path)(error)),
    };
    let mut bytes = [0; LEN];
    let count = file.read_at(&mut bytes, 0).map_err(StorageError::io("read", &path))?;
    let mark = if count == LEN { decode(bytes) } else { None };
    Ok(Some(mark.unwrap_or(Mark::NOTHING)))
}

fn encode(mark: Mark) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(&mark.file.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&mark.offset.to_be_bytes());
    let sum = i64::from(simd_adler32::adler32(&&bytes[..16]));
    bytes[16..].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn decode(bytes: [u8; LEN]) -> Option<Mark> {
    let number = |at: usize| bytes[at..].first_chunk::<8>().map(|chunk| i64::from_be_bytes(*chunk));
    let mark = Mark { file: Zxid(number(0)?), offset: u64::try_from(number(8)?).ok()? };
    (encode(mark) == bytes).then_some(mark)
}
