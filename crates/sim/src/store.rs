//! The log thread of one server: carries out storage commands on its files, a batch a turn.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use bytes::Bytes;
use oxherd_proto::{SessionId, Zxid};
use oxherd_storage::{
    Disk, EpochFile, Layout, Log, LogOptions, LogReader, StorageError, log_files, log_files_from, snapshots,
    write_epoch,
};
use oxherd_tree::{LoadProgress, Loader, Tree, TreeOptions};
use oxherd_zab::{LinkId, StorageCommand, StorageEvent};

use crate::bug::Bug;
use crate::lying::{Lies, LyingDisk};
use crate::membership::{MembershipChange, MembershipFiles};
use crate::restore::{reload, write_snapshot};

/// Space reserved ahead in log files; small, so that a disk can be nearly full.
const PREALLOCATE_BYTES: u64 = 64 << 10;

/// The syncs that a cut needs.
const CUT_LIES: Lies = Lies { logs: true, directories: true, snapshots: false };

/// What the log thread is to do.
#[derive(Clone, Debug)]
pub(crate) enum LogCommand {
    /// Asked by the replica.
    Storage(StorageCommand),
    /// Begin a new file with the next txn.
    Roll,
    /// The ensemble changes, or is to.
    Membership(MembershipChange),
}

/// What a turn of the log thread has done.
#[derive(Debug)]
pub(crate) enum Done {
    /// For the replica.
    Event(StorageEvent),
    /// The tree is another one.
    Tree(Box<Tree>, Vec<(SessionId, i32)>),
    /// Txns that are durable now, in truth, whatever was said about them.
    Durable(Vec<(Zxid, Bytes)>),
    /// Whether there is room for more than deletes.
    Room(bool),
}

/// The files of one running server.
#[derive(Debug)]
pub(crate) struct Store {
    disk: LyingDisk,
    layout: Layout,
    log: Log<LyingDisk>,
    bug: Option<Bug>,
    /// What waits.
    pub(crate) queue: VecDeque<LogCommand>,
    /// Trees that came over links and wait to be installed; `None` for one that broke.
    pub(crate) installs: BTreeMap<LinkId, Option<Bytes>>,
    /// Said to be durable and not written or synced yet, by a bug.
    late: Vec<(Zxid, Bytes)>,
    unsynced: Vec<(Zxid, Bytes)>,
    /// Whether the server is catching up with a leader; some bugs live only then.
    pub(crate) is_catching_up: bool,
    room: bool,
    rewriting: bool,
    cutting: Option<Zxid>,
    /// Its configuration, where the ensemble changes.
    pub(crate) membership: Option<MembershipFiles>,
}

impl Store {
    /// Opens the log for appending.
    pub(crate) fn open(disk: LyingDisk, layout: Layout, bug: Option<Bug>) -> Result<Self, StorageError> {
        let options = LogOptions { preallocate_bytes: PREALLOCATE_BYTES, file_bytes_max: None, sync: true };
        let log = Log::open(disk.clone(), &layout.log_dir, options)?;
        Ok(Self {
            disk,
            layout,
            log,
            bug,
            queue: VecDeque::new(),
            installs: BTreeMap::new(),
            late: Vec::new(),
            unsynced: Vec::new(),
            is_catching_up: false,
            room: true,
            rewriting: false,
            cutting: None,
            membership: None,
        })
    }

    /// Whether there is something to do now. A tree to be installed may still be on its way.
    pub(crate) fn can_work(&self) -> bool {
        match self.queue.front() {
            None => !self.late.is_empty() || !self.unsynced.is_empty() || !self.room,
            Some(LogCommand::Storage(StorageCommand::InstallSnapshot { link, .. })) => {
                self.installs.contains_key(link)
            }
            Some(_) => true,
        }
    }

    /// Whether files are being cut or replaced.
    pub(crate) fn rewrites(&self) -> bool {
        self.rewriting
    }

    /// The txn behind which the log is being cut.
    pub(crate) fn cuts_behind(&self) -> Option<Zxid> {
        self.cutting
    }

    /// Whether the disk was full at the last look.
    pub(crate) fn is_full(&self) -> bool {
        !self.room
    }

    /// The role has changed; with one bug, the former thread goes on with what it had.
    pub(crate) fn role_changed(&mut self, done: &mut Vec<Done>) {
        if self.bug != Some(Bug::Zk4712) {
            return;
        }
        let waits = std::mem::take(&mut self.queue);
        for command in waits {
            match command {
                LogCommand::Storage(StorageCommand::Append { zxid, payload }) => {
                    self.late.push((zxid, payload));
                    done.push(Done::Event(StorageEvent::Synced(zxid)));
                }
                other => self.queue.push_back(other),
            }
        }
    }

    /// One turn: what waits, with one sync for a run of appends. An error ends the server.
    pub(crate) fn turn(&mut self, done: &mut Vec<Done>) -> Result<(), StorageError> {
        self.catch_up_with_lies(done)?;
        let mut batch = Vec::new();
        while self.can_work() && !self.queue.is_empty() {
            match self.queue.pop_front() {
                Some(LogCommand::Storage(StorageCommand::Append { zxid, payload })) => {
                    batch.push((zxid, payload))
                }
                Some(other) => {
                    if !self.append(&mut batch, done)? {
                        self.queue.push_front(other);
                        return Ok(());
                    }
                    match other {
                        LogCommand::Roll => self.log.roll(),
                        LogCommand::Membership(change) => {
                            if let Some(files) = &mut self.membership {
                                files.carry_out(&change)?;
                            }
                        }
                        LogCommand::Storage(command) => self.member_command(command, done)?,
                    }
                }
                None => {}
            }
        }
        self.append(&mut batch, done)?;
        self.look_for_room(done);
        Ok(())
    }

    fn look_for_room(&mut self, done: &mut Vec<Done>) {
        if !self.log.has_room() {
            self.log.retry_room();
        }
        if self.log.has_room() != self.room {
            self.room = self.log.has_room();
            done.push(Done::Room(self.room));
        }
    }

    /// Writes and syncs a batch; false when the disk is full and the batch waits again.
    fn append(&mut self, batch: &mut Vec<(Zxid, Bytes)>, done: &mut Vec<Done>) -> Result<bool, StorageError> {
        let Some((last, _)) = batch.last() else { return Ok(true) };
        let last = *last;
        if self.lies_about(batch) {
            done.push(Done::Event(StorageEvent::Synced(last)));
            batch.clear();
            return Ok(true);
        }
        match self.log.append(batch) {
            Ok(()) => {}
            Err(error) if error.is_no_space() => {
                for (zxid, payload) in batch.drain(..).rev() {
                    self.queue.push_front(LogCommand::Storage(StorageCommand::Append { zxid, payload }));
                }
                self.look_for_room(done);
                return Ok(false);
            }
            Err(error) => return self.disk_error(error, last, batch, done),
        }
        if self.bug == Some(Bug::AckBeforeSync) || (self.bug == Some(Bug::Zk3911) && self.is_catching_up) {
            self.unsynced.append(batch);
            done.push(Done::Event(StorageEvent::Synced(last)));
            return Ok(true);
        }
        if let Err(error) = self.log.sync() {
            return self.disk_error(error, last, batch, done);
        }
        done.push(Done::Durable(std::mem::take(batch)));
        done.push(Done::Event(StorageEvent::Synced(last)));
        Ok(true)
    }

    /// Answers for txns that are only remembered; they are written a turn later.
    fn lies_about(&mut self, batch: &[(Zxid, Bytes)]) -> bool {
        let lies = self.bug == Some(Bug::AckBeforeWrite)
            || (matches!(self.bug, Some(Bug::Zk4643 | Bug::Zk4646)) && self.is_catching_up);
        if lies {
            self.late.extend_from_slice(batch);
        }
        lies
    }

    fn catch_up_with_lies(&mut self, done: &mut Vec<Done>) -> Result<(), StorageError> {
        if self.is_catching_up && matches!(self.bug, Some(Bug::Zk3911 | Bug::Zk4643 | Bug::Zk4646)) {
            return Ok(());
        }
        if !self.unsynced.is_empty() {
            self.log.sync()?;
            done.push(Done::Durable(std::mem::take(&mut self.unsynced)));
        }
        if self.bug != Some(Bug::Zk4712) || self.queue.is_empty() {
            self.write_late(done)?;
        }
        Ok(())
    }

    /// Makes true what was only said of txns.
    fn write_late(&mut self, done: &mut Vec<Done>) -> Result<(), StorageError> {
        if !self.late.is_empty() {
            let late = std::mem::take(&mut self.late);
            self.log.append(&late)?;
            self.log.sync()?;
            done.push(Done::Durable(late));
        }
        Ok(())
    }

    /// The end of the server, unless a bug takes it lightly: then the log begins anew behind the loss.
    fn disk_error(
        &mut self,
        error: StorageError,
        last: Zxid,
        batch: &mut Vec<(Zxid, Bytes)>,
        done: &mut Vec<Done>,
    ) -> Result<bool, StorageError> {
        if self.bug != Some(Bug::Zk4882) {
            return Err(error);
        }
        let options = LogOptions { preallocate_bytes: PREALLOCATE_BYTES, file_bytes_max: None, sync: true };
        self.log = Log::open(self.disk.clone(), &self.layout.log_dir, options)?;
        batch.clear();
        done.push(Done::Event(StorageEvent::Synced(last)));
        Ok(true)
    }

    fn member_command(&mut self, command: StorageCommand, done: &mut Vec<Done>) -> Result<(), StorageError> {
        self.rewriting =
            matches!(command, StorageCommand::Truncate(_) | StorageCommand::InstallSnapshot { .. });
        self.cutting = if let StorageCommand::Truncate(zxid) = &command { Some(*zxid) } else { None };
        let event = match command {
            StorageCommand::Append { .. } => return Ok(()),
            StorageCommand::StoreAcceptedEpoch(epoch) => {
                write_epoch(&self.disk, &self.layout.snap_dir, EpochFile::Accepted, epoch)?;
                StorageEvent::AcceptedEpochStored(epoch)
            }
            StorageCommand::StoreCurrentEpoch(epoch) => {
                write_epoch(&self.disk, &self.layout.snap_dir, EpochFile::Current, epoch)?;
                self.layout.set_incomplete(&self.disk, false)?;
                StorageEvent::CurrentEpochStored(epoch)
            }
            StorageCommand::Truncate(zxid) => StorageEvent::Truncated(self.truncate(zxid, done)?),
            StorageCommand::InstallSnapshot { link, zxid } => self.install(link, zxid, done)?,
            StorageCommand::ReadLog { id, from, through } => {
                StorageEvent::LogRead { id, txns: self.read(from, through).unwrap_or(None) }
            }
        };
        self.rewriting = false;
        self.cutting = None;
        let is_epoch = matches!(event, StorageEvent::CurrentEpochStored(_));
        done.push(Done::Event(event));
        if is_epoch && self.bug == Some(Bug::Zk4643) {
            self.write_late(done)?;
        }
        Ok(())
    }

    fn truncate(&mut self, zxid: Zxid, done: &mut Vec<Done>) -> Result<Zxid, StorageError> {
        let gives_up_trees = self.has_snapshot_after(zxid)?;
        if gives_up_trees {
            self.layout.set_incomplete(&self.disk, true)?;
        }
        if self.bug == Some(Bug::TruncWithoutSync) {
            self.truncate_without_sync(zxid)?;
        } else {
            self.log.truncate(zxid)?;
        }
        self.remove_snapshots(|of| of > zxid)?;
        if gives_up_trees && snapshots(&self.disk, &self.layout.snap_dir)?.is_empty() {
            self.log.forget_behind(Zxid::ZERO)?;
        }
        let (tree, sessions, last) = reload(&self.reading_disk(), &self.layout)?;
        if self.bug != Some(Bug::Zk5094) {
            done.push(Done::Tree(Box::new(tree), sessions));
        }
        Ok(last)
    }

    fn truncate_without_sync(&mut self, zxid: Zxid) -> Result<(), StorageError> {
        let options = LogOptions { preallocate_bytes: PREALLOCATE_BYTES, file_bytes_max: None, sync: true };
        Log::open(self.disk.with(CUT_LIES), &self.layout.log_dir, options.clone())?.truncate(zxid)?;
        self.log = Log::open(self.disk.clone(), &self.layout.log_dir, options)?;
        Ok(())
    }

    /// Reading the log anew makes durable what it finds, which would hide the cut that was not.
    fn reading_disk(&self) -> LyingDisk {
        let forgets = self.bug == Some(Bug::TruncWithoutSync);
        if forgets { self.disk.with(CUT_LIES) } else { self.disk.clone() }
    }

    fn log_goes_beyond(&self, zxid: Zxid) -> Result<bool, StorageError> {
        for file in log_files(&self.disk, &self.layout.log_dir)?.iter().rev() {
            let Some(mut reader) = LogReader::open(&self.disk, &file.path)? else { continue };
            let mut last = None;
            while let Some(record) = reader.next_record()? {
                last = Some(record.zxid);
            }
            if let Some(last) = last {
                return Ok(last > zxid);
            }
        }
        Ok(false)
    }

    fn has_snapshot_after(&self, zxid: Zxid) -> Result<bool, StorageError> {
        Ok(snapshots(&self.disk, &self.layout.snap_dir)?.iter().any(|file| file.zxid > zxid))
    }

    fn remove_snapshots(&self, given_up: impl Fn(Zxid) -> bool) -> Result<(), StorageError> {
        for file in snapshots(&self.disk, &self.layout.snap_dir)?.iter().filter(|file| given_up(file.zxid)) {
            remove(&self.disk, &file.path)?;
        }
        Ok(())
    }

    fn install(
        &mut self,
        link: LinkId,
        zxid: Zxid,
        done: &mut Vec<Done>,
    ) -> Result<StorageEvent, StorageError> {
        let refused = Ok(StorageEvent::SnapshotRefused(zxid));
        let Some(Some(body)) = self.installs.remove(&link) else { return refused };
        let mut loader = Loader::new(TreeOptions::default());
        let Ok(LoadProgress::Done { .. }) = loader.push(&body) else { return refused };
        let Ok((mut tree, sessions)) = loader.finish() else { return refused };
        tree.set_last_zxid(zxid);
        if self.log_goes_beyond(zxid)? || self.has_snapshot_after(zxid)? {
            self.layout.set_incomplete(&self.disk, true)?;
        }
        self.log.forget_behind(zxid)?;
        self.remove_snapshots(|of| of > zxid)?;
        write_snapshot(self.disk.clone(), &self.layout, &mut tree, &sessions)?;
        self.remove_snapshots(|of| of < zxid)?;
        self.log.roll();
        done.push(Done::Tree(Box::new(tree), sessions));
        Ok(StorageEvent::SnapshotInstalled(zxid))
    }

    /// The txns from exactly `from` on, unless they are not there.
    fn read(&self, from: Zxid, through: Zxid) -> Result<Option<Vec<(Zxid, Bytes)>>, StorageError> {
        let files = log_files(&self.disk, &self.layout.log_dir)?;
        let mut txns: Vec<(Zxid, Bytes)> = Vec::new();
        for file in log_files_from(&files, from) {
            let Some(mut reader) = LogReader::open(&self.disk, &file.path)? else { continue };
            while let Some(record) = reader.next_record()? {
                if record.zxid < from {
                    continue;
                }
                if record.zxid > through {
                    break;
                }
                if txns.is_empty() && record.zxid != from {
                    return Ok(None);
                }
                txns.push((record.zxid, record.payload));
            }
        }
        if self.bug == Some(Bug::Zk4925) && txns.len() > 3 {
            txns.remove(2);
        }
        Ok((!txns.is_empty()).then_some(txns))
    }
}

fn remove<D: Disk>(disk: &D, path: &Path) -> Result<(), StorageError> {
    let failed = |action| move |source| StorageError::Io { action, path: path.to_owned(), source };
    disk.remove(path).map_err(failed("remove"))?;
    disk.sync_dir(path.parent().unwrap_or(path)).map_err(failed("sync"))
}
