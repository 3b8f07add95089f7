//! Node digests, in two steps so that a node's data is summed once however often its metadata changes.
//!
//! ```text
//! CRC32 of   path ("" for the root) | data, unless null
//!            czxid mzxid pzxid ctime mtime (longs) | version cversion aversion (ints) | owner (long)
//! ```
// Java: DigestCalculator.calculateDigest

use crc32fast::Hasher;
use oxherd_proto::{Jute, StatPersisted};

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
    let mut bytes = Vec::with_capacity(60);
    for zxid in [stat.czxid, stat.mzxid, stat.pzxid] {
        zxid.encode(&mut bytes);
    }
    stat.ctime.encode(&mut bytes);
    stat.mtime.encode(&mut bytes);
    for version in [stat.version, stat.cversion, stat.aversion] {
        version.encode(&mut bytes);
    }
    stat.ephemeral_owner.encode(&mut bytes);
    let mut hasher = Hasher::new_with_initial(content);
    hasher.update(&bytes);
    u64::from(hasher.finalize())
}
