//! The txn log: files of records, appended in batches, one sync a batch.
//!
//! ```text
//! log.<hex zxid of the first txn>
//! "ZKLG" | version i32 = 2 | dbid i64 = 0
//! record:  Adler-32 of the payload i64 | len i32 | payload | 0x42
//! zeros, reserved ahead
//! ```
// Java: FileTxnLog

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oxherd_proto::Zxid;

use crate::disk::{Disk, DiskFile};
use crate::durable::{Mark, MarkFile};
use crate::error::StorageError;
use crate::truncate::Cut;

pub(crate) const HEADER_LEN: u64 = 16;
pub(crate) const RECORD_HEAD_LEN: usize = 12;
pub(crate) const RECORD_END: u8 = 0x42;
const MAGIC_AND_VERSION: [u8; 8] = *b"ZKLG\0\0\0\x02";
/// Space kept reserved ahead of the last record, for deletes and closes when the disk is full.
const RESERVE_BYTES: u64 = 4 << 20;
/// Least step by which space is reserved when the configured one does not fit.
const STEP_BYTES_MIN: u64 = 64 << 10;
/// Zeros written ahead of a small batch. A sync that meets reserved space never written before has to save
/// the file system's note of it too; one such sync in many is enough.
const ZEROS_AHEAD_BYTES: u64 = 256 << 10;
/// A larger batch pays for that note itself: zeros would only be written twice.
const SMALL_BATCH_BYTES: u64 = 32 << 10;

/// How the log is written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Bytes by which a file's space is reserved ahead (`preAllocSize`).
    pub preallocate_bytes: u64,
    /// Bytes after which a new file is begun; `None` for no limit (`txnLogSizeLimitInKb`).
    pub file_bytes_max: Option<u64>,
    /// Whether [`Log::sync`] waits for the disk (`forceSync`).
    pub sync: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { preallocate_bytes: 64 << 20, file_bytes_max: None, sync: true }
    }
}

#[derive(Debug)]
struct Segment<F> {
    file: F,
    path: PathBuf,
    first: Zxid,
    position: u64,
    reserved: u64,
    /// Up to where the file was written, zeros included.
    written: u64,
    /// Where the last sync found the end.
    synced: u64,
}

/// The end of the log, where txns are appended.
///
/// Any error but a full disk poisons it: what follows fails, because a sync that failed once may have
/// lost what it was to save. A server never appends to a file of an earlier run.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    dir: PathBuf,
    options: LogOptions,
    segment: Option<Segment<D::File>>,
    mark: MarkFile<D::File>,
    dir_changed: bool,
    roll_next: bool,
    has_room: bool,
    poisoned: bool,
    buffer: Vec<u8>,
}

impl<D: Disk> Log<D> {
    /// A log in `dir`, whose files of earlier runs stay as they are.
    pub fn open(disk: D, dir: &Path, options: LogOptions) -> Result<Self, StorageError> {
        let mark = MarkFile::open(&disk, dir)?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            options,
            segment: None,
            mark,
            dir_changed: true,
            roll_next: true,
            has_room: true,
            poisoned: false,
            buffer: Vec::new(),
        })
    }

    /// Writes a batch at the end, in one call. Durable after [`Self::sync`] only.
    ///
    /// On a full disk nothing is written, [`StorageError::is_no_space`] says so, and the call may be repeated.
    // Java: FileTxnLog.append
    pub fn append(&mut self, txns: &[(Zxid, Bytes)]) -> Result<(), StorageError> {
        let Some((first, _)) = txns.first() else { return Ok(()) };
        self.check()?;
        self.buffer.clear();
        for (_, payload) in txns {
            encode_record(payload, &mut self.buffer);
        }
        let len = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.make_ready(*first, len)?;
        let Some(segment) = &mut self.segment else { return self.fail_closed() };
        if let Err(error) = segment.write(&mut self.buffer) {
            let clean = error.is_no_space() && segment.forget_rest().is_ok();
            self.poisoned |= !clean;
            self.has_room = false;
            return Err(error);
        }
        if self.options.file_bytes_max.is_some_and(|max| segment.position >= max) {
            self.roll_next = true;
        }
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Makes everything appended durable, its file's name included.
    // Java: FileTxnLog.commit
    pub fn sync(&mut self) -> Result<(), StorageError> {
        self.check()?;
        let result = if self.options.sync { self.sync_segment() } else { Ok(()) };
        self.poisoned |= result.is_err();
        result
    }

    fn sync_segment(&mut self) -> Result<(), StorageError> {
        if self.dir_changed {
            self.disk.sync_dir(&self.dir).map_err(StorageError::io("sync", &self.dir))?;
            self.dir_changed = false;
        }
        let Some(segment) = &mut self.segment else { return Ok(()) };
        segment.file.sync().map_err(StorageError::io("sync", &segment.path))?;
        segment.synced = segment.position;
        let mark = Mark { file: segment.first, offset: segment.position };
        match self.mark.write(mark) {
            // The mark stays lower than it could be.
            Err(error) if error.is_no_space() => Ok(()),
            written => written,
        }
    }

    /// The next txn begins a new file.
    // Java: FileTxnLog.rollLog
    pub fn roll(&mut self) {
        self.roll_next = true;
    }

    /// Whether space could be reserved ahead; while it could not, only what shrinks the tree should come.
    pub fn has_room(&self) -> bool {
        self.has_room
    }

    /// Tries again to reserve space; whether there is room now.
    pub fn retry_room(&mut self) -> bool {
        if !self.poisoned && !self.has_room {
            let step = self.options.preallocate_bytes.max(STEP_BYTES_MIN);
            let reserved = match &mut self.segment {
                Some(segment) => segment.reserve(step).map(|()| true),
                None => Ok(self.disk.free_bytes(&self.dir).is_ok_and(|free| free > step + RESERVE_BYTES)),
            };
            self.poisoned |= reserved.as_ref().is_err_and(|error| !error.is_no_space());
            self.has_room = reserved.unwrap_or(false);
        }
        self.has_room
    }

    /// Cuts everything behind `zxid`, durably. Appending goes on in a new file.
    // Java: FileTxnLog.truncate
    pub fn truncate(&mut self, zxid: Zxid) -> Result<(), StorageError> {
        self.cut(zxid, Cut::plan)
    }

    /// As [`Self::truncate`], below a tree up to `zxid` that is about to take the place of what the log lacks: it may
    /// begin behind `zxid`, and then all of it goes.
    pub fn forget_behind(&mut self, zxid: Zxid) -> Result<(), StorageError> {
        self.cut(zxid, Cut::plan_below_tree)
    }

    fn cut(
        &mut self,
        zxid: Zxid,
        plan: impl Fn(&D, &Path, Zxid) -> Result<Cut, StorageError>,
    ) -> Result<(), StorageError> {
        self.sync()?;
        self.segment = None;
        self.roll_next = true;
        let result = plan(&self.disk, &self.dir, zxid).and_then(|cut| self.carry_out(&cut));
        // A log that cannot be cut there is as good as before.
        self.poisoned |= matches!(result, Err(StorageError::Io { .. }));
        result
    }

    /// The mark first: what it names is never missing.
    fn carry_out(&mut self, cut: &Cut) -> Result<(), StorageError> {
        self.mark.write_durably(cut.mark())?;
        cut.carry_out(&self.disk, &self.dir)
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.poisoned { self.fail_closed() } else { Ok(()) }
    }

    fn fail_closed<T>(&self) -> Result<T, StorageError> {
        let source = io::Error::other("an earlier write or sync failed, so the log can no longer be trusted");
        Err(StorageError::Io { action: "go on with", path: self.dir.clone(), source })
    }

    fn make_ready(&mut self, first: Zxid, len: u64) -> Result<(), StorageError> {
        let may_roll = self.roll_next && (self.has_room || self.segment.is_none());
        if may_roll || self.segment.is_none() {
            self.finish_file()?;
            match self.begin_file(first, len) {
                Ok(segment) => {
                    self.roll_next = false;
                    if let Some(mut left) = self.segment.replace(segment) {
                        // What was reserved in it is of no use any more.
                        left.forget_rest().or_else(|error| self.give_up(error))?;
                    }
                }
                // A roll can wait; the file in use goes on while its reserve lasts.
                Err(error) if error.is_no_space() && self.segment.is_some() => self.has_room = false,
                Err(error) => return self.give_up(error),
            }
        }
        self.reserve_ahead(len)
    }

    /// A file that another follows is durable, so nothing in it is ever a torn tail.
    fn finish_file(&mut self) -> Result<(), StorageError> {
        match &self.segment {
            Some(segment) if segment.synced < segment.position => self.sync(),
            _ => Ok(()),
        }
    }

    fn begin_file(&mut self, first: Zxid, len: u64) -> Result<Segment<D::File>, StorageError> {
        let path = self.dir.join(file_name(first));
        // From here on the mark names the newest file, if it is ours.
        let mark = Mark { file: first, offset: 0 };
        if self.options.sync { self.mark.write_durably(mark) } else { self.mark.write(mark) }?;
        let created =
            if self.options.sync { self.disk.create_stream(&path) } else { self.disk.create(&path) };
        let mut file = created.map_err(StorageError::io("create", &path))?;
        self.dir_changed = true;
        let begun = file.write_at(&file_header(), 0).map_err(StorageError::io("write", &path));
        let mut segment =
            Segment { file, path, first, position: HEADER_LEN, reserved: HEADER_LEN, written: 0, synced: 0 };
        let step = self.options.preallocate_bytes.max(STEP_BYTES_MIN);
        let reserved = begun.and_then(|()| {
            let full = segment.reserve(step);
            full.or_else(|_| segment.reserve(len + STEP_BYTES_MIN))
        });
        match reserved {
            Ok(()) => Ok(segment),
            Err(error) => {
                self.disk.remove(&segment.path).map_err(StorageError::io("remove", &segment.path))?;
                // Were the name to come back, readers would take it for where its txns are.
                self.disk.sync_dir(&self.dir).map_err(StorageError::io("sync", &self.dir))?;
                Err(error)
            }
        }
    }

    /// Keeps the reserve ahead of the position; what is reserved is there even when the disk is full.
    // Java: FilePadding.padFile
    fn reserve_ahead(&mut self, len: u64) -> Result<(), StorageError> {
        let step = self.options.preallocate_bytes.max(STEP_BYTES_MIN);
        let Some(segment) = &mut self.segment else { return self.fail_closed() };
        let wanted = segment.position + len + RESERVE_BYTES.min(step / 2);
        if wanted < segment.reserved {
            return Ok(());
        }
        let result = segment.reserve(step.max(len));
        match result {
            Ok(()) => self.has_room = true,
            Err(error) if error.is_no_space() => {
                self.has_room = false;
                if segment.position + len > segment.reserved {
                    return Err(error);
                }
            }
            Err(error) => return self.give_up(error),
        }
        Ok(())
    }

    fn give_up(&mut self, error: StorageError) -> Result<(), StorageError> {
        self.poisoned |= !error.is_no_space();
        self.has_room &= !error.is_no_space();
        Err(error)
    }
}

impl<F: DiskFile> Segment<F> {
    /// Writes records, and now and then zeros behind them, at the end; the buffer may come back longer.
    fn write(&mut self, records: &mut Vec<u8>) -> Result<(), StorageError> {
        let len = records.len() as u64;
        let end = self.position + len;
        if len <= SMALL_BATCH_BYTES && end > self.written {
            let zeros = self.reserved.saturating_sub(end).min(ZEROS_AHEAD_BYTES);
            records.resize(records.len() + usize::try_from(zeros).unwrap_or(0), 0);
        }
        self.file.write_at(records, self.position).map_err(StorageError::io("append to", &self.path))?;
        self.written = self.written.max(self.position + records.len() as u64);
        self.position = end;
        Ok(())
    }

    /// Takes back what a write left that did not succeed.
    fn forget_rest(&mut self) -> Result<(), StorageError> {
        self.file.set_len(self.position).map_err(StorageError::io("cut", &self.path))?;
        self.reserved = self.position;
        self.written = self.position;
        Ok(())
    }

    fn reserve(&mut self, step: u64) -> Result<(), StorageError> {
        let len = self.reserved + step;
        self.file.allocate(len).map_err(StorageError::io("reserve space in", &self.path))?;
        self.reserved = len;
        Ok(())
    }
}

/// The name of the log file whose first txn is `zxid`.
pub(crate) fn file_name(zxid: Zxid) -> String {
    format!("log.{:x}", zxid.0)
}

/// How a file begins.
pub(crate) fn file_header() -> [u8; 16] {
    // The other half is the dbid, 0.
    let mut header = [0; 16];
    header[..8].copy_from_slice(&MAGIC_AND_VERSION);
    header
}

pub(crate) fn encode_record(payload: &[u8], out: &mut Vec<u8>) {
    let len = i32::try_from(payload.len()).expect("a txn came in frames of bounded size");
    out.extend_from_slice(&i64::from(simd_adler32::adler32(&payload)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(RECORD_END);
}

#[cfg(test)]
mod tests;
