//! The way of a file's bytes to plain ones.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::{Compression, snappy};
use crate::disk::DiskFile;

/// Bytes asked of the disk at a time.
pub(super) const READ_LEN: usize = 1 << 20;

/// Reads a file from its beginning.
#[derive(Debug)]
pub(super) struct FileSource<F> {
    file: F,
    offset: u64,
}

impl<F: DiskFile> Read for FileSource<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Unpacks by the method in the file's name.
#[derive(Debug)]
pub(super) enum Decoder<F> {
    Plain(FileSource<F>),
    Gzip(Box<MultiGzDecoder<BufReader<FileSource<F>>>>),
    Snappy(Box<snappy::Decoder<BufReader<FileSource<F>>>>),
}

impl<F: DiskFile> Decoder<F> {
    pub(super) fn new(file: F, compression: Compression) -> io::Result<Self> {
        let source = FileSource { file, offset: 0 };
        let buffered = |source| BufReader::with_capacity(READ_LEN, source);
        Ok(match compression {
            Compression::None => Self::Plain(source),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(buffered(source)))),
            Compression::Snappy => Self::Snappy(Box::new(snappy::Decoder::new(buffered(source))?)),
        })
    }

    /// Bytes of the file read so far.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Plain(source) => source.offset,
            Self::Gzip(decoder) => decoder.get_ref().get_ref().offset,
            Self::Snappy(decoder) => decoder.get_ref().get_ref().offset,
        }
    }
}

impl<F: DiskFile> Read for Decoder<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Snappy(decoder) => decoder.read(buffer),
        }
    }
}
