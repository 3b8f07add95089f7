//! How far the log is known to be durable, kept beside it as a lower bound.
//!
//! After each sync the mark is written, but not synced itself: after a power loss it may be old, never new.
//! So damage before the mark is damage of acknowledged data; damage behind it may be the torn tail of a
//! batch that was never acknowledged.
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
}

impl<F: DiskFile> MarkFile<F> {
    /// Opens the mark of an earlier run, which stays in force, or makes one, durably: from then on its absence
    /// means that another release wrote the log.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, dir: &Path) -> Result<Self, StorageError> {
        let path = dir.join(NAME);
        if read(disk, dir)?.is_some() {
            let file = disk.open(&path).map_err(StorageError::io("open", &path))?;
            return Ok(Self { path, file });
        }
        let file = disk.create(&path).map_err(StorageError::io("create", &path))?;
        let mut made = Self { path, file };
        made.write_durably(Mark::NOTHING)?;
        disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
        Ok(made)
    }

    pub(crate) fn write(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.file.write_at(&encode(mark), 0).map_err(StorageError::io("write", &self.path))
    }

    /// Writes a mark that may be lower than the one before: no crash brings that back.
    pub(crate) fn write_durably(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.write(mark)?;
        self.file.sync().map_err(StorageError::io("sync", &self.path))
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
