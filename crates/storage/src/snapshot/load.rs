//! Reading a snapshot and checking all of it.

use std::io::{self, Read};
use std::path::Path;

use oxherd_proto::Zxid;
use simd_adler32::Adler32;

use super::decode::{Decoder, READ_LEN};
use super::{BodyProgress, DIGEST_VERSION, HEADER, SEAL_END, SEAL_LEN, Seal, SnapshotBody, SnapshotFile};
use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;

const MAGIC_LEN: usize = 4;
/// Bytes behind the body, at most: three seals, and a digest as text in the oldest form.
const TAIL_LEN_MAX: usize = 1 << 10;
/// Bytes of the last zxid with its seal.
const LAST_ZXID_LEN: usize = 8 + SEAL_LEN;
const REPAIR: &str = "move the file away to start from an older snapshot and its logs, or empty the directories of \
    this server to learn everything from the leader of its ensemble";

/// Reads a snapshot into `body`, checks every seal and answers what they seal.
///
/// The body gets bytes before their checksum is known: nothing it holds is to be used unless this succeeds.
/// Files of releases that wrote no digest or last zxid
/// are whole without.
///
/// Errors: [`StorageError::Damaged`] for whatever is not as a server writes it, bytes after the end included.
// Java: FileSnap.deserialize
pub fn load_snapshot<D: Disk>(
    disk: &D,
    file: &SnapshotFile,
    body: &mut dyn SnapshotBody,
) -> Result<Seal, StorageError> {
    let opened = disk.open_stream(&file.path).map_err(StorageError::io("open", &file.path))?;
    let decoder = Decoder::new(opened, file.compression);
    let decoder = decoder.map_err(|error| read_error(&file.path, 0, error))?;
    let mut input =
        Input { decoder, path: &file.path, buffer: vec![0; READ_LEN], checksum: Adler32::new(), plain: 0 };
    input.check_header()?;
    let rest = input.pass_body(body)?;
    let tail = input.read_tail(rest)?;
    body.progress(input.decoder.position());
    let mut tail = Tail { bytes: &tail, input: &mut input };
    tail.check()
}

/// What the decoder says of broken bytes is damage; the rest is the system's.
fn read_error(path: &Path, offset: u64, error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            damaged(path, offset, error.to_string())
        }
        _ => StorageError::io("read", path)(error),
    }
}

fn damaged(path: &Path, offset: u64, reason: impl Into<String>) -> StorageError {
    StorageError::Damaged { path: path.to_owned(), offset, reason: reason.into(), repair: REPAIR }
}

struct Input<'a, F> {
    decoder: Decoder<F>,
    path: &'a Path,
    buffer: Vec<u8>,
    checksum: Adler32,
    /// Plain bytes in the checksum.
    plain: u64,
}

impl<F: DiskFile> Input<'_, F> {
    fn damaged(&self, reason: impl Into<String>) -> StorageError {
        damaged(self.path, self.plain, reason)
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.checksum.write(bytes);
        self.plain += bytes.len() as u64;
    }

    fn check_header(&mut self) -> Result<(), StorageError> {
        let mut header = [0; HEADER.len()];
        self.decoder.read_exact(&mut header).map_err(|error| read_error(self.path, 0, error))?;
        if header[..MAGIC_LEN] != HEADER[..MAGIC_LEN] {
            return Err(self.damaged("it does not begin as a snapshot does"));
        }
        self.take_in(&header);
        Ok(())
    }

    /// Pushes the body; answers what was read beyond it.
    fn pass_body(&mut self, body: &mut dyn SnapshotBody) -> Result<Vec<u8>, StorageError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let count =
                self.decoder.read(&mut buffer).map_err(|error| read_error(self.path, self.plain, error))?;
            if count == 0 {
                return Err(self.damaged("it ends within the tree"));
            }
            let pushed = body.push(&buffer[..count]).map_err(|error| self.damaged(error.to_string()))?;
            body.progress(self.decoder.position());
            match pushed {
                BodyProgress::More => self.take_in(&buffer[..count]),
                BodyProgress::Done { consumed } => {
                    assert!(consumed <= count, "a body consumes no more than it was given");
                    self.take_in(&buffer[..consumed]);
                    return Ok(buffer[consumed..count].to_vec());
                }
            }
        }
    }

    /// All bytes behind the body, `rest` first. Reads to the very end, so that a packed stream checks its own sums.
    fn read_tail(&mut self, mut rest: Vec<u8>) -> Result<Vec<u8>, StorageError> {
        let mut buffer = [0; TAIL_LEN_MAX];
        while rest.len() <= TAIL_LEN_MAX {
            let count =
                self.decoder.read(&mut buffer).map_err(|error| read_error(self.path, self.plain, error))?;
            if count == 0 {
                return Ok(rest);
            }
            rest.extend_from_slice(&buffer[..count]);
        }
        Err(self.damaged("more bytes follow the tree than seals can have"))
    }
}

/// The seals, one after the other.
struct Tail<'a, 'b, F> {
    bytes: &'a [u8],
    input: &'a mut Input<'b, F>,
}

impl<F: DiskFile> Tail<'_, '_, F> {
    fn check(&mut self) -> Result<Seal, StorageError> {
        let mut seal = Seal::default();
        self.check_seal()?;
        // A server that writes no digest may still write the last zxid: the length tells.
        if !matches!(self.bytes.len(), 0 | LAST_ZXID_LEN) {
            seal.digest = self.take_digest()?;
            self.check_seal()?;
        }
        if !self.bytes.is_empty() {
            seal.last_zxid = Some(Zxid(self.take_i64()?));
            self.check_seal()?;
        }
        if !self.bytes.is_empty() {
            return Err(self.input.damaged("bytes follow the last seal"));
        }
        Ok(seal)
    }

    // Java: SnapStream.checkSealIntegrity
    fn check_seal(&mut self) -> Result<(), StorageError> {
        let expected = i64::from(self.input.checksum.finish());
        let found = self.take_i64()?;
        if found != expected {
            return Err(self.input.damaged("its checksum does not match"));
        }
        if self.take(SEAL_END.len())? != SEAL_END {
            return Err(self.input.damaged("a seal does not end as one"));
        }
        Ok(())
    }

    // Java: DataTree.ZxidDigest.deserialize, deserializeZxidDigest
    fn take_digest(&mut self) -> Result<Option<(Zxid, u64)>, StorageError> {
        let zxid = Zxid(self.take_i64()?);
        let version = self.take_i32()?;
        if version < DIGEST_VERSION {
            // The first form of a digest: a text, with its length before it.
            let len = self.take_i32()?;
            self.take(usize::try_from(len).unwrap_or(0))?;
            return Ok(None);
        }
        let digest = self.take_i64()?.cast_unsigned();
        Ok((zxid > Zxid::ZERO && version == DIGEST_VERSION).then_some((zxid, digest)))
    }

    fn take_i64(&mut self) -> Result<i64, StorageError> {
        let bytes = self.take(8)?.first_chunk().expect("eight were taken");
        Ok(i64::from_be_bytes(*bytes))
    }

    fn take_i32(&mut self) -> Result<i32, StorageError> {
        let bytes = self.take(4)?.first_chunk().expect("four were taken");
        Ok(i32::from_be_bytes(*bytes))
    }

    fn take(&mut self, count: usize) -> Result<&[u8], StorageError> {
        let Some((now, later)) = self.bytes.split_at_checked(count) else {
            return Err(self.input.damaged("it ends within its seals"));
        };
        self.bytes = later;
        self.input.take_in(now);
        Ok(now)
    }
}
