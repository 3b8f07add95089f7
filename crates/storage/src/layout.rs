//! Where the files are.
//!
//! ```text
//! dataDir/myid                      decimal number of the server
//! dataDir/initialize                an empty tree is meant, not lost
//! dataDir/version-2/                snapshots, acceptedEpoch, currentEpoch
//! dataDir/version-2/oxherd.incomplete   acknowledged txns or epochs are missing: learn before voting
//! dataLogDir/version-2/             logs
//! ```

use std::io;
use std::path::{Path, PathBuf};

use oxherd_proto::ServerId;

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;

// Java: FileTxnSnapLog.version, VERSION
const VERSION_DIR: &str = "version-2";
const MYID: &str = "myid";
const INITIALIZE: &str = "initialize";
const INCOMPLETE: &str = "oxherd.incomplete";
/// Longest `myid` that is read, in bytes; the longest number has 20.
const MYID_LEN_MAX: usize = 64;

/// The directories of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Snapshots and epochs.
    pub snap_dir: PathBuf,
    /// Logs.
    pub log_dir: PathBuf,
}

impl Layout {
    /// From `dataDir` and `dataLogDir`; without the latter, logs are beside the snapshots.
    pub fn new(data_dir: &Path, data_log_dir: Option<&Path>) -> Self {
        let log_dir = data_log_dir.unwrap_or(data_dir).join(VERSION_DIR);
        Self { snap_dir: data_dir.join(VERSION_DIR), log_dir }
    }

    /// Makes what is missing, if `autocreate`, and checks that the two directories were not mixed up.
    ///
    /// Errors: [`StorageError::Refused`] when one is missing and must not be made, when snapshots lie among
    /// the logs or logs among the snapshots.
    // Java: FileTxnSnapLog, checkLogDir, checkSnapDir
    pub fn open<D: Disk>(&self, disk: &D, autocreate: bool) -> Result<(), StorageError> {
        for dir in [&self.log_dir, &self.snap_dir] {
            ensure_dir(disk, dir, autocreate)?;
        }
        if self.log_dir == self.snap_dir {
            return Ok(());
        }
        refuse_names(disk, &self.log_dir, "snapshot.", "snapshots")?;
        refuse_names(disk, &self.snap_dir, "log.", "txn logs")
    }

    /// The number in `dataDir/myid`; `None` when there is no such file.
    // Java: QuorumPeerConfig.setupMyId
    pub fn read_myid<D: Disk>(disk: &D, data_dir: &Path) -> Result<Option<ServerId>, StorageError> {
        let path = data_dir.join(MYID);
        if !has_entry(disk, data_dir, MYID)? {
            return Ok(None);
        }
        let file = disk.open(&path).map_err(StorageError::io("open", &path))?;
        let mut bytes = [0; MYID_LEN_MAX];
        let count = file.read_at(&mut bytes, 0).map_err(StorageError::io("read", &path))?;
        let text = String::from_utf8_lossy(&bytes[..count]);
        let line = text.lines().next().unwrap_or_default().trim();
        let refused =
            |_| StorageError::Refused(format!("{} must hold a number, not {line:?}", path.display()));
        line.parse().map(|id| Some(ServerId(id))).map_err(refused)
    }

    /// Removes the `initialize` file and answers whether there was one.
    ///
    /// The server looks for it beside the logs, its script puts it beside the snapshots: both places count.
    // Java: FileTxnSnapLog.restore
    pub fn take_initialize<D: Disk>(&self, disk: &D) -> Result<bool, StorageError> {
        let mut found = false;
        for dir in [parent(&self.log_dir), parent(&self.snap_dir)] {
            if has_entry(disk, dir, INITIALIZE)? {
                let path = dir.join(INITIALIZE);
                disk.remove(&path).map_err(StorageError::io("remove", &path))?;
                disk.sync_dir(dir).map_err(StorageError::io("sync", dir))?;
                found = true;
            }
        }
        Ok(found)
    }

    /// The file that says that acknowledged txns or epochs are missing here.
    pub fn incomplete_path(&self) -> PathBuf {
        self.snap_dir.join(INCOMPLETE)
    }

    /// Whether acknowledged txns or epochs are missing here, so that this member must not vote with what it has.
    pub fn is_incomplete<D: Disk>(&self, disk: &D) -> Result<bool, StorageError> {
        has_entry(disk, &self.snap_dir, INCOMPLETE)
    }

    /// Notes durably that acknowledged txns or epochs are missing, or that they are there again.
    pub fn set_incomplete<D: Disk>(&self, disk: &D, incomplete: bool) -> Result<(), StorageError> {
        let path = self.incomplete_path();
        match (self.is_incomplete(disk)?, incomplete) {
            (false, true) => disk.create(&path).map(drop).map_err(StorageError::io("create", &path))?,
            (true, false) => disk.remove(&path).map_err(StorageError::io("remove", &path))?,
            _ => return Ok(()),
        }
        disk.sync_dir(&self.snap_dir).map_err(StorageError::io("sync", &self.snap_dir))
    }
}

/// The directory a path is in; "." for a bare name.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn has_entry<D: Disk>(disk: &D, dir: &Path, name: &str) -> Result<bool, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    Ok(names.binary_search_by(|entry| entry.as_str().cmp(name)).is_ok())
}

fn exists<D: Disk>(disk: &D, dir: &Path) -> Result<bool, StorageError> {
    match dir.file_name() {
        Some(name) => has_entry(disk, parent(dir), &name.to_string_lossy()),
        None => Ok(true),
    }
}

/// Level by level, each durable before the next, so that only the deepest one there may be no more than visible:
/// a start before this one may have died, or failed, right behind making it.
fn ensure_dir<D: Disk>(disk: &D, dir: &Path, autocreate: bool) -> Result<(), StorageError> {
    let mut missing = Vec::new();
    let mut above = dir;
    while !exists(disk, above)? {
        missing.push(above);
        above = parent(above);
    }
    if !missing.is_empty() && !autocreate {
        let reason = format!("{} is missing and datadir.autocreate=false: make the directory", dir.display());
        return Err(StorageError::Refused(reason));
    }
    match disk.sync_dir(parent(above)) {
        // Where the server may not even look it has made nothing.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        synced => synced.map_err(StorageError::io("sync", parent(above)))?,
    }
    for dir in missing.into_iter().rev() {
        disk.create_dir_all(dir).map_err(StorageError::io("create", dir))?;
        if let Err(error) = disk.sync_dir(parent(dir)) {
            // A later sync need not save what this one was to save; the next start makes it anew.
            let _ = disk.remove_dir(dir);
            return Err(StorageError::io("sync", parent(dir))(error));
        }
    }
    Ok(())
}

fn refuse_names<D: Disk>(disk: &D, dir: &Path, prefix: &str, what: &str) -> Result<(), StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    match names.iter().find(|name| name.starts_with(prefix)) {
        None => Ok(()),
        Some(name) => {
            let reason = format!(
                "{} holds {what} ({name}): check that dataDir and dataLogDir are not exchanged",
                dir.display()
            );
            Err(StorageError::Refused(reason))
        }
    }
}

#[cfg(test)]
mod tests;
