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
}

/// Gives every txn from `from` on to `take`, each once and in order. `progress` hears of bytes as they are read.
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
    let before = (from > Zxid(1)).then(|| Zxid(from.0 - 1));
    let mut end = ScanEnd { last: before, torn: None };
    for (number, file) in wanted.iter().enumerate() {
        let tail = if number + 1 == wanted.len() { Tail::MayBeTorn(mark) } else { Tail::Whole };
        let mut scan = FileScan { file, tail, last: end.last, take, progress };
        end.torn = scan.run(disk)?;
        end.last = scan.last;
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
    Whole,
    /// The newest file; what lies before the mark was acknowledged.
    MayBeTorn(Option<Mark>),
}

struct FileScan<'a> {
    file: &'a LogFile,
    tail: Tail,
    last: Option<Zxid>,
    take: &'a mut dyn FnMut(LogRecord) -> Result<(), StorageError>,
    progress: &'a mut dyn FnMut(u64),
}

impl FileScan<'_> {
    fn run<D: Disk>(&mut self, disk: &D) -> Result<Option<TornTail>, StorageError> {
        let (mut reader, head) = LogReader::begin(disk, &self.file.path)?;
        match head {
            Head::Good => {}
            Head::Empty => return self.finish(&mut reader, 0, None),
            Head::Bad(reason) => return self.finish(&mut reader, 0, Some(reason)),
        }
        loop {
            let at = reader.position();
            match reader.step()? {
                Step::Record(record) => {
                    (self.progress)(record.end - at);
                    self.record(record, &reader, at)?;
                }
                Step::End if reader.rest_is_zero()? => return self.finish(&mut reader, at, None),
                Step::End => {
                    return self.finish(&mut reader, at, Some("bytes follow the end of the log".to_owned()));
                }
                Step::Bad(reason) => return self.finish(&mut reader, at, Some(reason)),
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
            if zxid != last.next() && !begins_epoch {
                return Err(reader.damaged(at, format!("the txns between {last} and {zxid} are missing")));
            }
        }
        self.last = Some(zxid);
        (self.take)(record)
    }

    fn finish<F: DiskFile>(
        &self,
        reader: &mut LogReader<F>,
        at: u64,
        bad: Option<String>,
    ) -> Result<Option<TornTail>, StorageError> {
        let acknowledged = match self.tail {
            Tail::Whole => bad.is_some(),
            Tail::MayBeTorn(Some(mark)) => mark.covers(self.file.first, at),
            Tail::MayBeTorn(None) => bad.is_some() && reader.a_record_follows()?,
        };
        if acknowledged {
            let last = self.last.map_or_else(|| "no txn".to_owned(), |last| last.to_string());
            let reason = bad.unwrap_or_else(|| "the log ends before what was acknowledged".to_owned());
            return Err(reader.damaged(at, format!("{reason} (the last good txn is {last})")));
        }
        Ok(bad.map(|reason| TornTail { path: self.file.path.clone(), offset: at, reason }))
    }
}

/// Cuts a torn tail off, durably, so that no later reader sees it.
pub fn cut<D: Disk>(disk: &D, torn: &TornTail) -> Result<(), StorageError> {
    let mut file = disk.open(&torn.path).map_err(StorageError::io("open", &torn.path))?;
    file.set_len(torn.offset).map_err(StorageError::io("cut", &torn.path))?;
    file.sync().map_err(StorageError::io("sync", &torn.path))
}

#[cfg(test)]
mod tests;
