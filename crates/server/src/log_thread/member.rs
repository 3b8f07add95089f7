//! What only members of an ensemble ask of storage: epochs, cuts, whole trees, reading the log.

use bytes::Bytes;
use oxherd_proto::Zxid;
use oxherd_replica::Input;
use oxherd_storage::{
    EpochFile, LogReader, OsDisk, StorageError, log_files, log_files_from, snapshots, write_epoch,
};
use oxherd_zab::{LinkId, StorageCommand, StorageEvent};
use tracing::{info, warn};

use super::LogThread;
use crate::data;
use crate::membership::MembershipChange;
use crate::peers::Installed;

/// Most bytes of the log that are read for a learner; more, and the tree is sent instead.
const READ_BYTES_MAX: usize = 64 << 20;

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
                StorageEvent::CurrentEpochStored(epoch)
            }
            StorageCommand::Truncate(zxid) => StorageEvent::Truncated(self.truncate(zxid)?),
            StorageCommand::InstallSnapshot { link, zxid } => self.install(link, zxid)?,
            StorageCommand::ReadLog { id, from, through } => {
                let txns = self.read(from, through).unwrap_or_else(|error| {
                    warn!(%error, "cannot read the log for a learner, which gets the tree instead");
                    None
                });
                StorageEvent::LogRead { id, txns }
            }
        };
        self.driver.submit_one(Input::Storage(event));
        Ok(())
    }

    /// Files first; then clients find the server where the ensemble says.
    pub(super) fn membership_change(&mut self, change: &MembershipChange) {
        if let Some(files) = &mut self.membership {
            files.carry_out(change);
        }
        let MembershipChange::Active(ensemble) = change else { return };
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
        self.remove_snapshots_after(zxid)?;
        self.log.truncate(zxid)?;
        let mut reloaded = data::reload(&self.layout, self.tree)?;
        reloaded.tree.set_last_zxid(reloaded.last_zxid);
        self.driver.replace_tree(reloaded.tree, &reloaded.sessions);
        Ok(reloaded.last_zxid)
    }

    fn remove_snapshots_after(&self, zxid: Zxid) -> Result<(), StorageError> {
        for file in snapshots(&OsDisk, &self.layout.snap_dir)? {
            if file.zxid > zxid {
                warn!(path = %file.path.display(), "removing a snapshot of a history that was given up");
                remove(&file.path)?;
            }
        }
        Ok(())
    }

    /// Takes the tree that the leader sends: log first, so that nothing of the former history lies behind
    /// the snapshot; then the snapshot; then memory.
    fn install(&mut self, link: LinkId, zxid: Zxid) -> Result<StorageEvent, StorageError> {
        let Some(peers) = self.driver.peers() else { return Ok(StorageEvent::SnapshotRefused(zxid)) };
        let Installed { mut tree, sessions } = match peers.wait_for_install(link) {
            Ok(installed) => installed,
            Err(reason) => {
                warn!(%zxid, %reason, "cannot take the leader's tree");
                return Ok(StorageEvent::SnapshotRefused(zxid));
            }
        };
        tree.set_last_zxid(zxid);
        self.forget_log_after(zxid)?;
        self.remove_snapshots_after(zxid)?;
        crate::snapshot_thread::write_first(&self.config, &self.layout, &mut tree, &sessions)?;
        // The tree has all that the leader has.
        self.layout.set_incomplete(&OsDisk, false)?;
        self.log.roll();
        self.driver.replace_tree(tree, &sessions);
        info!(%zxid, "the leader's tree is in place");
        Ok(StorageEvent::SnapshotInstalled(zxid))
    }

    /// Removes what lies behind `zxid`: it is not of the history to come.
    fn forget_log_after(&mut self, zxid: Zxid) -> Result<(), StorageError> {
        self.log.sync()?;
        let files = log_files(&OsDisk, &self.layout.log_dir)?;
        for file in files.iter().rev().filter(|file| file.first > zxid) {
            remove(&file.path)?;
        }
        match files.iter().any(|file| file.first <= zxid) {
            true => self.log.truncate(zxid),
            false => {
                self.log.roll();
                Ok(())
            }
        }
    }

    /// The txns from exactly `from` on, unless they are not there or too long.
    fn read(&self, from: Zxid, through: Zxid) -> Result<Option<Vec<(Zxid, Bytes)>>, StorageError> {
        let files = log_files(&OsDisk, &self.layout.log_dir)?;
        let (mut txns, mut bytes) = (Vec::new(), 0);
        for file in log_files_from(&files, from) {
            let Some(mut reader) = LogReader::open(&OsDisk, &file.path)? else { continue };
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
                bytes += record.payload.len();
                if bytes > READ_BYTES_MAX {
                    return Ok(None);
                }
                txns.push((record.zxid, record.payload));
            }
        }
        Ok((!txns.is_empty()).then_some(txns))
    }
}

fn remove(path: &std::path::Path) -> Result<(), StorageError> {
    use oxherd_storage::Disk as _;
    let failed = |action| move |source| StorageError::Io { action, path: path.to_owned(), source };
    OsDisk.remove(path).map_err(failed("remove"))?;
    let dir = path.parent().unwrap_or(path);
    OsDisk.sync_dir(dir).map_err(failed("sync"))
}
