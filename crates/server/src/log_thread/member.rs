//! What only members of an ensemble ask of storage: epochs, cuts, whole trees, reading the log.

use oxherd_proto::Zxid;
use oxherd_replica::Input;
use oxherd_storage::{EpochFile, LogReader, OsDisk, StorageError, log_files, snapshots, write_epoch};
use oxherd_tree::WalkPoint;
use oxherd_zab::{EnsembleConfig, LinkId, StorageCommand, StorageEvent};
use tracing::{info, warn};

use super::LogThread;
use super::reads::LogRead;
use crate::data;
use crate::membership::MembershipChange;
use crate::peers::Installed;
use crate::snapshot_thread::Format;

impl LogThread {
    pub(super) fn member_command(&mut self, command: StorageCommand) -> Result<(), StorageError> {
        let event = match command {
            StorageCommand::Append { .. } => return Ok(()),
            StorageCommand::StoreAcceptedEpoch(epoch) => {
                write_epoch(&OsDisk, &self.layout.snap_dir, EpochFile::Accepted, epoch)?;
                StorageEvent::AcceptedEpochStored(epoch)
            }
            StorageCommand::StoreCurrentEpoch(epoch) => {
                write_epoch(&OsDisk, &self.layout.snap_dir, EpochFile::Current, epoch)?;
                // It is stored behind a leader's whole history.
                self.layout.set_incomplete(&OsDisk, false)?;
                StorageEvent::CurrentEpochStored(epoch)
            }
            StorageCommand::Truncate(zxid) => StorageEvent::Truncated(self.truncate(zxid)?),
            StorageCommand::InstallSnapshot { link, zxid } => self.install(link, zxid)?,
            StorageCommand::ReadLog { id, from, through } => {
                self.reads.begin(&self.layout, &self.config, &self.driver, LogRead { id, from, through });
                return Ok(());
            }
        };
        self.driver.submit_one(Input::Storage(event));
        Ok(())
    }

    /// Files first; then clients find the server where the ensemble says.
    pub(super) fn membership_change(&mut self, change: &MembershipChange) -> Result<(), StorageError> {
        if let Some(files) = &mut self.membership {
            files.carry_out(change).map_err(|source| StorageError::Io {
                action: "write the ensemble below",
                path: self.config.storage.data_dir.clone(),
                source,
            })?;
        }
        if let MembershipChange::Active(ensemble) = change {
            self.move_client_port(ensemble);
        }
        Ok(())
    }

    fn move_client_port(&self, ensemble: &EnsembleConfig) {
        let own = self.config.server_id.and_then(|id| ensemble.members.get(&id));
        let Some((host, port)) = own.and_then(|member| member.client.clone()) else { return };
        let Some(clients) = self.driver.client_ports() else { return };
        let started = std::thread::Builder::new()
            .name("client-port".to_owned())
            .spawn(move || clients.move_to(&host, port));
        if let Err(error) = started {
            warn!(%error, "cannot start a thread to move the client port");
        }
    }

    /// Cuts the log; the tree is read anew, for it may hold what was cut. Where it ends now.
    fn truncate(&mut self, zxid: Zxid) -> Result<Zxid, StorageError> {
        info!(%zxid, "the leader's history is shorter: cutting the log");
        let gives_up_trees = self.has_snapshot_after(zxid)?;
        if gives_up_trees {
            // An older snapshot and the log may end before `zxid`.
            self.layout.set_incomplete(&OsDisk, true)?;
        }
        self.log.truncate(zxid)?;
        self.remove_snapshots(|of| of > zxid)?;
        if gives_up_trees && snapshots(&OsDisk, &self.layout.snap_dir)?.is_empty() {
            // The log led on from a tree that is gone: everything is learned anew.
            self.log.forget_behind(Zxid::ZERO)?;
        }
        let mut reloaded = data::reload(&self.layout, self.tree)?;
        reloaded.tree.set_last_zxid(reloaded.last_zxid);
        self.driver.replace_tree(reloaded.tree, &reloaded.sessions);
        Ok(reloaded.last_zxid)
    }

    fn has_snapshot_after(&self, zxid: Zxid) -> Result<bool, StorageError> {
        Ok(snapshots(&OsDisk, &self.layout.snap_dir)?.iter().any(|file| file.zxid > zxid))
    }

    fn remove_snapshots(&self, given_up: impl Fn(Zxid) -> bool) -> Result<(), StorageError> {
        for file in snapshots(&OsDisk, &self.layout.snap_dir)?.iter().filter(|file| given_up(file.zxid)) {
            warn!(path = %file.path.display(), "removing a snapshot of a history that was given up");
            remove(&file.path)?;
        }
        Ok(())
    }

    /// Takes the tree that the leader sends: log first, so that nothing of the former history lies behind
    /// the snapshot; then the snapshot; then memory. Older snapshots go: from one of them the log leads
    /// to the leader's tree over a hole, or over txns that were given up.
    fn install(&mut self, link: LinkId, zxid: Zxid) -> Result<StorageEvent, StorageError> {
        let Some(peers) = self.driver.peers() else { return Ok(StorageEvent::SnapshotRefused(zxid)) };
        let Installed { mut tree, sessions, file } = match peers.wait_for_install(link) {
            Ok(installed) => installed,
            Err(reason) => {
                warn!(%zxid, %reason, "cannot take the leader's tree");
                return Ok(StorageEvent::SnapshotRefused(zxid));
            }
        };
        // Before anything of the former history goes.
        let file = file?;
        tree.set_last_zxid(zxid);
        if self.log_goes_beyond(zxid)? || self.has_snapshot_after(zxid)? {
            // Were it to die before the rest comes, it must not vote with less than it has acknowledged.
            self.layout.set_incomplete(&OsDisk, true)?;
        }
        self.log.forget_behind(zxid)?;
        self.remove_snapshots(|of| of > zxid)?;
        file.finish(&Format::new(&self.config).seal(WalkPoint { zxid, digest: tree.digest() }))?;
        self.remove_snapshots(|of| of < zxid)?;
        self.log.roll();
        self.driver.replace_tree(tree, &sessions);
        info!(%zxid, "the leader's tree is in place");
        Ok(StorageEvent::SnapshotInstalled(zxid))
    }

    fn log_goes_beyond(&self, zxid: Zxid) -> Result<bool, StorageError> {
        for file in log_files(&OsDisk, &self.layout.log_dir)?.iter().rev() {
            let Some(mut reader) = LogReader::open(&OsDisk, &file.path)? else { continue };
            let mut last = None;
            while let Some(record) = reader.next_record()? {
                last = Some(record.zxid);
            }
            // One that was begun and not written to says nothing.
            if let Some(last) = last {
                return Ok(last > zxid);
            }
        }
        Ok(false)
    }
}

fn remove(path: &std::path::Path) -> Result<(), StorageError> {
    use oxherd_storage::Disk as _;
    let failed = |action| move |source| StorageError::Io { action, path: path.to_owned(), source };
    OsDisk.remove(path).map_err(failed("remove"))?;
    let dir = path.parent().unwrap_or(path);
    OsDisk.sync_dir(dir).map_err(failed("sync"))
}
