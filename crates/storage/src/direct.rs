//! Reads and writes that pass the system's cache: whole blocks, by way of one buffer.
//!
//! The bytes of a log and of a snapshot are read once, if ever, after a restart. Through the cache each would be
//! copied into a page that the system has to find first, and written from there later; that costs more than
//! the copy into this buffer, and pushes out pages that somebody needs.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What disks and file systems take as a block, all that are common.
const BLOCK: usize = 4 << 10;
const BLOCK_BYTES: u64 = BLOCK as u64;
/// Bytes written by one call, at most.
const CHUNK: usize = 1 << 20;

/// Memory that begins where a block may.
#[derive(Debug)]
struct Blocks {
    memory: Vec<u8>,
    begins_at: usize,
}

impl Blocks {
    fn new() -> Option<Self> {
        let memory = vec![0; CHUNK + BLOCK];
        let begins_at = memory.as_ptr().align_offset(BLOCK);
        (begins_at <= BLOCK).then_some(Self { memory, begins_at })
    }

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.begins_at..][..CHUNK]
    }
}

/// A handle past the cache; `None` where there is none: nothing is lost but speed.
fn open(path: &Path, options: &mut OpenOptions) -> Option<File> {
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
    options.custom_flags(flags).open(path).ok()
}

/// The second handle of a file that is written at its end, and the blocks last written.
#[derive(Debug)]
pub(crate) struct DirectWrite {
    file: File,
    blocks: Blocks,
    /// Where the blocks begin in the file, and how many of their bytes are known to be as there.
    start: u64,
    known: usize,
    /// Bytes in the file, without what fills its last block.
    len: u64,
    /// Whether zeros follow that fill the last block.
    overhangs: bool,
}

impl DirectWrite {
    /// Of an empty file.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let file = open(path, OpenOptions::new().write(true))?;
        Some(Self { file, blocks: Blocks::new()?, start: 0, known: 0, len: 0, overhangs: false })
    }

    /// Writes all bytes; what is in their last block behind them becomes zeros.
    ///
    /// Errors: [`io::ErrorKind::InvalidInput`] where this way cannot be gone on.
    pub(crate) fn write_at(&mut self, cached: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut rest, mut offset) = (bytes, offset);
        while !rest.is_empty() {
            let count = self.write_chunk(cached, rest, offset)?;
            rest = &rest[count..];
            offset += count as u64;
        }
        Ok(())
    }

    fn write_chunk(&mut self, cached: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let start = offset - offset % BLOCK_BYTES;
        let before = usize::try_from(offset - start).unwrap_or(0);
        self.recall(cached, start, before)?;
        let count = bytes.len().min(CHUNK - before);
        let end = before + count;
        let blocks = &mut self.blocks.bytes()[..end.next_multiple_of(BLOCK)];
        blocks[before..end].copy_from_slice(&bytes[..count]);
        blocks[end..].fill(0);
        self.known = 0;
        self.file.write_all_at(blocks, start)?;
        let filled = start + blocks.len() as u64;
        (self.start, self.known) = (start, end);
        self.len = self.len.max(offset + count as u64);
        self.overhangs |= filled > self.len;
        Ok(count)
    }

    /// Has the first bytes of the block at `start` where the blocks begin.
    fn recall(&mut self, cached: &File, start: u64, count: usize) -> io::Result<()> {
        let bytes = self.blocks.bytes();
        let known = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        match known {
            Some(from) if from + count <= self.known => bytes.copy_within(from..from + count, 0),
            _ => cached.read_exact_at(&mut bytes[..count], start)?,
        }
        (self.start, self.known) = (start, count);
        Ok(())
    }

    /// Takes back what only fills the last block.
    pub(crate) fn finish(&mut self, cached: &File) -> io::Result<()> {
        if self.overhangs {
            cached.set_len(self.len)?;
            self.overhangs = false;
        }
        Ok(())
    }

    /// The file's length was changed.
    pub(crate) fn resized(&mut self, len: u64) {
        (self.len, self.known, self.overhangs) = (len, 0, false);
    }

    /// The file was made longer, if it was shorter.
    pub(crate) fn extended(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// The file's length, when the system says `len`.
    pub(crate) fn len_of(&self, len: u64) -> u64 {
        if self.overhangs { self.len } else { len }
    }
}

/// The only handle of a file that is read from its beginning to its end, and nobody writes.
#[derive(Debug)]
pub(crate) struct DirectRead {
    file: File,
    blocks: Blocks,
    start: u64,
    known: usize,
}

impl DirectRead {
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let file = open(path, OpenOptions::new().read(true))?;
        Some(Self { file, blocks: Blocks::new()?, start: 0, known: 0 })
    }

    /// Whether the byte there is in memory.
    pub(crate) fn holds(&self, offset: u64) -> bool {
        (self.start..self.start + self.known as u64).contains(&offset)
    }

    /// Reads what comes at `offset`, fewer bytes than asked for perhaps; none at the end.
    pub(crate) fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if !self.holds(offset) {
            self.known = 0;
            self.start = offset - offset % BLOCK_BYTES;
            self.known = self.file.read_at(self.blocks.bytes(), self.start)?;
        }
        let skipped = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.known);
        let found = &self.blocks.bytes()[skipped..];
        let count = buffer.len().min(self.known - skipped);
        buffer[..count].copy_from_slice(&found[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
