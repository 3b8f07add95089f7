//! Putting a damaged data directory right: nothing is deleted, what is in the way is moved aside.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use oxherd_proto::{Epoch, Zxid};

use crate::disk::{Disk, DiskFile};
use crate::durable::{self, Mark};
use crate::epoch::{EpochFile, write_epoch};
use crate::error::StorageError;
use crate::keep;
use crate::log::{encode_record, file_header, file_name};
use crate::reader::LogFile;
use crate::survey::{Problem, Survey, read_on};

/// Bytes written at a time.
const BUFFER_LEN: usize = 1 << 20;
const ASIDE: &str = "aside-";

/// What would be done, or was done.
#[derive(Clone, Debug, Default)]
pub struct Repair {
    /// Files to move aside.
    pub move_aside: Vec<PathBuf>,
    /// Txns to write anew into a file of the log: its path, the first and the last.
    pub rewrite: Option<(PathBuf, Zxid, Zxid)>,
    /// Epochs to write, accepted and current: the least that the history allows. What was promised is not known.
    pub epochs: Option<(Epoch, Epoch)>,
    /// Whether to note that acknowledged txns or epochs are missing, so that this member learns before it votes.
    pub mark_incomplete: bool,
    /// The txns that are given up: the first and the last that is known of.
    pub lost: Option<(Zxid, Zxid)>,
    /// What is written into `rewrite`.
    txns: Vec<(Zxid, Bytes)>,
    /// The damaged file of the log, which goes last.
    damaged: Option<PathBuf>,
    /// Where the log that stays ends, when it is cut; `rewrite` comes behind.
    log_ends_at: Option<Mark>,
}

impl Repair {
    /// What there is to do. Changes nothing.
    ///
    /// Errors: [`StorageError::Refused`] when nothing here can be served and no ensemble can help.
    pub fn plan<D: Disk>(disk: &D, survey: &Survey) -> Result<Self, StorageError> {
        let mut repair = Self::default();
        let damaged = survey.snapshots.iter().filter(|state| state.damage.is_some());
        repair.move_aside.extend(damaged.map(|state| state.file.path.clone()));
        let mut last = survey.last;
        for problem in &survey.problems {
            match problem {
                Problem::NoWholeSnapshot | Problem::LogWithoutSnapshot => repair.give_up_all(survey)?,
                Problem::Log { path, .. } => last = repair.cut_log(disk, survey, path)?,
                Problem::Epochs(_) => {
                    // A file that cannot be read is of no use; the history tells what it held at least.
                    let of_history = last.epoch();
                    let current = survey.current.clone().ok().flatten().unwrap_or(of_history).max(of_history);
                    let accepted = survey.accepted.clone().ok().flatten().unwrap_or(current).max(current);
                    repair.epochs = Some((accepted, current));
                }
            }
        }
        let all = survey.lost();
        repair.lost = all.map(|(_, end)| (last.next(), end)).filter(|(first, end)| first <= end);
        // With an epoch that is only guessed, one that was promised could be used twice and an older history win.
        let has_forgotten = repair.lost.is_some() || repair.epochs.is_some();
        repair.mark_incomplete = survey.is_member() && !survey.incomplete && has_forgotten;
        Ok(repair)
    }

    /// Whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        self.move_aside.is_empty()
            && self.log_ends_at.is_none()
            && self.epochs.is_none()
            && !self.mark_incomplete
    }

    /// Only an ensemble has the data now.
    fn give_up_all(&mut self, survey: &Survey) -> Result<(), StorageError> {
        if !survey.is_member() {
            let dir = survey.layout.snap_dir.display();
            return Err(StorageError::Refused(format!(
                "{dir} holds no whole snapshot to begin from, and this server has no ensemble to learn from: put \
                 back a backup of this directory and of the logs"
            )));
        }
        self.move_aside = survey.snapshots.iter().map(|state| state.file.path.clone()).collect();
        self.move_logs(survey, Zxid::ZERO);
        Ok(())
    }

    fn move_logs(&mut self, survey: &Survey, from: Zxid) {
        let (stay, go): (Vec<_>, Vec<_>) = survey.logs.iter().partition(|log| log.file.first < from);
        self.move_aside.extend(go.into_iter().map(|log| log.file.path.clone()));
        let mark = stay.last().map(|log| Mark { file: log.file.first, offset: log.end });
        self.log_ends_at = Some(mark.unwrap_or(Mark::NOTHING));
    }

    /// Keeps the txns that follow without a gap; where they end.
    fn cut_log<D: Disk>(&mut self, disk: &D, survey: &Survey, path: &Path) -> Result<Zxid, StorageError> {
        let from = survey.logs.iter().position(|log| log.file.path == path).unwrap_or(survey.logs.len());
        let files: Vec<LogFile> = survey.logs[from..].iter().map(|log| log.file.clone()).collect();
        self.damaged = files.first().map(|file| file.path.clone());
        self.move_logs(survey, files.first().map_or(Zxid(i64::MAX), |file| file.first));
        let before = survey.base.unwrap_or(Zxid::ZERO).max(end_before(survey, from));
        self.txns = read_on(disk, &files, before)?;
        let (Some((first, _)), Some((last, _))) = (self.txns.first(), self.txns.last()) else {
            return Ok(before);
        };
        self.rewrite = Some((survey.layout.log_dir.join(file_name(*first)), *first, *last));
        Ok(*last)
    }

    /// Carries it out, durably. Answers the directories that hold what was moved.
    ///
    /// A crash in between leaves a directory that is refused as before, or that is marked as incomplete.
    pub fn carry_out<D: Disk>(&self, disk: &D, survey: &Survey) -> Result<Vec<PathBuf>, StorageError> {
        if self.mark_incomplete {
            survey.layout.set_incomplete(disk, true)?;
        }
        if let Some((accepted, current)) = self.epochs {
            write_epoch(disk, &survey.layout.snap_dir, EpochFile::Accepted, accepted)?;
            write_epoch(disk, &survey.layout.snap_dir, EpochFile::Current, current)?;
        }
        let mut aside = Aside { disk, made: Vec::new() };
        let replaced = self.rewrite.as_ref().map(|(path, ..)| path);
        let damaged = self.damaged.as_ref();
        // Newest first, so that what is left meanwhile has no gap; the damaged one last, which refuses a start.
        let others = self.move_aside.iter().rev().filter(|path| Some(*path) != damaged);
        others.clone().try_for_each(|path| aside.take(path, false))?;
        let stays = replaced.is_some() && replaced == damaged;
        damaged.filter(|_| stays).map_or(Ok(()), |path| aside.take(path, true))?;
        let end = self.rewrite.as_ref().map(|(path, ..)| write_file(disk, path, &self.txns)).transpose()?;
        damaged.filter(|_| !stays).map_or(Ok(()), |path| aside.take(path, false))?;
        if self.log_ends_at.is_some() {
            let kept = self.log_ends_at.filter(|mark| mark.offset > 0).unwrap_or(Mark::NOTHING);
            let mark = end.zip(self.txns.first()).map(|(offset, (file, _))| Mark { file: *file, offset });
            durable::establish(disk, &survey.layout.log_dir, mark.unwrap_or(kept))?;
        }
        Ok(aside.made.into_iter().map(|(_, aside)| aside).collect())
    }
}

/// Where files go that are in the way: a directory beside them, made with the first.
struct Aside<'a, D> {
    disk: &'a D,
    /// Of which directory, and where.
    made: Vec<(PathBuf, PathBuf)>,
}

impl<D: Disk> Aside<'_, D> {
    /// Moves a file there, or copies it when it is about to be replaced.
    fn take(&mut self, path: &Path, copied: bool) -> Result<(), StorageError> {
        let dir = path.parent().unwrap_or(path);
        let aside = match self.made.iter().find(|(of, _)| of == dir) {
            Some((_, aside)) => aside.clone(),
            None => {
                let aside = make_aside(self.disk, dir)?;
                self.made.push((dir.to_owned(), aside.clone()));
                aside
            }
        };
        let to = aside.join(path.file_name().unwrap_or_default());
        if copied {
            keep::copy_file(self.disk, path, &to)?;
        } else {
            self.disk.rename(path, &to).map_err(StorageError::io("move", path))?;
        }
        self.disk.sync_dir(&aside).map_err(StorageError::io("sync", &aside))?;
        self.disk.sync_dir(dir).map_err(StorageError::io("sync", dir))
    }
}

/// Writes a file of the log, which takes its name only when it is whole; how many bytes.
fn write_file<D: Disk>(disk: &D, path: &Path, txns: &[(Zxid, Bytes)]) -> Result<u64, StorageError> {
    let dir = path.parent().unwrap_or(path);
    let first = txns.first().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
    let temporary = keep::temporary(dir, first);
    let mut file = disk.create(&temporary).map_err(StorageError::io("create", &temporary))?;
    let (mut at, mut buffer) = (0, file_header().to_vec());
    for (number, (_, payload)) in txns.iter().enumerate() {
        encode_record(payload, &mut buffer);
        if buffer.len() > BUFFER_LEN || number + 1 == txns.len() {
            file.write_at(&buffer, at).map_err(StorageError::io("write", &temporary))?;
            at += buffer.len() as u64;
            buffer.clear();
        }
    }
    file.sync().map_err(StorageError::io("sync", &temporary))?;
    disk.rename(&temporary, path).map_err(StorageError::io("rename", &temporary))?;
    disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
    Ok(at)
}

/// The last txn of the files before the damaged one.
fn end_before(survey: &Survey, damaged: usize) -> Zxid {
    let before = survey.logs[..damaged].iter().rev().find_map(|log| log.range);
    before.map_or(Zxid::ZERO, |(_, last)| last).min(survey.last)
}

/// A new directory for what is moved out of `dir`; no release takes it for anything.
fn make_aside<D: Disk>(disk: &D, dir: &Path) -> Result<PathBuf, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let taken = |name: &String| name.strip_prefix(ASIDE).and_then(|number| number.parse::<u32>().ok());
    let number = names.iter().filter_map(taken).max().unwrap_or(0) + 1;
    let aside = dir.join(format!("{ASIDE}{number}"));
    disk.create_dir_all(&aside).map_err(StorageError::io("create", &aside))?;
    Ok(aside)
}
