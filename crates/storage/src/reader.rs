//! Reading the log: files in order, records checked one by one, damage told apart from a torn tail.

use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes, BytesMut};
use oxherd_proto::{Jute, TxnHeader, Zxid};

use crate::disk::{Disk, DiskFile};
use crate::durable::{self, Mark};
use crate::error::StorageError;
use crate::log::{HEADER_LEN, RECORD_END, RECORD_HEAD_LEN};

const MAGIC: [u8; 4] = *b"ZKLG";
const READ_BYTES: usize = 1 << 20;
/// Longest txn taken, in bytes: what frames of the largest configurable size can become.
const TXN_LEN_MAX: usize = 512 << 20;
const REPAIR: &str = "stop this server, keep a copy of its directories, then either empty both (it learns \
    everything from the leader of its ensemble) or go back to an older snapshot with its logs";

/// One file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// The zxid in its name: that of its first txn.
    pub first: Zxid,
}

/// What is left of a batch that was being written when the server died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// Where the last whole record ends.
    pub offset: u64,
    /// Why the next one is not whole.
    pub reason: String,
}

/// Files of the log, oldest first.
pub fn log_files<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<LogFile>, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let zxid = |name: &str| i64::from_str_radix(name.strip_prefix("log.")?, 16).ok().map(Zxid);
    let mut files: Vec<LogFile> =
        names.iter().filter_map(|name| zxid(name).map(|first| LogFile { path: dir.join(name), first })).collect();
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

enum Step {
    Record(LogRecord),
    /// Zeros or the end of the file.
    End,
    /// Bytes that are no record.
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
        let len = file.len().map_err(StorageError::io("measure", path))?;
        let mut reader = Self { file, path: path.to_owned(), buffer: BytesMut::new(), offset: 0, len };
        let header_len = usize::try_from(HEADER_LEN).expect("16 fits");
        if reader.fill(header_len)? < header_len || reader.buffer[..header_len].iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if reader.buffer[..4] != MAGIC {
            return Err(reader.damaged(0, "it does not begin as a txn log does".to_owned()));
        }
        reader.skip(header_len);
        Ok(Some(reader))
    }

    /// Where the next record begins.
    pub fn position(&self) -> u64 {
        self.offset
    }

    fn damaged(&self, offset: u64, reason: String) -> StorageError {
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
    fn step(&mut self) -> Result<Step, StorageError> {
        let have = self.fill(RECORD_HEAD_LEN)?;
        if self.buffer[..have.min(RECORD_HEAD_LEN)].iter().all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        if have < RECORD_HEAD_LEN {
            return Ok(Step::Bad(format!("only {have} bytes of a record's head")));
        }
        let sum = i64::from_be_bytes(*self.buffer.first_chunk().expect("filled above"));
        let claimed = i32::from_be_bytes(*self.buffer[8..].first_chunk().expect("filled above"));
        let Some(len) = usize::try_from(claimed).ok().filter(|len| (1..=TXN_LEN_MAX).contains(len)) else {
            return Ok(Step::Bad(format!("a record claims {claimed} bytes")));
        };
        let whole = RECORD_HEAD_LEN + len + 1;
        if self.offset + whole as u64 > self.len || self.fill(whole)? < whole {
            return Ok(Step::Bad(format!("a record of {len} bytes reaches beyond the end")));
        }
        let payload = &self.buffer[RECORD_HEAD_LEN..RECORD_HEAD_LEN + len];
        if self.buffer[whole - 1] != RECORD_END {
            return Ok(Step::Bad("a record lacks its closing byte".to_owned()));
        }
        if i64::from(simd_adler32::adler32(&payload)) != sum {
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
    fn rest_is_zero(&mut self) -> Result<bool, StorageError> {
        loop {
            let have = self.fill(1)?;
            if have == 0 {
                return Ok(true);
            }
            if self.buffer.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            self.skip(have);
        }
    }
}

/// How a scan ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanEnd {
    /// The last txn given out; `None` when there was none.
    pub last: Option<Zxid>,
    /// A torn tail that was found behind it.
    pub torn: Option<TornTail>,
}

/// Gives every txn from `from` on to `take`, oldest first. `progress` hears of bytes as they are read.
///
/// Errors: damage before the end of what was ever acknowledged, and a gap within an epoch.
pub fn scan<D: Disk>(
    disk: &D,
    dir: &Path,
    from: Zxid,
    take: &mut dyn FnMut(LogRecord) -> Result<(), StorageError>,
    progress: &mut dyn FnMut(u64),
) -> Result<ScanEnd, StorageError> {
    let files = log_files(disk, dir)?;
    let mark = durable::read(disk, dir);
    let wanted = log_files_from(&files, from);
    let before = (from > Zxid(1)).then(|| Zxid(from.0 - 1));
    let mut end = ScanEnd { last: before, torn: None };
    for (number, file) in wanted.iter().enumerate() {
        let is_last = number + 1 == wanted.len();
        let mut scan = FileScan { from, last: end.last, take, progress };
        let (last, torn) = scan.run(disk, file, if is_last { Tail::MayBeTorn(mark) } else { Tail::Whole })?;
        end = ScanEnd { last, torn };
    }
    Ok(end)
}

#[derive(Clone, Copy)]
enum Tail {
    /// Another file follows: it was synced before that one was begun.
    Whole,
    /// The newest file; what lies before the mark was acknowledged.
    MayBeTorn(Option<Mark>),
}

struct FileScan<'a> {
    from: Zxid,
    last: Option<Zxid>,
    take: &'a mut dyn FnMut(LogRecord) -> Result<(), StorageError>,
    progress: &'a mut dyn FnMut(u64),
}

impl FileScan<'_> {
    fn run<D: Disk>(
        &mut self,
        disk: &D,
        file: &LogFile,
        tail: Tail,
    ) -> Result<(Option<Zxid>, Option<TornTail>), StorageError> {
        let Some(mut reader) = LogReader::open(disk, &file.path)? else {
            return Ok((self.last, None));
        };
        loop {
            let at = reader.position();
            match reader.step()? {
                Step::Record(record) => {
                    (self.progress)(record.end - at);
                    self.record(record, &reader, at)?;
                }
                Step::End => {
                    let torn = if reader.rest_is_zero()? {
                        None
                    } else {
                        Some("bytes follow the end of the log".to_owned())
                    };
                    return self.finish(&reader, file, at, torn, tail);
                }
                Step::Bad(reason) => return self.finish(&reader, file, at, Some(reason), tail),
            }
        }
    }

    fn record<F: DiskFile>(&mut self, record: LogRecord, reader: &LogReader<F>, at: u64) -> Result<(), StorageError> {
        let zxid = record.zxid;
        if let Some(last) = self.last {
            if zxid <= last {
                // The original writes a txn again when it restarts in the middle of one; replay is idempotent.
                return if zxid < self.from { Ok(()) } else { (self.take)(record) };
            }
            if zxid.epoch() == last.epoch() && zxid != last.next() {
                return Err(reader.damaged(at, format!("the txns between {last} and {zxid} are missing")));
            }
        }
        self.last = Some(zxid);
        if zxid < self.from { Ok(()) } else { (self.take)(record) }
    }

    fn finish<F: DiskFile>(
        &self,
        reader: &LogReader<F>,
        file: &LogFile,
        at: u64,
        bad: Option<String>,
        tail: Tail,
    ) -> Result<(Option<Zxid>, Option<TornTail>), StorageError> {
        let acknowledged = match tail {
            Tail::Whole => bad.is_some(),
            Tail::MayBeTorn(Some(mark)) => mark.file == file.first && at < mark.offset,
            Tail::MayBeTorn(None) => false,
        };
        if acknowledged {
            let last = self.last.map_or_else(|| "no txn".to_owned(), |last| last.to_string());
            let reason = bad.unwrap_or_else(|| "the log ends before what was acknowledged".to_owned());
            return Err(reader.damaged(at, format!("{reason} (the last good txn is {last})")));
        }
        let torn = bad.map(|reason| TornTail { path: file.path.clone(), offset: at, reason });
        Ok((self.last, torn))
    }
}

/// Cuts a torn tail off, durably, so that no later reader sees it.
pub fn cut<D: Disk>(disk: &D, torn: &TornTail) -> Result<(), StorageError> {
    let mut file = disk.open(&torn.path).map_err(StorageError::io("open", &torn.path))?;
    file.set_len(torn.offset).map_err(StorageError::io("cut", &torn.path))?;
    file.sync().map_err(StorageError::io("sync", &torn.path))
}

/// Cuts everything behind `zxid`: the rest of its file and all later files, durably.
// Java: FileTxnLog.truncate
pub(crate) fn truncate<D: Disk>(disk: &D, dir: &Path, zxid: Zxid) -> Result<(), StorageError> {
    let files = log_files(disk, dir)?;
    let Some(holder) = log_files_from(&files, zxid).first().filter(|file| file.first <= zxid) else {
        let reason = format!("{}: no log file holds {zxid}, so the log cannot be cut behind it", dir.display());
        return Err(StorageError::Refused(reason));
    };
    // Later files first: a crash in between must not leave a gap.
    for file in files.iter().rev().filter(|file| file.first > holder.first) {
        disk.remove(&file.path).map_err(StorageError::io("remove", &file.path))?;
        disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
    }
    let offset = end_of(disk, holder, zxid)?;
    cut(disk, &TornTail { path: holder.path.clone(), offset, reason: String::new() })
}

/// Where the record of `zxid`, or the last one before it, ends.
fn end_of<D: Disk>(disk: &D, file: &LogFile, zxid: Zxid) -> Result<u64, StorageError> {
    let Some(mut reader) = LogReader::open(disk, &file.path)? else { return Ok(0) };
    let mut end = HEADER_LEN;
    while let Step::Record(record) = reader.step()? {
        if record.zxid > zxid {
            break;
        }
        end = record.end;
    }
    Ok(end)
}
