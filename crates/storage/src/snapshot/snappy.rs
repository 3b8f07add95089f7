//! Snappy streams as xerial's Java library frames them.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 = 1 | oldest compatible version i32 = 1
//! then blocks: length i32 | that many bytes of raw snappy
//! ```

use std::io::{self, Read, Write};

pub(super) const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// Plain bytes in a block; the library's default.
const BLOCK_LEN: usize = 32 << 10;
/// Largest block taken, plain or packed, in bytes.
const BLOCK_LEN_MAX: usize = 64 << 20;

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Packs what is written.
#[derive(Debug)]
pub(super) struct Encoder<W> {
    out: W,
    encoder: snap::raw::Encoder,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let packed = vec![0; 4 + snap::raw::max_compress_len(BLOCK_LEN)];
        Ok(Self { out, encoder: snap::raw::Encoder::new(), plain: Vec::with_capacity(BLOCK_LEN), packed })
    }

    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_LEN - self.plain.len()));
            self.plain.extend_from_slice(now);
            bytes = later;
            if self.plain.len() == BLOCK_LEN {
                self.write_block()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.plain.is_empty() {
            self.write_block()?;
        }
        Ok(self.out)
    }

    fn write_block(&mut self) -> io::Result<()> {
        let len = self.encoder.compress(&self.plain, &mut self.packed[4..]).map_err(io::Error::from)?;
        let head = u32::try_from(len).map_err(|_| invalid("a snappy block is too long"))?;
        self.packed[..4].copy_from_slice(&head.to_be_bytes());
        self.plain.clear();
        self.out.write_all(&self.packed[..4 + len])
    }
}

/// Unpacks what is read.
#[derive(Debug)]
pub(super) struct Decoder<R> {
    input: R,
    decoder: snap::raw::Decoder,
    packed: Vec<u8>,
    plain: Vec<u8>,
    /// Where the bytes not yet handed out begin in `plain`.
    at: usize,
    len: usize,
}

impl<R: Read> Decoder<R> {
    /// Checks the header.
    pub(super) fn new(mut input: R) -> io::Result<Self> {
        let mut header = [0; HEADER.len()];
        input.read_exact(&mut header)?;
        if header != HEADER {
            return Err(invalid("it does not begin as a snappy stream does"));
        }
        let decoder = snap::raw::Decoder::new();
        Ok(Self { input, decoder, packed: Vec::new(), plain: Vec::new(), at: 0, len: 0 })
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.input
    }

    /// Has the next block in `plain`; false at the end of the stream.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut head = [0; 4];
        let have = self.input.read(&mut head)?;
        if have == 0 {
            return Ok(false);
        }
        self.input.read_exact(&mut head[have..])?;
        let packed_len = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
        if packed_len > BLOCK_LEN_MAX {
            return Err(invalid("a snappy block is too long"));
        }
        self.packed.resize(packed_len, 0);
        self.input.read_exact(&mut self.packed)?;
        let broken = |_| invalid("a snappy block is broken");
        let plain_len = snap::raw::decompress_len(&self.packed).map_err(broken)?;
        if plain_len > BLOCK_LEN_MAX {
            return Err(invalid("a snappy block is too long"));
        }
        if self.plain.len() < plain_len {
            self.plain.resize(plain_len, 0);
        }
        self.at = 0;
        self.len = self.decoder.decompress(&self.packed, &mut self.plain).map_err(broken)?;
        Ok(true)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.len {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.len - self.at);
        buffer[..count].copy_from_slice(&self.plain[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
