//! The entries of one file of the log as they lie there, damaged ones too.
//!
//! ```text
//! "ZKLG" | version i32 | dbid i64
//! entry:  Adler-32 of the payload i64 | len i32 | payload | 0x42
//! an entry without a payload: the end
//! ```
// Java: FileHeader, FileTxnLog

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use bytes::Bytes;

const MAGIC: [u8; 4] = *b"ZKLG";
const HEADER_LEN: usize = 16;
const HEAD_LEN: usize = 12;
const CLOSING: u8 = 0x42;

/// Reads a file from its beginning, and judges none of it.
#[derive(Debug)]
pub(super) struct Entries {
    input: BufReader<File>,
    header: [u8; HEADER_LEN],
    offset: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it begins.
    pub(super) offset: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// The checksum that stands there.
    pub(super) sum: i64,
    pub(super) payload: Bytes,
    /// Whether its last byte is the one that ends entries.
    pub(super) is_closed: bool,
}

#[derive(Debug)]
pub(super) enum Next {
    Entry(Entry),
    End,
    /// The file ends within an entry that begins here.
    Unfinished(u64),
    /// What comes next has no end that could be known, for this reason.
    Broken(String),
}

impl Entries {
    /// Errors: a file that cannot be read, or that ends within its header.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file =
            File::open(path).with_context(|| format!("File doesn't exist or not readable: {shown}"))?;
        let mut input = BufReader::new(file);
        let mut header = [0; HEADER_LEN];
        let read = input.read_exact(&mut header);
        read.with_context(|| format!("{shown} cannot be read up to the end of its header"))?;
        Ok(Self { input, header, offset: HEADER_LEN as u64 })
    }

    /// Whether the file begins as those of the log do.
    pub(super) fn is_log(&self) -> bool {
        self.header[..MAGIC.len()] == MAGIC
    }

    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(super) fn write_title(&self, out: &mut impl Write) -> io::Result<()> {
        let version = i32::from_be_bytes(*self.header[4..].first_chunk().expect("it has 16 bytes"));
        let id = i64::from_be_bytes(*self.header[8..].first_chunk().expect("it has 16 bytes"));
        writeln!(out, "ZooKeeper Transactional Log File with dbid {id} txnlog format version {version}")
    }

    // Java: Util.readTxnBytes
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let offset = self.offset;
        let head = self.take(HEAD_LEN)?;
        let Ok(head) = <[u8; HEAD_LEN]>::try_from(head.as_slice()) else {
            return Ok(if head.is_empty() { Next::End } else { Next::Unfinished(offset) });
        };
        let sum = i64::from_be_bytes(*head.first_chunk().expect("it has 12 bytes"));
        let claimed = i32::from_be_bytes(*head.last_chunk().expect("it has 12 bytes"));
        let len = match usize::try_from(claimed) {
            Ok(0) => return Ok(Next::End),
            Ok(len) => len,
            Err(_) => {
                return Ok(Next::Broken(format!("the txn at byte {offset} claims a length of {claimed}")));
            }
        };
        let mut payload = self.take(len + 1)?;
        if payload.len() <= len {
            return Ok(Next::Unfinished(offset));
        }
        let is_closed = payload.pop() == Some(CLOSING);
        Ok(Next::Entry(Entry { offset, end: self.offset, sum, payload: payload.into(), is_closed }))
    }

    /// So many bytes, or all that are left. A wrong length costs no more memory than the file has bytes.
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(count as u64).read_to_end(&mut bytes)?;
        self.offset += read as u64;
        Ok(bytes)
    }
}

impl Entry {
    /// The checksum of the bytes as they are.
    pub(super) fn sum_found(&self) -> i64 {
        i64::from(simd_adler32::adler32(&&self.payload[..]))
    }

    pub(super) fn is_intact(&self) -> bool {
        self.sum == self.sum_found()
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let len = i32::try_from(self.payload.len()).expect("it was read as one");
        out.write_all(&self.sum.to_be_bytes())?;
        out.write_all(&len.to_be_bytes())?;
        out.write_all(&self.payload)?;
        out.write_all(&[CLOSING])
    }
}
