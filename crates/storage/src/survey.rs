//! What lies in a data directory, what of it can be served, and what is damaged. Changes nothing.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use oxherd_proto::{Epoch, ServerId, Zxid};

use crate::disk::{Disk, DiskFile};
use crate::durable;
use crate::epoch::{EpochFile, find_epochs, read_epoch};
use crate::error::StorageError;
use crate::layout::Layout;
use crate::reader::{Head, LogFile, LogReader, LogRecord, Step, log_files};
use crate::scan::{TornTail, scan};
use crate::snapshot::{SnapshotBody, SnapshotFile, load_snapshot, looks_whole, snapshots};

/// All that is known of a data directory.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The directories.
    pub layout: Layout,
    /// Snapshots, newest first.
    pub snapshots: Vec<SnapshotState>,
    /// Files of the log, oldest first.
    pub logs: Vec<LogState>,
    /// How far the log is known to be durable: the zxid in the file's name, and bytes of it.
    pub mark: Option<(Zxid, u64)>,
    /// `acceptedEpoch`, or why it cannot be read.
    pub accepted: Result<Option<Epoch>, String>,
    /// `currentEpoch`, or why it cannot be read.
    pub current: Result<Option<Epoch>, String>,
    /// The number in `myid`, when it is that of a member of an ensemble.
    pub member: Option<ServerId>,
    /// Whether it is noted that acknowledged txns or epochs are missing.
    pub incomplete: bool,
    /// The snapshot that a start takes; `None` when there is none to take.
    pub base: Option<Zxid>,
    /// The last txn that can be served.
    pub last: Zxid,
    /// The torn end of the log, which a start cuts off by itself.
    pub torn: Option<TornTail>,
    /// What keeps a server from starting.
    pub problems: Vec<Problem>,
}

/// What keeps a server from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There are snapshots, and none is whole.
    NoWholeSnapshot,
    /// There are logs and no snapshot to begin from.
    LogWithoutSnapshot,
    /// The log is damaged, or a part is missing.
    Log {
        /// In which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// The epochs cannot be read, or contradict each other or the log.
    Epochs(String),
}

/// A snapshot, looked at.
#[derive(Clone, Debug)]
pub struct SnapshotState {
    /// The file.
    pub file: SnapshotFile,
    /// What is wrong with it.
    pub damage: Option<String>,
}

/// A file of the log, looked at.
#[derive(Clone, Debug)]
pub struct LogState {
    /// The file.
    pub file: LogFile,
    /// Bytes on disk, with those reserved.
    pub len: u64,
    /// Whole records.
    pub txns: u64,
    /// The first and the last zxid.
    pub range: Option<(Zxid, Zxid)>,
    /// Where the whole records before the first damage end.
    pub end: u64,
    /// Where bytes begin that are no record, and what is wrong with them.
    pub damage: Vec<(u64, String)>,
    /// Whether whole records follow the first damage.
    pub goes_on: bool,
}

impl Survey {
    /// Looks at everything. `body` makes what takes the body of a snapshot.
    ///
    /// Errors: only those of the system; damage is part of the answer.
    pub fn of<D: Disk>(
        disk: &D,
        data_dir: &Path,
        layout: Layout,
        body: &mut dyn FnMut(&SnapshotFile) -> Box<dyn SnapshotBody>,
    ) -> Result<Self, StorageError> {
        let dir = layout.snap_dir.clone();
        let mut survey = Self {
            snapshots: snapshots(disk, &dir)?.into_iter().map(|file| look(disk, file, body)).collect(),
            logs: Vec::new(),
            mark: durable::read(disk, &layout.log_dir)?.map(|mark| (mark.file, mark.offset)),
            accepted: read_epoch(disk, &dir, EpochFile::Accepted).map_err(|error| error.to_string()),
            current: read_epoch(disk, &dir, EpochFile::Current).map_err(|error| error.to_string()),
            member: Layout::read_myid(disk, data_dir).ok().flatten(),
            incomplete: layout.is_incomplete(disk)?,
            base: None,
            last: Zxid::ZERO,
            torn: None,
            problems: Vec::new(),
            layout,
        };
        for file in log_files(disk, &survey.layout.log_dir)? {
            survey.logs.push(LogState::of(disk, file)?);
        }
        let newest = survey.whole_snapshots().next().map(|file| file.zxid);
        survey.base = newest;
        survey.last = survey.base.unwrap_or(Zxid::ZERO);
        survey.judge_log(disk)?;
        survey.judge_epochs(disk)?;
        Ok(survey)
    }

    /// Snapshots without damage, newest first.
    pub fn whole_snapshots(&self) -> impl Iterator<Item = &SnapshotFile> {
        self.snapshots.iter().filter(|state| state.damage.is_none()).map(|state| &state.file)
    }

    /// Whether there are no snapshots and no logs.
    pub fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.logs.is_empty()
    }

    /// Whether it belongs to a member of an ensemble.
    pub fn is_member(&self) -> bool {
        self.member.is_some() || !matches!(self.current, Ok(None)) || !matches!(self.accepted, Ok(None))
    }

    /// The txns that were here, as far as anything tells, and cannot be served: the first and the last.
    pub fn lost(&self) -> Option<(Zxid, Zxid)> {
        if !self.problems.iter().any(|problem| !matches!(problem, Problem::Epochs(_))) {
            return None;
        }
        let of_logs = self.logs.iter().map(|log| log.range.map_or(log.file.first, |(_, last)| last));
        let of_snapshots = self.snapshots.iter().map(|state| state.file.zxid);
        let of_mark = self.mark.filter(|(_, offset)| *offset > 0).map(|(file, _)| file);
        let highest = of_logs.chain(of_snapshots).chain(of_mark).max()?;
        let first = self.last.next();
        let torn_off = self.problems.iter().any(|problem| matches!(problem, Problem::Log { .. }));
        // Of damage at the very end only that one txn at least is missing is known.
        (highest > self.last || torn_off).then(|| (first, highest.max(first)))
    }

    fn judge_log<D: Disk>(&mut self, disk: &D) -> Result<(), StorageError> {
        if self.base.is_none() && !self.is_empty() {
            let problem = match self.snapshots.is_empty() {
                true => Problem::LogWithoutSnapshot,
                false => Problem::NoWholeSnapshot,
            };
            self.problems.push(problem);
            return Ok(());
        }
        let from = self.last.next();
        let mut last = self.last;
        let mut take = |record: LogRecord| {
            last = record.zxid;
            Ok(())
        };
        let end = scan(disk, &self.layout.log_dir, from, &mut take, &mut |_| {});
        self.last = last;
        match end {
            Ok(end) => self.torn = end.torn,
            Err(StorageError::Damaged { path, offset, reason, .. }) => {
                self.problems.push(Problem::Log { path, offset, reason });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn judge_epochs<D: Disk>(&mut self, disk: &D) -> Result<(), StorageError> {
        if !self.is_member() {
            return Ok(());
        }
        match find_epochs(disk, &self.layout.snap_dir, self.last) {
            Ok(_) => {}
            Err(StorageError::Damaged { path, reason, .. }) => {
                self.problems.push(Problem::Epochs(format!("{}: {reason}", path.display())));
            }
            Err(StorageError::Refused(reason)) => self.problems.push(Problem::Epochs(reason)),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn look<D: Disk>(
    disk: &D,
    file: SnapshotFile,
    body: &mut dyn FnMut(&SnapshotFile) -> Box<dyn SnapshotBody>,
) -> SnapshotState {
    let damage = match looks_whole(disk, &file) {
        Ok(false) => Some("its end is missing".to_owned()),
        Ok(true) => load_snapshot(disk, &file, &mut *body(&file)).err().map(|error| reason_of(&error)),
        Err(error) => Some(error.to_string()),
    };
    SnapshotState { file, damage }
}

/// What is wrong, without the path, which whoever asks knows.
fn reason_of(error: &StorageError) -> String {
    match error {
        StorageError::Damaged { offset, reason, .. } => format!("byte {offset}: {reason}"),
        other => other.to_string(),
    }
}

impl LogState {
    fn of<D: Disk>(disk: &D, file: LogFile) -> Result<Self, StorageError> {
        let opened = disk.open(&file.path).map_err(StorageError::io("open", &file.path))?;
        let len = opened.len().map_err(StorageError::io("measure", &file.path))?;
        let mut state = Self { len, txns: 0, range: None, end: 0, damage: Vec::new(), goes_on: false, file };
        let path = state.file.path.clone();
        read_all(disk, &path, &mut |piece| state.take(piece))?;
        Ok(state)
    }

    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Record(record) => {
                self.txns += 1;
                let first = self.range.map_or(record.zxid, |(first, _)| first);
                self.range = Some((first, record.zxid));
                self.goes_on |= !self.damage.is_empty();
                if self.damage.is_empty() {
                    self.end = record.end;
                }
            }
            Piece::Damage(offset, reason) => self.damage.push((offset, reason)),
        }
    }
}

/// What a file of the log consists of.
pub(crate) enum Piece {
    Record(LogRecord),
    /// Bytes that are no record, and why.
    Damage(u64, String),
}

/// Reads all whole records of a file, beyond damage too.
pub(crate) fn read_all<D: Disk>(
    disk: &D,
    path: &Path,
    take: &mut dyn FnMut(Piece),
) -> Result<(), StorageError> {
    let (mut reader, head) = LogReader::begin(disk, path)?;
    if let Head::Bad(reason) = head {
        take(Piece::Damage(0, reason));
        match reader.next_whole()? {
            Some(record) => take(Piece::Record(record)),
            None => return Ok(()),
        }
    }
    loop {
        let at = reader.position();
        let reason = match reader.step()? {
            Step::Record(record) => {
                take(Piece::Record(record));
                continue;
            }
            Step::Bad(reason) | Step::Partial(reason) => Some(reason),
            Step::End => None,
        };
        let next = reader.next_whole()?;
        match (reason, &next) {
            (Some(reason), _) => take(Piece::Damage(at, reason)),
            (None, Some(_)) => take(Piece::Damage(at, "zeros where records belong".to_owned())),
            (None, None) => return Ok(()),
        }
        match next {
            Some(record) => take(Piece::Record(record)),
            None => return Ok(()),
        }
    }
}

/// The payloads of records that follow each other without a gap behind `last`, from these files on.
pub(crate) fn read_on<D: Disk>(
    disk: &D,
    files: &[LogFile],
    last: Zxid,
) -> Result<Vec<(Zxid, Bytes)>, StorageError> {
    let (mut found, mut last, mut may_lack, mut over) = (Vec::new(), last, false, false);
    for file in files {
        read_all(disk, &file.path, &mut |piece| match piece {
            _ if over => {}
            Piece::Damage(..) => may_lack = true,
            Piece::Record(record) if record.zxid <= last => {}
            Piece::Record(record) => {
                let begins_epoch = record.zxid.epoch() > last.epoch() && record.zxid.counter() == 1;
                if record.zxid != last.next() && (may_lack || !begins_epoch) {
                    over = true;
                    return;
                }
                (last, may_lack) = (record.zxid, false);
                found.push((record.zxid, record.payload));
            }
        })?;
    }
    Ok(found)
}
