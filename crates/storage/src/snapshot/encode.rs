//! The way of plain bytes into a file: packed, buffered, and synced as it goes.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use super::{Compression, snappy};
use crate::disk::DiskFile;

const BUFFER_LEN: usize = 256 << 10;
/// Bytes written between two syncs; so the last one has little left to do.
const SYNC_EVERY: u64 = 8 << 20;
/// The quickest: a server has better use for its processors than smaller snapshots.
const GZIP_LEVEL: u32 = 1;

/// A file that grows at its end.
#[derive(Debug)]
pub(super) struct FileSink<F> {
    file: F,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
}

impl<F: DiskFile> FileSink<F> {
    fn new(file: F) -> Self {
        Self { file, buffer: Vec::with_capacity(BUFFER_LEN), written: 0, synced: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn put_buffer(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = if buffer.is_empty() { Ok(()) } else { self.put(&buffer) };
        buffer.clear();
        self.buffer = buffer;
        result
    }

    fn finish(mut self) -> io::Result<()> {
        self.put_buffer()?;
        self.file.sync()
    }
}

impl<F: DiskFile> Write for FileSink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_LEN {
            self.put_buffer()?;
        }
        if bytes.len() >= BUFFER_LEN {
            self.put(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put_buffer()
    }
}

/// Packs by the chosen method.
#[derive(Debug)]
pub(super) enum Encoder<F: DiskFile> {
    Plain(FileSink<F>),
    Gzip(GzEncoder<FileSink<F>>),
    Snappy(Box<snappy::Encoder<FileSink<F>>>),
}

impl<F: DiskFile> Encoder<F> {
    pub(super) fn new(file: F, compression: Compression) -> io::Result<Self> {
        let sink = FileSink::new(file);
        Ok(match compression {
            Compression::None => Self::Plain(sink),
            Compression::Gzip => Self::Gzip(GzEncoder::new(sink, flate2::Compression::new(GZIP_LEVEL))),
            Compression::Snappy => Self::Snappy(Box::new(snappy::Encoder::new(sink)?)),
        })
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Snappy(encoder) => encoder.write_all(bytes),
        }
    }

    /// Writes what is held back and syncs.
    pub(super) fn finish(self) -> io::Result<()> {
        let sink = match self {
            Self::Plain(sink) => sink,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Snappy(encoder) => encoder.finish()?,
        };
        sink.finish()
    }
}
