//! Reading some txns out of the log, for a learner that lags behind.

use std::io;
use std::path::Path;

use bytes::Bytes;
use oxherd_proto::Zxid;

use crate::disk::Disk;
use crate::error::StorageError;
use crate::reader::{LogReader, LogRecord, log_files, log_files_from};

/// The txns from `from` through `through`, oldest first.
///
/// `None` when the log does not hold all of them without a gap, or when they have more than `bytes_max` bytes:
/// then the learner is better served with a snapshot. Files before the one that may hold `from` are not
/// opened. May run beside the log being written, up to what is synced, and beside a purge.
// Java: ZKDatabase.getProposalsFromTxnLog, which takes no notice of gaps
pub fn read_range<D: Disk>(
    disk: &D,
    dir: &Path,
    from: Zxid,
    through: Zxid,
    bytes_max: usize,
) -> Result<Option<Vec<(Zxid, Bytes)>>, StorageError> {
    let files = log_files(disk, dir)?;
    let mut range = Range { from, through, bytes_max, bytes: 0, txns: Vec::new(), may_lack: false };
    for file in log_files_from(&files, from) {
        let reader = match LogReader::open(disk, &file.path) {
            Ok(reader) => reader,
            Err(error) => return unusable(error),
        };
        let Some(mut reader) = reader else { continue };
        loop {
            match reader.next_record() {
                Ok(Some(record)) => match range.take(record) {
                    Progress::More => {}
                    Progress::Done => return Ok(Some(range.txns)),
                    Progress::Never => return Ok(None),
                },
                Ok(None) => break,
                Err(StorageError::Damaged { .. }) => {
                    range.may_lack = true;
                    break;
                }
                Err(error) => return unusable(error),
            }
        }
    }
    Ok(None)
}

/// A file that is damaged, or was removed meanwhile, is no source of txns; another error is one.
fn unusable<T>(error: StorageError) -> Result<Option<T>, StorageError> {
    match error {
        StorageError::Damaged { .. } => Ok(None),
        StorageError::Io { ref source, .. } if source.kind() == io::ErrorKind::NotFound => Ok(None),
        error => Err(error),
    }
}

enum Progress {
    More,
    Done,
    Never,
}

struct Range {
    from: Zxid,
    through: Zxid,
    bytes_max: usize,
    bytes: usize,
    txns: Vec<(Zxid, Bytes)>,
    /// A file ended in what is no record, so only the very next txn can follow.
    may_lack: bool,
}

impl Range {
    fn take(&mut self, record: LogRecord) -> Progress {
        let follows = match self.txns.last() {
            None if record.zxid < self.from => return Progress::More,
            None => record.zxid == self.from,
            // The original may write a txn a second time.
            Some((last, _)) if record.zxid <= *last => return Progress::More,
            Some((last, _)) => self.follows(*last, record.zxid),
        };
        self.bytes += record.payload.len();
        if !follows || record.zxid > self.through || self.bytes > self.bytes_max {
            return Progress::Never;
        }
        self.may_lack = false;
        let is_last = record.zxid == self.through;
        self.txns.push((record.zxid, record.payload));
        if is_last { Progress::Done } else { Progress::More }
    }

    fn follows(&self, last: Zxid, next: Zxid) -> bool {
        let begins_epoch = next.epoch() > last.epoch() && next.counter() == 1;
        next == last.next() || (begins_epoch && !self.may_lack)
    }
}

#[cfg(test)]
mod tests {
    use oxherd_proto::{Epoch, Jute, TxnHeader};

    use super::*;
    use crate::log::{Log, LogOptions};
    use crate::sim_disk::SimDisk;

    const DIR: &str = "logs";

    fn log_of(batches: &[&[Zxid]]) -> SimDisk {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new(DIR)).unwrap();
        let options = LogOptions { preallocate_bytes: 64 << 10, ..LogOptions::default() };
        let mut log = Log::open(disk.clone(), Path::new(DIR), options).unwrap();
        for batch in batches {
            log.append(&batch.iter().map(|zxid| (*zxid, payload(*zxid))).collect::<Vec<_>>()).unwrap();
            log.sync().unwrap();
            log.roll();
        }
        disk
    }

    fn payload(zxid: Zxid) -> Bytes {
        TxnHeader { zxid, ..TxnHeader::default() }.to_vec().into()
    }

    fn at(epoch: i64, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    fn read(disk: &SimDisk, from: Zxid, through: Zxid) -> Option<Vec<Zxid>> {
        let txns = read_range(disk, Path::new(DIR), from, through, 1 << 20).unwrap()?;
        assert!(txns.iter().all(|(zxid, bytes)| *bytes == payload(*zxid)));
        Some(txns.into_iter().map(|(zxid, _)| zxid).collect())
    }

    #[test]
    fn a_range_comes_whole_or_not_at_all() {
        let disk = log_of(&[&[at(0, 5), at(0, 6)], &[at(0, 7)], &[at(2, 1), at(2, 2)], &[at(2, 4)]]);
        let all = vec![at(0, 6), at(0, 7), at(2, 1), at(2, 2)];
        assert_eq!(read(&disk, at(0, 6), at(2, 2)), Some(all), "over files and an epoch");
        assert_eq!(read(&disk, at(0, 7), at(0, 7)), Some(vec![at(0, 7)]));
        assert_eq!(read(&disk, at(0, 4), at(0, 7)), None, "purged");
        assert_eq!(read(&disk, at(0, 7), at(2, 3)), None, "never there");
        assert_eq!(read(&disk, at(2, 2), at(2, 4)), None, "a gap");
        assert_eq!(read(&disk, at(1, 1), at(2, 2)), None, "no such txn to begin with");
        let small = read_range(&disk, Path::new(DIR), at(0, 5), at(0, 7), 2 * 32).unwrap();
        assert_eq!(small, None, "more bytes than asked for");
    }

    #[test]
    fn files_that_cannot_hold_the_range_are_not_read() {
        let disk = log_of(&[&[at(0, 1), at(0, 2)], &[at(0, 3), at(0, 4)]]);
        disk.flip_bit(&Path::new(DIR).join("log.1"), 20, 1).unwrap();
        assert_eq!(read(&disk, at(0, 3), at(0, 4)), Some(vec![at(0, 3), at(0, 4)]));
        assert_eq!(read(&disk, at(0, 1), at(0, 4)), None, "damaged");
    }

    #[test]
    fn txns_that_may_be_lost_at_the_end_of_an_epoch_are_not_passed_over() {
        let disk = log_of(&[&[at(0, 1), at(0, 2)], &[at(1, 1)]]);
        let path = Path::new(DIR).join("log.1");
        let len = disk.read_file(&path).unwrap().len();
        disk.flip_bit(&path, len - 3, 1).unwrap();
        assert_eq!(read(&disk, at(0, 1), at(1, 1)), None);
        assert_eq!(read(&disk, at(1, 1), at(1, 1)), Some(vec![at(1, 1)]));
    }
}
