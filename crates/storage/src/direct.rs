//! Writes that pass the system's cache: whole blocks out of one buffer.
//!
//! The bytes of a log and of a snapshot are read again, if ever, by another process after a restart. Through the
//! cache each would be copied into a page that the system has to find first, and written from there later; that
//! costs more than the copy into this buffer, and pushes out pages that somebody needs.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What disks and file systems take as a block, all that are common.
const BLOCK: usize = 4 << 10;
const BLOCK_BYTES: u64 = BLOCK as u64;
/// Bytes written by one call, at most.
const CHUNK: usize = 1 << 20;

/// The second handle of a file that is written at its end, and the blocks last written.
#[derive(Debug)]
pub(crate) struct Direct {
    file: File,
    /// Has room for a chunk from where its memory is aligned.
    buffer: Vec<u8>,
    aligned_at: usize,
    /// Where the aligned bytes begin in the file, and how many of them are known to be as there.
    start: u64,
    known: usize,
    /// Bytes in the file, without what fills its last block.
    len: u64,
    /// Whether zeros follow that fill the last block.
    overhangs: bool,
}

impl Direct {
    /// `None` where a file cannot be written so: nothing is lost but speed.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        let buffer = vec![0; CHUNK + BLOCK];
        let aligned_at = buffer.as_ptr().align_offset(BLOCK);
        (aligned_at <= BLOCK).then_some(Self {
            file,
            buffer,
            aligned_at,
            start: 0,
            known: 0,
            len: 0,
            overhangs: false,
        })
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
        let blocks = &mut self.buffer[self.aligned_at..][..end.next_multiple_of(BLOCK)];
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

    /// Has the first bytes of the block at `start` at the buffer's beginning.
    fn recall(&mut self, cached: &File, start: u64, count: usize) -> io::Result<()> {
        let aligned = &mut self.buffer[self.aligned_at..];
        let known = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        match known {
            Some(from) if from + count <= self.known => aligned.copy_within(from..from + count, 0),
            _ => cached.read_exact_at(&mut aligned[..count], start)?,
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

#[cfg(test)]
mod tests;
