//! A disk in memory that counts calls, fails on demand and crashes with every legal outcome.
//!
//! A crash happens *at* a call: that call has begun, so what it changes is as unsafe as everything not
//! synced before, and it and every later call fail. [`SimDisk::restart`] then yields one of the disks that
//! a machine may find after a power loss. What the model promises is what a disk promises: bytes that were
//! there when [`DiskFile::sync`] returned, entries that were there when [`Disk::sync_dir`] returned. Directories
//! themselves are durable when made.

mod image;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

pub use image::CrashOutcome;
use image::{FileId, Image};

/// What a call does; for faults by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// [`Disk::create`]
    Create,
    /// [`Disk::open`]
    Open,
    /// [`Disk::rename`]
    Rename,
    /// [`Disk::remove`]
    Remove,
    /// [`Disk::list`]
    List,
    /// [`Disk::create_dir_all`]
    CreateDir,
    /// [`Disk::sync_dir`]
    SyncDir,
    /// [`Disk::free_bytes`]
    FreeBytes,
    /// [`DiskFile::write_at`]
    Write,
    /// [`DiskFile::read_at`]
    Read,
    /// [`DiskFile::sync`]
    Sync,
    /// [`DiskFile::set_len`]
    SetLen,
    /// [`DiskFile::allocate`]
    Allocate,
    /// [`DiskFile::len`]
    Len,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    call: Call,
    /// Calls of this kind that still succeed.
    after: u64,
}

#[derive(Debug, Default)]
struct State {
    image: Image,
    calls: u64,
    crash_at: Option<u64>,
    faults: Vec<Fault>,
}

/// The disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// A file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    id: FileId,
}

impl SimDisk {
    /// An empty disk without limit or fault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls made so far; those that failed count.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Crashes at call `number`, counted from 1 since the disk was made.
    pub fn crash_at(&self, number: u64) {
        self.state().crash_at = Some(number);
    }

    /// Whether the crash has happened.
    pub fn is_crashed(&self) -> bool {
        let state = self.state();
        state.crash_at.is_some_and(|number| state.calls >= number)
    }

    /// Lets one call of this kind fail with an I/O error, after `after` more of them that succeed.
    ///
    /// A failed [`Call::Sync`] does what kernels do: the bytes can still be read, and no later sync
    /// makes them durable.
    pub fn fail(&self, call: Call, after: u64) {
        self.state().faults.push(Fault { call, after });
    }

    /// Limits the bytes of all files; `None` for no limit. Beyond it calls fail for want of space.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().image.set_capacity(bytes);
    }

    /// Bytes that files take up now.
    pub fn used_bytes(&self) -> u64 {
        self.state().image.used_bytes()
    }

    /// What a machine finds after a power loss now. The new disk has no faults and the same capacity.
    pub fn restart(&self, outcome: CrashOutcome) -> Self {
        let image = self.state().image.after_crash(outcome);
        let state = State { image, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The bytes of a file as a program sees them; `None` when there is none. Not counted.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.state().image.contents(&plain(path))
    }

    /// Puts a durable file there, in place of one that is there. Not counted.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        self.state().image.put(&plain(path), bytes);
    }

    /// Files with their paths, sorted. Not counted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().image.paths()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call: counts it, lets `effect` happen, and fails if it is to.
    fn call<T>(&self, call: Call, effect: impl FnOnce(&mut Image) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.calls += 1;
        let calls = state.calls;
        if let Some(number) = state.crash_at.filter(|number| calls >= *number) {
            // The call that is cut short may have had its effect; but a sync has not happened.
            if calls == number && !matches!(call, Call::Sync | Call::SyncDir) {
                effect(&mut state.image).ok();
            }
            return Err(io::Error::other("the machine has crashed"));
        }
        state.fault(call)?;
        effect(&mut state.image)
    }

    fn file_call<T>(
        &self,
        call: Call,
        id: FileId,
        effect: impl FnOnce(&mut Image) -> io::Result<T>,
    ) -> io::Result<T> {
        let result = self.call(call, effect);
        if call == Call::Sync && result.is_err() {
            self.state().image.lose_unsynced(id);
        }
        result
    }
}

/// Without the dots that say "here".
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

impl State {
    fn fault(&mut self, call: Call) -> io::Result<()> {
        let Some(at) = self.faults.iter().position(|fault| fault.call == call) else { return Ok(()) };
        if self.faults[at].after > 0 {
            self.faults[at].after -= 1;
            return Ok(());
        }
        self.faults.remove(at);
        Err(io::Error::other(format!("the disk failed in {call:?}")))
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let id = self.call(Call::Create, |image| image.create(&plain(path)))?;
        Ok(SimFile { disk: self.clone(), id })
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        let id = self.call(Call::Open, |image| image.find(&plain(path)))?;
        Ok(SimFile { disk: self.clone(), id })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, |image| image.rename(&plain(from), &plain(to)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, |image| image.remove(&plain(path)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(Call::List, |image| Ok(image.list(&plain(dir))))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, |image| {
            image.create_dir_all(&plain(dir));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, |image| {
            image.sync_dir(&plain(dir));
            Ok(())
        })
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        self.call(Call::FreeBytes, |image| Ok(image.free_bytes()))
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.file_call(Call::Write, self.id, |image| image.write(self.id, bytes, offset))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.file_call(Call::Read, self.id, |image| Ok(image.read(self.id, buffer, offset)))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.file_call(Call::Sync, self.id, |image| {
            image.sync(self.id);
            Ok(())
        })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.disk.file_call(Call::SetLen, self.id, |image| {
            image.set_len(self.id, len);
            Ok(())
        })
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.disk.file_call(Call::Allocate, self.id, |image| image.allocate(self.id, len))
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.file_call(Call::Len, self.id, |image| Ok(image.len(self.id)))
    }
}

#[cfg(test)]
mod tests;
