//! Files and entries as a program sees them, as the platter holds them, and what lies in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

const SECTOR: usize = 512;

/// What survives a crash of all that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashOutcome {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// The bytes of every file, but no entry of any directory.
    FilesOnly,
    /// The entries of every directory, but no bytes: new files are empty.
    EntriesOnly,
    /// In each file and directory a beginning of what was done, cut at any byte.
    Prefix(
        /// Chooses the cuts.
        u64,
    ),
    /// Each sector, each length and each entry on its own.
    Sectors(
        /// Tosses the coins.
        u64,
    ),
}

/// Names a file whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(usize);

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// From `durable` to `live`, except what a failed sync has lost.
    unsynced: Vec<Change>,
    /// Bytes that take up space; the rest of the file is a hole.
    taken: u64,
}

#[derive(Clone, Debug)]
enum EntryChange {
    Create(PathBuf, FileId),
    Remove(PathBuf),
    Rename { from: PathBuf, to: PathBuf, id: FileId },
}

/// The whole disk.
#[derive(Debug, Default)]
pub(super) struct Image {
    files: Vec<Content>,
    live: BTreeMap<PathBuf, FileId>,
    durable: BTreeMap<PathBuf, FileId>,
    /// Changes of entries not synced, by directory.
    unsynced: BTreeMap<PathBuf, Vec<EntryChange>>,
    dirs: BTreeSet<PathBuf>,
    capacity: Option<u64>,
}

impl Image {
    pub(super) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.live.values().map(|id| self.files[id.0].taken).sum()
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used_bytes()))
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.live.get(path).map(|id| self.files[id.0].live.clone())
    }

    pub(super) fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        let id = self.add(Content { taken: bytes.len() as u64, durable: bytes.clone(), live: bytes, ..Content::default() });
        self.live.insert(path.to_owned(), id);
        self.durable.insert(path.to_owned(), id);
        self.create_dir_all(path.parent().unwrap_or(Path::new("")));
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.live.keys().cloned().collect()
    }

    pub(super) fn create_dir_all(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    pub(super) fn list(&self, dir: &Path) -> Vec<String> {
        let here = self.live.keys().chain(&self.dirs).filter(|path| path.parent() == Some(dir));
        let names = here.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        names.collect::<BTreeSet<String>>().into_iter().collect()
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<FileId> {
        self.live.get(path).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<FileId> {
        if let Ok(id) = self.find(path) {
            self.set_len(id, 0);
            return Ok(id);
        }
        if !path.parent().is_some_and(|dir| self.dirs.contains(dir)) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let id = self.add(Content::default());
        self.live.insert(path.to_owned(), id);
        self.note(path, EntryChange::Create(path.to_owned(), id));
        Ok(id)
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.live.remove(path);
        self.note(path, EntryChange::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        self.live.remove(from);
        self.live.insert(to.to_owned(), id);
        self.note(to, EntryChange::Rename { from: from.to_owned(), to: to.to_owned(), id });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        for change in self.unsynced.remove(dir).unwrap_or_default() {
            change.apply(&mut self.durable);
        }
    }

    /// Writes what fits; the rest fails.
    pub(super) fn write(&mut self, id: FileId, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = index(offset);
        let free = self.free_bytes();
        let file = &mut self.files[id.0];
        let needed = ((offset + bytes.len()) as u64).saturating_sub(file.taken);
        let missing = index(needed.saturating_sub(free)).min(bytes.len());
        let fitting = &bytes[..bytes.len() - missing];
        if !fitting.is_empty() {
            file.change(Change::Write { offset, bytes: fitting.to_vec() });
            file.taken = file.taken.max((offset + fitting.len()) as u64);
        }
        if missing > 0 { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    pub(super) fn read(&self, id: FileId, buffer: &mut [u8], offset: u64) -> usize {
        let live = &self.files[id.0].live;
        let rest = live.get(index(offset)..).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        count
    }

    pub(super) fn sync(&mut self, id: FileId) {
        let file = &mut self.files[id.0];
        for change in std::mem::take(&mut file.unsynced) {
            change.apply(&mut file.durable);
        }
    }

    pub(super) fn lose_unsynced(&mut self, id: FileId) {
        self.files[id.0].unsynced.clear();
    }

    pub(super) fn set_len(&mut self, id: FileId, len: u64) {
        let file = &mut self.files[id.0];
        file.change(Change::SetLen(index(len)));
        file.taken = file.taken.min(len);
    }

    pub(super) fn allocate(&mut self, id: FileId, len: u64) -> io::Result<()> {
        let free = self.free_bytes();
        let file = &mut self.files[id.0];
        if len.saturating_sub(file.taken) > free {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        file.taken = file.taken.max(len);
        if index(len) > file.live.len() {
            file.change(Change::SetLen(index(len)));
        }
        Ok(())
    }

    pub(super) fn len(&self, id: FileId) -> u64 {
        self.files[id.0].live.len() as u64
    }

    /// The disk after a power loss.
    pub(super) fn after_crash(&self, outcome: CrashOutcome) -> Self {
        let mut coins = Coins(match outcome {
            CrashOutcome::Prefix(seed) | CrashOutcome::Sectors(seed) => seed,
            _ => 0,
        });
        let mut entries = self.durable.clone();
        for changes in self.unsynced.values() {
            let kept = match outcome {
                CrashOutcome::Nothing | CrashOutcome::FilesOnly => 0,
                CrashOutcome::Prefix(_) => coins.below(changes.len() + 1),
                _ => changes.len(),
            };
            for change in &changes[..kept] {
                if !matches!(outcome, CrashOutcome::Sectors(_)) || coins.toss() {
                    change.apply(&mut entries);
                }
            }
        }
        let mut after = Self { dirs: self.dirs.clone(), capacity: self.capacity, ..Self::default() };
        for (path, id) in entries {
            after.put(&path, self.files[id.0].after_crash(outcome, &mut coins));
        }
        after
    }

    fn add(&mut self, content: Content) -> FileId {
        self.files.push(content);
        FileId(self.files.len() - 1)
    }

    fn note(&mut self, path: &Path, change: EntryChange) {
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        self.unsynced.entry(dir).or_default().push(change);
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    fn after_crash(&self, outcome: CrashOutcome, coins: &mut Coins) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        match outcome {
            CrashOutcome::Nothing | CrashOutcome::EntriesOnly => {}
            CrashOutcome::Everything | CrashOutcome::FilesOnly => {
                self.unsynced.iter().for_each(|change| change.apply(&mut bytes));
            }
            CrashOutcome::Prefix(_) => self.prefix(&mut bytes, coins),
            CrashOutcome::Sectors(_) => self.sectors(&mut bytes, coins),
        }
        bytes
    }

    fn prefix(&self, bytes: &mut Vec<u8>, coins: &mut Coins) {
        let kept = coins.below(self.unsynced.len() + 1);
        self.unsynced[..kept].iter().for_each(|change| change.apply(bytes));
        if let Some(Change::Write { offset, bytes: last }) = self.unsynced.get(kept) {
            let cut = coins.below(last.len() + 1);
            Change::Write { offset: *offset, bytes: last[..cut].to_vec() }.apply(bytes);
        }
    }

    fn sectors(&self, bytes: &mut Vec<u8>, coins: &mut Coins) {
        for change in &self.unsynced {
            match change {
                Change::SetLen(len) if *len < bytes.len() => {
                    // What is written behind a cut goes to other sectors: without the cut it is not seen.
                    if !coins.toss() {
                        return;
                    }
                    change.apply(bytes);
                }
                Change::SetLen(_) => {
                    if coins.toss() {
                        change.apply(bytes);
                    }
                }
                Change::Write { offset, bytes: written } => write_sectors(bytes, *offset, written, coins),
            }
        }
    }
}

fn write_sectors(bytes: &mut Vec<u8>, offset: usize, written: &[u8], coins: &mut Coins) {
    let end = offset + written.len();
    let mut at = offset;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if coins.toss() {
            Change::Write { offset: at, bytes: written[at - offset..next - offset].to_vec() }.apply(bytes);
        }
        at = next;
    }
    if coins.toss() && bytes.len() < end {
        bytes.resize(end, 0);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => to.resize(*len, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

impl EntryChange {
    fn apply(&self, to: &mut BTreeMap<PathBuf, FileId>) {
        match self {
            Self::Create(path, id) => {
                to.insert(path.clone(), *id);
            }
            Self::Remove(path) => {
                to.remove(path);
            }
            Self::Rename { from, to: name, id } => {
                to.remove(from);
                to.insert(name.clone(), *id);
            }
        }
    }
}

/// SplitMix64: spread is all that is asked of it.
struct Coins(u64);

impl Coins {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn toss(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        index(self.next() % end as u64)
    }
}

/// Sizes of files in memory fit.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("a simulated file lies in memory")
}
