//! Reading one file of the log, record by record, and knowing all of them by name.

use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes, BytesMut};
use oxherd_proto::{Jute, TxnHeader, Zxid};

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;
use crate::log::{HEADER_LEN, RECORD_END, RECORD_HEAD_LEN};

const MAGIC: [u8; 4] = *b"ZKLG";
const READ_BYTES: usize = 1 << 20;
/// Longest txn taken, in bytes: what frames of the largest configurable size can become.
const TXN_LEN_MAX: usize = 512 << 20;
pub(crate) const REPAIR: &str = "`oxherd repair --apply` keeps what can be kept; a member of an ensemble learns the rest \
    from its leader";

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// The zxid in its name: that of its first txn.
    pub first: Zxid,
}

/// Files of the log, oldest first.
pub fn log_files<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<LogFile>, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let zxid =
        |name: &str| i64::from_str_radix(name.strip_prefix("log.")?, 16).ok().filter(|z| *z >= 0).map(Zxid);
    let mut files: Vec<LogFile> = names
        .iter()
        .filter_map(|name| zxid(name).map(|first| LogFile { path: dir.join(name), first }))
        .collect();
    files.sort_unstable_by_key(|file| file.first);
    Ok(files)
}

/// The files that may hold txns from `from` on: the last one whose name is not above it, and all later ones.
// Java: FileTxnLog.getLogFiles
pub fn log_files_from(files: &[LogFile], from: Zxid) -> &[LogFile] {
    let start = files.iter().rposition(|file| file.first <= from).unwrap_or(0);
    &files[start..]
}

/// A record as it comes out of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its zxid.
    pub zxid: Zxid,
    /// Header, record and digest.
    pub payload: Bytes,
    /// Where it ends in its file.
    pub end: u64,
}

pub(crate) enum Step {
    Record(LogRecord),
    /// Zeros or the end of the file.
    End,
    /// Bytes that are no record.
    Bad(String),
    /// A record whose writer did not get to its end: zeros stand where its last bytes belong, or nothing.
    Partial(String),
}

/// How a file begins.
pub(crate) enum Head {
    Good,
    /// Nothing is in it yet, not even a header.
    Empty,
    Bad(String),
}

/// Reads one file record by record.
#[derive(Debug)]
pub struct LogReader<F> {
    file: F,
    path: PathBuf,
    buffer: BytesMut,
    /// Where the buffer begins in the file.
    offset: u64,
    len: u64,
}

impl<F: DiskFile> LogReader<F> {
    /// Opens a file and checks its header; `None` for a file that holds nothing yet, not even a header.
    pub fn open<D: Disk<File = F>>(disk: &D, path: &Path) -> Result<Option<Self>, StorageError> {
        let file = disk.open(path).map_err(StorageError::io("open", path))?;
        let (reader, head) = Self::of(file, path)?;
        match head {
            Head::Good => Ok(Some(reader)),
            Head::Empty => Ok(None),
            Head::Bad(reason) => Err(reader.damaged(0, reason)),
        }
    }

    /// As [`Self::open`], of a file that nobody writes.
    pub(crate) fn begin<D: Disk<File = F>>(disk: &D, path: &Path) -> Result<(Self, Head), StorageError> {
        let file = disk.open_stream(path).map_err(StorageError::io("open", path))?;
        Self::of(file, path)
    }

    fn of(file: F, path: &Path) -> Result<(Self, Head), StorageError> {
        let len = file.len().map_err(StorageError::io("measure", path))?;
        let mut reader = Self { file, path: path.to_owned(), buffer: BytesMut::new(), offset: 0, len };
        let header_len = usize::try_from(HEADER_LEN).expect("16 fits");
        let have = reader.fill(header_len)?.min(header_len);
        if reader.buffer[..have].iter().all(|byte| *byte == 0) {
            return Ok((reader, Head::Empty));
        }
        if have < header_len || reader.buffer[..4] != MAGIC {
            return Ok((reader, Head::Bad("it does not begin as a txn log does".to_owned())));
        }
        reader.skip(header_len);
        Ok((reader, Head::Good))
    }

    /// The next record; `None` at the end of the log in this file.
    ///
    /// Errors: [`StorageError::Damaged`] for bytes that are no record, be they a torn tail or not.
    pub fn next_record(&mut self) -> Result<Option<LogRecord>, StorageError> {
        let at = self.offset;
        match self.step()? {
            Step::Record(record) => Ok(Some(record)),
            Step::End => Ok(None),
            Step::Bad(reason) | Step::Partial(reason) => Err(self.damaged(at, reason)),
        }
    }

    /// Where the next record begins.
    pub fn position(&self) -> u64 {
        self.offset
    }

    pub(crate) fn damaged(&self, offset: u64, reason: String) -> StorageError {
        StorageError::Damaged { path: self.path.clone(), offset, reason, repair: REPAIR }
    }

    /// Has at least `wanted` bytes in the buffer, or all there are; how many.
    fn fill(&mut self, wanted: usize) -> Result<usize, StorageError> {
        while self.buffer.len() < wanted {
            let have = self.buffer.len();
            let more = READ_BYTES.max(wanted - have);
            self.buffer.resize(have + more, 0);
            let at = self.offset + have as u64;
            let read = self.file.read_at(&mut self.buffer[have..], at);
            let count = read.map_err(StorageError::io("read", &self.path))?;
            self.buffer.truncate(have + count);
            if count == 0 {
                break;
            }
        }
        Ok(self.buffer.len())
    }

    fn skip(&mut self, count: usize) {
        self.buffer.advance(count);
        self.offset += count as u64;
    }

    // Java: Util.readTxnBytes, FileTxnLog.FileTxnIterator.next
    pub(crate) fn step(&mut self) -> Result<Step, StorageError> {
        let have = self.fill(RECORD_HEAD_LEN)?;
        if self.buffer[..have.min(RECORD_HEAD_LEN)].iter().all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        if have < RECORD_HEAD_LEN {
            return Ok(Step::Partial(format!("only {have} bytes of a record's head")));
        }
        let sum = i64::from_be_bytes(*self.buffer.first_chunk().expect("filled above"));
        let claimed = i32::from_be_bytes(*self.buffer[8..].first_chunk().expect("filled above"));
        let Some(len) = usize::try_from(claimed).ok().filter(|len| (1..=TXN_LEN_MAX).contains(len)) else {
            return Ok(Step::Bad(format!("a record claims {claimed} bytes")));
        };
        let whole = RECORD_HEAD_LEN + len + 1;
        if self.offset + whole as u64 > self.len || self.fill(whole)? < whole {
            return Ok(Step::Partial(format!("a record of {len} bytes reaches beyond the end")));
        }
        let payload = &self.buffer[RECORD_HEAD_LEN..RECORD_HEAD_LEN + len];
        let is_intact = i64::from(simd_adler32::adler32(&payload)) == sum;
        let reason = "a record lacks its closing byte".to_owned();
        match self.buffer[whole - 1] {
            RECORD_END => {}
            0 if !is_intact => return Ok(Step::Partial(reason)),
            _ => return Ok(Step::Bad(reason)),
        }
        if !is_intact {
            return Ok(Step::Bad("a record's checksum is not that of its bytes".to_owned()));
        }
        let mut record = self.buffer.split_to(whole);
        self.offset += whole as u64;
        record.advance(RECORD_HEAD_LEN);
        record.truncate(len);
        let payload = record.freeze();
        match TxnHeader::from_bytes(payload.clone()) {
            Ok(header) => Ok(Step::Record(LogRecord { zxid: header.zxid, payload, end: self.offset })),
            Err(error) => Ok(Step::Bad(format!("a record is no txn: {error}"))),
        }
    }

    /// Whether anything but zeros follows.
    pub(crate) fn rest_is_zero(&mut self) -> Result<bool, StorageError> {
        loop {
            let have = self.fill(1)?;
            if have == 0 {
                return Ok(true);
            }
            if !is_zero(&self.buffer) {
                return Ok(false);
            }
            self.skip(have);
        }
    }

    /// Whether a whole record is anywhere behind; slow, for files that are already known to be damaged.
    pub(crate) fn a_record_follows(&mut self) -> Result<bool, StorageError> {
        self.next_whole().map(|record| record.is_some())
    }

    /// The next whole record wherever it begins; slow.
    pub(crate) fn next_whole(&mut self) -> Result<Option<LogRecord>, StorageError> {
        loop {
            let have = self.fill(RECORD_HEAD_LEN)?;
            if have < RECORD_HEAD_LEN {
                return Ok(None);
            }
            if self.may_begin_here()?
                && let Step::Record(record) = self.step()?
            {
                return Ok(Some(record));
            }
            if !self.buffer.is_empty() {
                self.skip(1);
            }
        }
    }

    /// Whether head and closing byte look like those of a record.
    fn may_begin_here(&self) -> Result<bool, StorageError> {
        let claimed = i32::from_be_bytes(*self.buffer[8..].first_chunk().expect("the head is in the buffer"));
        let Some(len) = u64::try_from(claimed).ok().filter(|len| *len > 0) else { return Ok(false) };
        let last = self.offset + RECORD_HEAD_LEN as u64 + len;
        if self.buffer[..4] != [0; 4] || last >= self.len {
            return Ok(false);
        }
        let mut byte = [0];
        let count = self.file.read_at(&mut byte, last).map_err(StorageError::io("read", &self.path))?;
        Ok(count == 1 && byte[0] == RECORD_END)
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}
