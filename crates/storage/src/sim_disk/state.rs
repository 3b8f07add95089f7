//! The state behind all handles of a simulated disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::content::{Content, Directory, Entry};
use super::outcome::CrashOutcome;
use super::{Fault, crash_error};

/// What a call does, as far as faults tell calls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    Sync,
    Names,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) calls: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) faults: Vec<Fault>,
    pub(super) bytes_max: Option<usize>,
    pub(super) contents: BTreeMap<u64, Content>,
    directories: BTreeMap<PathBuf, Directory>,
    next_id: u64,
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is not on the simulated disk", path.display()))
}

fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().ok_or_else(|| not_found(path))?;
    let dir = path.parent().unwrap_or_else(|| Path::new(""));
    Ok((dir.to_owned(), name.to_string_lossy().into_owned()))
}

impl State {
    /// Counts a call and lets it fail if it is to.
    pub(super) fn enter(&mut self, kind: Kind) -> io::Result<()> {
        self.calls += 1;
        if self.crash_at.is_some_and(|call| self.calls >= call) {
            return Err(crash_error());
        }
        let mut failed = false;
        for fault in &mut self.faults {
            let (of, left) = match fault {
                Fault::Read(left) => (Kind::Read, left),
                Fault::Write(left) => (Kind::Write, left),
                Fault::Sync(left) => (Kind::Sync, left),
            };
            if of == kind {
                failed |= *left == 1;
                *left = left.saturating_sub(1);
            }
        }
        if failed { Err(io::Error::other("simulated failure of the medium")) } else { Ok(()) }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        let (dir, name) = split(path)?;
        match self.directories.get(&dir).and_then(|dir| dir.visible.get(&name)) {
            Some(Entry::File(id)) => Ok(*id),
            _ => Err(not_found(path)),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        if let Ok(id) = self.find(path) {
            self.content(id).set_len(0);
            return Ok(id);
        }
        let (dir, name) = split(path)?;
        let id = self.next_id;
        self.directory(&dir)?.add(&name, Entry::File(id));
        self.next_id += 1;
        self.contents.insert(id, Content::default());
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        let ((dir, from_name), (to_dir, to_name)) = (split(from)?, split(to)?);
        if dir != to_dir {
            return Err(io::Error::new(io::ErrorKind::CrossesDevices, "simulated directories are apart"));
        }
        self.directory(&dir)?.rename(&from_name, &to_name, Entry::File(id));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let id = self.find(path)?;
        let (dir, name) = split(path)?;
        self.content(id).taken = 0;
        self.directory(&dir)?.remove(&name);
        Ok(())
    }

    pub(super) fn directory(&mut self, dir: &Path) -> io::Result<&mut Directory> {
        if dir.file_name().is_none() {
            return Ok(self.directories.entry(dir.to_owned()).or_default());
        }
        self.directories.get_mut(dir).ok_or_else(|| not_found(dir))
    }

    pub(super) fn names(&self, dir: &Path) -> Vec<String> {
        self.directories.get(dir).map(|dir| dir.visible.keys().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn make_directories(&mut self, dir: &Path) {
        let mut below: Option<&Path> = None;
        for dir in dir.ancestors() {
            let existed = self.directories.contains_key(dir);
            let made = self.directories.entry(dir.to_owned()).or_default();
            if let Some(name) = below.and_then(Path::file_name) {
                made.add(&name.to_string_lossy(), Entry::Directory);
            }
            if existed {
                return;
            }
            below = Some(dir);
        }
    }

    pub(super) fn remove_directory(&mut self, dir: &Path) -> io::Result<()> {
        if !self.directory(dir)?.visible.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (above, name) = split(dir)?;
        self.directories.remove(dir);
        self.directory(&above)?.remove(&name);
        Ok(())
    }

    pub(super) fn content(&mut self, id: u64) -> &mut Content {
        self.contents.entry(id).or_default()
    }

    /// Bytes that can still be taken.
    pub(super) fn free(&self) -> usize {
        let Some(max) = self.bytes_max else { return usize::MAX };
        max.saturating_sub(self.contents.values().map(|content| content.taken).sum())
    }

    /// Writes as much as there is room for.
    pub(super) fn write(&mut self, id: u64, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let free = self.free();
        let content = self.content(id);
        let room = content.taken.saturating_add(free).saturating_sub(offset);
        content.write(offset, &bytes[..bytes.len().min(room)]);
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn allocate(&mut self, id: u64, len: usize) -> io::Result<()> {
        let free = self.free();
        let content = self.content(id);
        if len > content.taken.saturating_add(free) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if len > content.visible.len() {
            content.set_len(len);
        }
        content.taken = content.taken.max(len);
        Ok(())
    }

    /// The disk as a crash leaves it, working again.
    pub(super) fn after_crash(&self, outcome: CrashOutcome) -> Self {
        let mut after = Self { contents: self.contents.clone(), next_id: self.next_id, ..Self::default() };
        if outcome == CrashOutcome::ProcessDied {
            after.directories.clone_from(&self.directories);
            return after;
        }
        let mut rng = outcome.rng();
        for content in after.contents.values_mut() {
            let fate = outcome.fate(&mut rng);
            let bytes = content.after(fate, &mut rng);
            *content = Content::of(bytes);
        }
        for (path, directory) in &self.directories {
            let fate = outcome.fate(&mut rng);
            // Those above come first: what is below a directory that was lost is lost with it.
            if after.is_reachable(path) {
                after.directories.insert(path.clone(), directory.after(fate, &mut rng));
            }
        }
        let named = |id: u64| {
            after.directories.values().any(|dir| dir.visible.values().any(|e| *e == Entry::File(id)))
        };
        after.contents.retain(|id, _| named(*id));
        after
    }

    fn is_reachable(&self, path: &Path) -> bool {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return true };
        let entry = self.directories.get(above).and_then(|dir| dir.visible.get(&*name.to_string_lossy()));
        entry == Some(&Entry::Directory)
    }
}
