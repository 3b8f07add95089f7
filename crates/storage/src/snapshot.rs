//! Snapshots: the tree at one point, as a file.
//!
//! ```text
//! "ZKSN" | version i32 = 2 | dbid i64 = -1
//! body: sessions, ACL table, nodes, "/"                         (the tree crate's)
//! seal: Adler-32 i64 of all bytes so far | ustr "/"
//! optional: zxid i64 | digest version i32 = 2 | digest i64 | seal
//! optional: last zxid i64 | seal
//! ```
//!
//! Compression wraps all of it; checksums are over the plain bytes, earlier seals included.
// Java: FileSnap, SnapStream

mod decode;
mod encode;
mod load;
mod snappy;
mod writer;

use std::error::Error;
use std::path::{Path, PathBuf};

use oxherd_proto::Zxid;

use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;

pub use load::load_snapshot;
pub use writer::SnapshotWriter;

const PREFIX: &str = "snapshot.";
/// What the temporary file is called: no snapshot in the eyes of any release.
const TEMPORARY_PREFIX: &str = "oxherd-snapshot.";
const TEMPORARY_SUFFIX: &str = ".tmp";
/// The same for a leader's tree while it comes; [`purge`](crate::purge()) leaves it, whatever its zxid.
const RECEIVED_PREFIX: &str = "oxherd-received-";

const HEADER: [u8; 16] = [b'Z', b'K', b'S', b'N', 0, 0, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255];
/// How each seal ends: the string "/".
const SEAL_END: [u8; 5] = [0, 0, 0, 1, b'/'];
const SEAL_LEN: usize = 8 + SEAL_END.len();
const DIGEST_VERSION: i32 = 2;
/// Fewer bytes are no snapshot.
// Java: SnapStream.isValidCheckedStream
const PLAIN_LEN_MIN: u64 = 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How a snapshot file is packed.
// Java: SnapStream.StreamMode
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// One gzip stream.
    Gzip,
    /// The framing of xerial's snappy streams.
    Snappy,
}

impl Compression {
    /// From the value of `snapshot.compression.method`, in any case; `None` for a method that is not known.
    pub fn from_method(method: &str) -> Option<Self> {
        match method.to_ascii_lowercase().as_str() {
            "" => Some(Self::None),
            "gz" => Some(Self::Gzip),
            "snappy" => Some(Self::Snappy),
            _ => None,
        }
    }

    /// What follows the zxid in the file's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Snappy => ".snappy",
        }
    }
}

/// The parts behind the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// The tree's digest as of a zxid. To write: `None` leaves the part out. Read: `None` also for an empty
    /// one (zxid 0) and for one of another version, which nobody can compare.
    pub digest: Option<(Zxid, u64)>,
    /// The last zxid that was applied when the file was begun; `None` leaves the part out.
    pub last_zxid: Option<Zxid>,
}

/// Takes the body of a snapshot in pieces.
pub trait SnapshotBody {
    /// The next bytes, at least one. An error says what is wrong with them.
    fn push(&mut self, bytes: &[u8]) -> Result<BodyProgress, Box<dyn Error + Send + Sync>>;
    /// Hears how many bytes of the file were read so far, packed ones if it is packed.
    fn progress(&mut self, _done: u64) {}
}

/// Whether a body is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyProgress {
    /// More bytes are needed.
    More,
    /// The body ended within the bytes just pushed.
    Done {
        /// How many of them belong to it.
        consumed: usize,
    },
}

/// A snapshot file by its name; whether it is whole is another matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Where it is.
    pub path: PathBuf,
    /// The zxid in its name: the tree holds at least all up to it.
    pub zxid: Zxid,
    /// Bytes on disk.
    pub len: u64,
    /// How it is packed, by its name.
    pub compression: Compression,
}

/// The snapshot files of a directory, newest first.
// Java: FileSnap.findNRecentSnapshots, Util.sortDataDir
pub fn snapshots<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<SnapshotFile>, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let mut files = Vec::new();
    for name in names {
        let Some((zxid, compression)) = parse_name(&name) else { continue };
        let path = dir.join(name);
        let file = disk.open(&path).map_err(StorageError::io("open", &path))?;
        let len = file.len().map_err(StorageError::io("measure", &path))?;
        files.push(SnapshotFile { path, zxid, len, compression });
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.zxid));
    Ok(files)
}

/// A quick look at both ends of the file, enough to pass over one that was never finished.
// Java: SnapStream.isValidSnapshot
pub fn looks_whole<D: Disk>(disk: &D, file: &SnapshotFile) -> Result<bool, StorageError> {
    let opened = disk.open(&file.path).map_err(StorageError::io("open", &file.path))?;
    let (expected, offset): (&[u8], u64) = match file.compression {
        Compression::None if file.len < PLAIN_LEN_MIN => return Ok(false),
        Compression::None => (&SEAL_END, file.len - SEAL_END.len() as u64),
        Compression::Gzip => (&GZIP_MAGIC, 0),
        Compression::Snappy => (&snappy::MAGIC, 0),
    };
    let mut found = [0; 8];
    let found = &mut found[..expected.len()];
    let count = opened.read_at(found, offset).map_err(StorageError::io("read", &file.path))?;
    Ok(&found[..count] == expected)
}

/// The zxid of a snapshot that was being written when a server died, ours or Java's.
pub(crate) fn parse_temporary_name(name: &str) -> Option<Zxid> {
    let name = name.strip_suffix(TEMPORARY_SUFFIX)?;
    let (zxid, _) = parse_name(name.strip_prefix("oxherd-").unwrap_or(name))?;
    Some(zxid)
}

// Java: Util.getZxidFromName; it also takes names with any other suffix, `.tmp` among them
fn parse_name(name: &str) -> Option<(Zxid, Compression)> {
    let rest = name.strip_prefix(PREFIX)?;
    let (hex, method) = rest.split_once('.').unwrap_or((rest, ""));
    let compression = Compression::from_method(method)?;
    (!rest.ends_with('.')).then_some(())?;
    let zxid = i64::from_str_radix(hex, 16).ok()?;
    (zxid >= 0).then_some((Zxid(zxid), compression))
}

fn file_name(zxid: Zxid, compression: Compression) -> String {
    format!("{PREFIX}{:x}{}", zxid.0, compression.suffix())
}

/// Removes what a server left that died while a leader's tree came.
pub fn remove_received<D: Disk>(disk: &D, dir: &Path) -> Result<(), StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let left = |name: &&String| name.starts_with(RECEIVED_PREFIX) && name.ends_with(TEMPORARY_SUFFIX);
    for name in names.iter().filter(left) {
        let path = dir.join(name);
        disk.remove(&path).map_err(StorageError::io("remove", &path))?;
    }
    Ok(())
}

fn received_name(link: u64, compression: Compression) -> String {
    format!("{RECEIVED_PREFIX}{link}{}{TEMPORARY_SUFFIX}", compression.suffix())
}

fn temporary_name(zxid: Zxid, compression: Compression) -> String {
    format!("{TEMPORARY_PREFIX}{:x}{}{TEMPORARY_SUFFIX}", zxid.0, compression.suffix())
}

#[cfg(test)]
mod tests;
