//! Node digests, in two steps so that a node's data is summed once however often its metadata changes.
//!
//! ```text
//! CRC32 of   path ("" for the root) | data, unless null
//!            czxid mzxid pzxid ctime mtime (longs) | version cversion aversion (ints) | owner (long)
//! ```
// Java: DigestCalculator.calculateDigest

use crc32fast::Hasher;
use oxherd_proto::StatPersisted;

const UNCOUNTED: &[u8] = b"/zookeeper/";

/// The sum of what changes rarely.
pub(crate) fn of_content(path: &[u8], data: Option<&[u8]>) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(if path == b"/" { b"" } else { path });
    hasher.update(data.unwrap_or_default());
    hasher.finalize()
}

/// The node's share of the tree digest; nodes under `/zookeeper` have none.
pub(crate) fn of_node(path: &[u8], content: u32, stat: &StatPersisted) -> u64 {
    if path.starts_with(UNCOUNTED) {
        return 0;
    }
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    let ints = [stat.version, stat.cversion, stat.aversion];
    let mut bytes = [0; 60];
    for (place, long) in bytes.chunks_exact_mut(8).zip(longs) {
        place.copy_from_slice(&long.to_be_bytes());
    }
    for (place, int) in bytes[40..].chunks_exact_mut(4).zip(ints) {
        place.copy_from_slice(&int.to_be_bytes());
    }
    bytes[52..].copy_from_slice(&stat.ephemeral_owner.0.to_be_bytes());
    let mut hasher = Hasher::new_with_initial(content);
    hasher.update(&bytes);
    u64::from(hasher.finalize())
}
