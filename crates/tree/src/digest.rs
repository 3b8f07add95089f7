//! The digest: a sum over the nodes, kept as they change.

use oxherd_proto::{Jute, StatPersisted};

/// Version of the rule below, as txns and snapshots carry it.
// Java: DigestCalculator.DIGEST_VERSION
pub const DIGEST_VERSION: i32 = 2;

/// A node's share of the digest: CRC-32 of path, data and 60 bytes of metadata.
///
/// Nodes below `/zookeeper` count 0, for their data may differ between servers; the root counts
/// under the empty path.
// Java: DigestCalculator.calculateDigest
pub fn node_digest(path: &[u8], data: Option<&[u8]>, stat: &StatPersisted) -> u64 {
    if path.starts_with(b"/zookeeper/") {
        return 0;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(if path == b"/" { b"" } else { path });
    crc.update(data.unwrap_or_default());
    crc.update(&stat_bytes(stat));
    u64::from(crc.finalize())
}

fn stat_bytes(stat: &StatPersisted) -> [u8; 60] {
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    let ints = [stat.version, stat.cversion, stat.aversion];
    let mut out = [0; <StatPersisted as Jute>::LEN_MIN];
    for (place, long) in out.chunks_exact_mut(8).zip(longs) {
        place.copy_from_slice(&long.to_be_bytes());
    }
    for (place, int) in out[40..].chunks_exact_mut(4).zip(ints) {
        place.copy_from_slice(&int.to_be_bytes());
    }
    out[52..].copy_from_slice(&stat.ephemeral_owner.0.to_be_bytes());
    out
}
