//! A disk in memory that can die at any call, fill up, fail and rot.

mod content;
mod outcome;
mod state;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
pub use outcome::CrashOutcome;
use state::{Kind, State};

/// A call that is to fail once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The read so many from now, 1 for the next.
    Read(u64),
    /// The change of a file (write, length, space) so many from now.
    Write(u64),
    /// The sync of a file or directory so many from now. What it was to save can no longer be saved.
    Sync(u64),
}

/// A simulated disk. All clones are the same disk; the same calls give the same results.
///
/// A power loss respects what [`Disk`] promises and nothing else: bytes of a file since its last sync are
/// there in part, names since the last sync of their directory are there or not.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub struct SimFile {
    disk: SimDisk,
    id: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the simulated machine died")]
struct Crash;

fn crash_error() -> io::Error {
    io::Error::other(Crash)
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl SimDisk {
    /// An empty disk without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls made so far, failed ones included.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets the machine die at a call: it and all later ones change nothing and fail. The first call is 1.
    pub fn crash_at(&self, call: u64) {
        self.state().crash_at = Some(call);
    }

    /// Whether the machine died.
    pub fn is_crashed(&self) -> bool {
        let state = self.state();
        state.crash_at.is_some_and(|call| state.calls >= call)
    }

    /// Whether a call failed because the machine died.
    pub fn is_crash(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Crash>())
    }

    /// The disk as the next start finds it. It has no faults and no limit, and counts calls from 0.
    pub fn after_crash(&self, outcome: CrashOutcome) -> Self {
        let after = self.state().after_crash(outcome);
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// Lets one call fail.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Sets the bytes that fit on the disk; `None` for no limit.
    pub fn limit_bytes(&self, bytes_max: Option<usize>) {
        self.state().bytes_max = bytes_max;
    }

    /// Turns one bit of a file, durably. Counts as no call.
    pub fn flip_bit(&self, path: &Path, offset: usize, bit: u8) -> io::Result<()> {
        let mut bytes = self.read_file(path)?;
        let byte = bytes.get_mut(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= 1 << (bit % 8);
        self.write_file(path, &bytes)
    }

    /// All bytes of a file as they can be read now. Counts as no call.
    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let id = state.find(path)?;
        Ok(state.content(id).visible.clone())
    }

    /// Puts a file with these bytes, durably, and the directories above it. Counts as no call.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        for dir in path.ancestors().skip(1) {
            state.make_directories(dir);
        }
        let id = state.create(path)?;
        state.content(id).write(0, bytes);
        state.content(id).sync();
        for dir in path.ancestors().skip(1) {
            state.directory(dir)?.sync();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, kind: Kind) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.enter(kind)?;
        Ok(state)
    }

    fn file(&self, id: u64) -> SimFile {
        SimFile { disk: self.clone(), id }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let id = self.enter(Kind::Names)?.create(path)?;
        Ok(self.file(id))
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        let id = self.enter(Kind::Names)?.find(path)?;
        Ok(self.file(id))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(Kind::Names)?.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.enter(Kind::Names)?.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.enter(Kind::Names)?.names(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.enter(Kind::Names)?.make_directories(dir);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.enter(Kind::Names)?.remove_directory(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let entered = state.enter(Kind::Sync);
        let directory = state.directory(dir)?;
        match entered {
            Ok(()) => directory.sync(),
            Err(ref error) if !Self::is_crash(error) => directory.fail_sync(),
            Err(_) => {}
        }
        entered
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let free = self.enter(Kind::Names)?.free();
        Ok(u64::try_from(free).unwrap_or(u64::MAX))
    }
}

impl DiskFile for SimFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.enter(Kind::Write)?.write(self.id, position(offset)?, bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.enter(Kind::Read)?;
        let bytes = &state.content(self.id).visible;
        let rest = bytes.get(position(offset)?..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let entered = state.enter(Kind::Sync);
        let content = state.content(self.id);
        match entered {
            Ok(()) => content.sync(),
            Err(ref error) if !SimDisk::is_crash(error) => content.fail_sync(),
            Err(_) => {}
        }
        entered
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.enter(Kind::Write)?;
        state.content(self.id).set_len(position(len)?);
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.disk.enter(Kind::Write)?.allocate(self.id, position(len)?)
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.enter(Kind::Names)?;
        Ok(state.content(self.id).visible.len() as u64)
    }
}

#[cfg(test)]
mod tests;
