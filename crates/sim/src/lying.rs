//! A disk that does not do all it says, for the bugs that forget a sync.

use std::io;
use std::path::Path;

use oxherd_storage::{Disk, DiskFile, SimDisk, SimFile};

use crate::bug::Bug;

/// Which syncs are only pretended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lies {
    /// Those of files whose name holds `snapshot`.
    pub(crate) snapshots: bool,
    /// Those of log files.
    pub(crate) logs: bool,
    /// Those of directories.
    pub(crate) directories: bool,
}

impl Lies {
    /// The lies that a bug tells all the time.
    pub(crate) fn of(bug: Option<Bug>) -> Self {
        Self {
            snapshots: bug == Some(Bug::SnapshotWithoutSync),
            logs: false,
            directories: bug == Some(Bug::NoDirectorySync),
        }
    }
}

/// A simulated disk behind its lies.
#[derive(Clone, Debug)]
pub(crate) struct LyingDisk {
    disk: SimDisk,
    lies: Lies,
}

/// An open file of a [`LyingDisk`].
#[derive(Debug)]
pub(crate) struct LyingFile {
    file: SimFile,
    lies: bool,
}

impl LyingDisk {
    /// That disk with those lies.
    pub(crate) fn new(disk: SimDisk, lies: Lies) -> Self {
        Self { disk, lies }
    }

    /// The same disk with other lies.
    pub(crate) fn with(&self, lies: Lies) -> Self {
        Self { disk: self.disk.clone(), lies }
    }

    fn file(&self, path: &Path, file: SimFile) -> LyingFile {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let lies = (self.lies.snapshots && name.contains("snapshot"))
            || (self.lies.logs && name.starts_with("log."));
        LyingFile { file, lies }
    }
}

impl Disk for LyingDisk {
    type File = LyingFile;

    fn create(&self, path: &Path) -> io::Result<LyingFile> {
        self.disk.create(path).map(|file| self.file(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<LyingFile> {
        self.disk.open(path).map(|file| self.file(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.lies.directories { Ok(()) } else { self.disk.sync_dir(dir) }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
}

impl DiskFile for LyingFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.lies { Ok(()) } else { self.file.sync() }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
