//! The digest: a sum over the nodes, kept as they change.

use oxherd_proto::{Jute, StatPersisted};
use smallvec::SmallVec;

/// Version of the rule below, as txns and snapshots carry it.
// Java: DigestCalculator.DIGEST_VERSION
pub const DIGEST_VERSION: i32 = 2;

/// Bytes that are put together before they are summed.
const SHORT_LEN: usize = 512;

/// A node's share of the digest: CRC-32 of path, data and 60 bytes of metadata.
///
/// Nodes below `/zookeeper` count 0, for their data may differ between servers; the root counts
/// under the empty path.
// Java: DigestCalculator.calculateDigest
pub fn node_digest(path: &[u8], data: Option<&[u8]>, stat: &StatPersisted) -> u64 {
    if path.starts_with(b"/zookeeper/") {
        return 0;
    }
    let (path, data, stat) =
        (if path == b"/" { b"" } else { path }, data.unwrap_or_default(), stat_bytes(stat));
    let len = path.len() + data.len() + stat.len();
    if len <= SHORT_LEN {
        // The sum of one longer run costs far less than that of three short ones.
        let mut bytes = SmallVec::<[u8; SHORT_LEN]>::new();
        [path, data, &stat].into_iter().for_each(|part| bytes.extend_from_slice(part));
        return u64::from(crc32fast::hash(&bytes));
    }
    let mut crc = crc32fast::Hasher::new();
    [path, data, &stat].into_iter().for_each(|part| crc.update(part));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_the_same_put_together_or_part_by_part() {
        let stat = StatPersisted::default();
        for len in [0, 1, 100, SHORT_LEN - 64, SHORT_LEN - 63, SHORT_LEN - 62, 4096] {
            let data: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
            let mut crc = crc32fast::Hasher::new();
            [&b"/abc"[..], &data, &stat_bytes(&stat)].into_iter().for_each(|part| crc.update(part));
            assert_eq!(node_digest(b"/abc", Some(&data), &stat), u64::from(crc.finalize()), "{len} bytes");
        }
    }
}
