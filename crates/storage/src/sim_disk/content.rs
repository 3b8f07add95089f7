//! One file or directory of a simulated disk: what is durable, what is visible, and what lies between.

use std::collections::BTreeMap;

use super::outcome::{Fate, Rng};

const SECTOR_LEN: usize = 512;

/// A change of a file that no sync has covered yet.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) durable: Vec<u8>,
    pub(super) visible: Vec<u8>,
    /// Bytes that count as taken on the disk.
    pub(super) taken: usize,
    pending: Vec<Change>,
}

impl Content {
    /// A file that is durable as it is.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), taken: bytes.len(), visible: bytes, pending: Vec::new() }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        put(&mut self.visible, offset, bytes);
        self.taken = self.taken.max(offset + bytes.len());
        self.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.visible.resize(len, 0);
        self.taken = self.taken.min(len);
        self.pending.push(Change::Len(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// A sync that failed: the system takes the bytes for written and forgets them.
    pub(super) fn fail_sync(&mut self) {
        self.pending.clear();
    }

    /// The bytes that are there after a power loss.
    pub(super) fn after(&self, fate: Fate, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        match fate {
            Fate::Lost => {}
            Fate::Kept => self.pending.iter().for_each(|change| apply(&mut bytes, change)),
            Fate::Prefix => self.keep_prefix(&mut bytes, rng),
            Fate::Sectors => self.keep_sectors(&mut bytes, rng),
            Fate::Zeroed => {
                self.keep_prefix(&mut bytes, rng);
                bytes.resize(bytes.len().max(self.visible.len()), 0);
            }
        }
        bytes
    }

    fn keep_prefix(&self, bytes: &mut Vec<u8>, rng: &mut Rng) {
        let Some(whole) = rng.below(self.pending.len() + 1) else { return };
        self.pending[..whole].iter().for_each(|change| apply(bytes, change));
        if let Some(Change::Write { offset, bytes: written }) = self.pending.get(whole) {
            let count = rng.below(written.len()).unwrap_or(0);
            put(bytes, *offset, &written[..count]);
        }
    }

    fn keep_sectors(&self, bytes: &mut Vec<u8>, rng: &mut Rng) {
        for change in &self.pending {
            match change {
                Change::Write { offset, bytes: written } => keep_some(bytes, *offset, written, rng),
                Change::Len(_) if rng.coin() => apply(bytes, change),
                Change::Len(_) => {}
            }
        }
    }
}

fn keep_some(bytes: &mut Vec<u8>, offset: usize, written: &[u8], rng: &mut Rng) {
    let mut at = 0;
    while at < written.len() {
        let sector_end = ((offset + at) / SECTOR_LEN + 1) * SECTOR_LEN - offset;
        let end = sector_end.min(written.len());
        if rng.coin() {
            put(bytes, offset + at, &written[at..end]);
        }
        at = end;
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end && !written.is_empty() {
        bytes.resize(end, 0);
    }
    if !written.is_empty() {
        bytes[offset..end].copy_from_slice(written);
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: written } => put(bytes, *offset, written),
        Change::Len(len) => bytes.resize(*len, 0),
    }
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    File(u64),
    Directory,
}

#[derive(Clone, Debug)]
enum Move {
    Add(String, Entry),
    Remove(String),
    Rename(String, String, Entry),
}

/// The names in a directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) visible: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
    pending: Vec<Move>,
}

impl Directory {
    pub(super) fn add(&mut self, name: &str, entry: Entry) {
        self.push(Move::Add(name.to_owned(), entry));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.push(Move::Remove(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, entry: Entry) {
        self.push(Move::Rename(from.to_owned(), to.to_owned(), entry));
    }

    pub(super) fn sync(&mut self) {
        for step in self.pending.drain(..) {
            carry_out(&mut self.durable, &step);
        }
    }

    pub(super) fn fail_sync(&mut self) {
        self.pending.clear();
    }

    /// The directory after a power loss; each change is there or not, on its own.
    pub(super) fn after(&self, fate: Fate, rng: &mut Rng) -> Self {
        let mut names = self.durable.clone();
        for step in &self.pending {
            let kept = match fate {
                Fate::Lost => false,
                Fate::Kept => true,
                Fate::Prefix | Fate::Sectors | Fate::Zeroed => rng.coin(),
            };
            if kept {
                carry_out(&mut names, step);
            }
        }
        Self { visible: names.clone(), durable: names, pending: Vec::new() }
    }

    fn push(&mut self, step: Move) {
        carry_out(&mut self.visible, &step);
        self.pending.push(step);
    }
}

fn carry_out(names: &mut BTreeMap<String, Entry>, step: &Move) {
    match step {
        Move::Add(name, entry) => {
            names.insert(name.clone(), *entry);
        }
        Move::Remove(name) => {
            names.remove(name);
        }
        Move::Rename(from, to, entry) => {
            names.remove(from);
            names.insert(to.clone(), *entry);
        }
    }
}
