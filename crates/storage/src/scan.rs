//! Reading the whole log: files in order, no txn missing, damage told apart from a torn tail.

use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;

use crate::disk::{Disk, DiskFile};
use crate::durable::{self, Mark};
use crate::error::StorageError;
use crate::log::{HEADER_LEN, file_name};
use crate::reader::{Head, LogFile, LogReader, LogRecord, REPAIR, Step, log_files, log_files_from};

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

/// How a scan ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanEnd {
    /// The last txn given out; `None` when there was none.
    pub last: Option<Zxid>,
    /// A torn tail that was found behind it.
    pub torn: Option<TornTail>,
    /// The newest file, and where in it the log ends; 0 when it has not even a header.
    pub newest: Option<(PathBuf, u64)>,
}

/// Gives every txn from `from` on to `take`, each once and in order. `progress` hears of bytes as they are read.
///
/// The first one has to be `from` itself or to begin a later epoch; from 0 on, any will do.
///
/// Errors: damage before the end of what was ever acknowledged, and txns that are missing. In a log that
/// another release wrote, damage with a whole record anywhere behind it counts as such.
pub fn scan<D: Disk>(
    disk: &D,
    dir: &Path,
    from: Zxid,
    take: &mut dyn FnMut(LogRecord) -> Result<(), StorageError>,
    progress: &mut dyn FnMut(u64),
) -> Result<ScanEnd, StorageError> {
    let files = log_files(disk, dir)?;
    let mark = durable::read(disk, dir)?;
    refuse_lost_file(dir, &files, mark)?;
    let wanted = log_files_from(&files, from);
    let before = (from > Zxid::ZERO).then(|| Zxid(from.0 - 1));
    let mut end = ScanEnd { last: before, ..ScanEnd::default() };
    let mut doubt = None;
    for (number, file) in wanted.iter().enumerate() {
        let tail = if number + 1 == wanted.len() { Tail::MayBeTorn(mark) } else { Tail::Whole };
        let mut scan = FileScan { file, tail, last: end.last, doubt: doubt.take(), take, progress };
        let (at, bad) = scan.run(disk)?;
        (end.last, doubt) = (scan.last, scan.doubt.take());
        end.newest = Some((file.path.clone(), at));
        end.torn = bad.map(|reason| TornTail { path: file.path.clone(), offset: at, reason });
    }
    Ok(end)
}

/// The newest file that was ever synced must be there, or a later one.
fn refuse_lost_file(dir: &Path, files: &[LogFile], mark: Option<Mark>) -> Result<(), StorageError> {
    let Some(mark) = mark.filter(|mark| mark.covers(mark.file, HEADER_LEN)) else { return Ok(()) };
    if files.last().is_some_and(|file| file.first >= mark.file) {
        return Ok(());
    }
    let path = dir.join(file_name(mark.file));
    let reason = format!("the file is gone, with acknowledged txns from {} on", mark.file);
    Err(StorageError::Damaged { path, offset: 0, reason, repair: REPAIR })
}

#[derive(Clone, Copy)]
enum Tail {
    /// Another file follows: this one was synced before that one was begun.
    ///
    /// The original leaves a record in part when it is killed, and goes on in a new file.
    Whole,
    /// The newest file; what lies before the mark was acknowledged.
    MayBeTorn(Option<Mark>),
}

struct FileScan<'a> {
    file: &'a LogFile,
    tail: Tail,
    last: Option<Zxid>,
    /// A file ended in a record in part; the next txn tells whether it was ever acknowledged.
    doubt: Option<StorageError>,
    take: &'a mut dyn FnMut(LogRecord) -> Result<(), StorageError>,
    progress: &'a mut dyn FnMut(u64),
}

impl FileScan<'_> {
    /// Where the log ends in the file, and what is wrong there.
    fn run<D: Disk>(&mut self, disk: &D) -> Result<(u64, Option<String>), StorageError> {
        let (mut reader, head) = LogReader::begin(disk, &self.file.path)?;
        match head {
            Head::Good => {}
            Head::Empty => return self.finish(&mut reader, 0, Found::End),
            Head::Bad(reason) => return self.finish(&mut reader, 0, Found::BadHead(reason)),
        }
        loop {
            let at = reader.position();
            match reader.step()? {
                Step::Record(record) => {
                    (self.progress)(record.end - at);
                    self.record(record, &reader, at)?;
                }
                Step::End if reader.rest_is_zero()? => return self.finish(&mut reader, at, Found::End),
                Step::End => {
                    let reason = "bytes follow the end of the log".to_owned();
                    return self.finish(&mut reader, at, Found::Bad(reason));
                }
                Step::Bad(reason) => return self.finish(&mut reader, at, Found::Bad(reason)),
                Step::Partial(reason) => return self.finish(&mut reader, at, Found::Partial(reason)),
            }
        }
    }

    fn record<F: DiskFile>(
        &mut self,
        record: LogRecord,
        reader: &LogReader<F>,
        at: u64,
    ) -> Result<(), StorageError> {
        let zxid = record.zxid;
        if let Some(last) = self.last {
            // The original may write a txn a second time.
            if zxid <= last {
                return Ok(());
            }
            let begins_epoch = zxid.epoch() > last.epoch() && zxid.counter() == 1;
            let doubt = self.doubt.take();
            if zxid != last.next() && !begins_epoch {
                if let Some(error) = doubt {
                    return Err(error);
                }
                return Err(reader.damaged(at, format!("the txns between {last} and {zxid} are missing")));
            }
        }
        self.last = Some(zxid);
        (self.take)(record)
    }

    fn finish<F: DiskFile>(
        &mut self,
        reader: &mut LogReader<F>,
        at: u64,
        found: Found,
    ) -> Result<(u64, Option<String>), StorageError> {
        // The doubt about a file before is settled by a txn, and there was none here.
        let acknowledged = match (self.tail, &found) {
            // A power loss leaves the sector of the header whole or empty. So this is rot, whatever a lost mark knew.
            (_, Found::BadHead(_)) if reader.a_record_follows()? => true,
            // A mark that is not whole was being written when the power went, so the file is ours too.
            (Tail::MayBeTorn(Some(mark)), _) if mark.file == self.file.first || mark == Mark::NOTHING => {
                mark.covers(self.file.first, at)
            }
            // Another server wrote it, or this one long ago: only the file itself can tell.
            (_, Found::End) => false,
            (Tail::Whole, Found::Bad(_) | Found::BadHead(_)) => true,
            (Tail::Whole, Found::Partial(_)) | (Tail::MayBeTorn(_), _) => reader.a_record_follows()?,
        };
        let reason = match found {
            Found::BadHead(reason) | Found::Bad(reason) | Found::Partial(reason) => Some(reason),
            Found::End if acknowledged => Some("the log ends before what was acknowledged".to_owned()),
            Found::End => None,
        };
        let Some(reason) = reason else { return Ok((at, None)) };
        if acknowledged || matches!(self.tail, Tail::Whole) {
            let last = self.last.map_or_else(|| "no txn".to_owned(), |last| last.to_string());
            let error = reader.damaged(at, format!("{reason} (the last good txn is {last})"));
            if acknowledged {
                return Err(error);
            }
            self.doubt = Some(error);
        }
        Ok((at, Some(reason)))
    }
}

/// How the records of a file end.
enum Found {
    End,
    /// The file does not begin as a log does.
    BadHead(String),
    Bad(String),
    Partial(String),
}

/// Cuts a torn tail off, durably, so that no later reader sees it. A file without a header goes as a whole:
/// the original does not start when such a file is followed by another.
pub fn cut<D: Disk>(disk: &D, torn: &TornTail) -> Result<(), StorageError> {
    if torn.offset < HEADER_LEN {
        disk.remove(&torn.path).map_err(StorageError::io("remove", &torn.path))?;
        let dir = torn.path.parent().unwrap_or_else(|| Path::new("."));
        return disk.sync_dir(dir).map_err(StorageError::io("sync", dir));
    }
    let mut file = disk.open(&torn.path).map_err(StorageError::io("open", &torn.path))?;
    file.set_len(torn.offset).map_err(StorageError::io("cut", &torn.path))?;
    file.sync().map_err(StorageError::io("sync", &torn.path))
}

#[cfg(test)]
mod tests;
