//! What reads and writes count towards the first component of their path, in the original's measure: characters of the
//! path as UTF-16 units, bytes of the data, and a fixed size for metadata that is read.

use crate::apply::Change;

/// What the metadata of a node counts in a read, in bytes.
// Java: DataTree.STAT_OVERHEAD_BYTES
const STAT_LEN: i64 = 6 * 8 + 5 * 4;

/// The first component of a path; none of the root.
// Java: PathUtils.getTopNamespace
pub fn namespace(path: &[u8]) -> Option<&[u8]> {
    path.split(|byte| *byte == b'/').nth(1).filter(|name| !name.is_empty())
}

/// Where and how much a change counts; the root's counts nowhere.
// Java: DataTree.updateWriteStat
pub fn written(change: &Change) -> Option<(&[u8], i64)> {
    Some((namespace(&change.path)?, as_i64(text_len(&change.path) + change.data_len)))
}

/// Where and how much a read of a node counts: `len` is of its data in bytes, or of the names of its children in units.
// Java: DataTree.updateReadStat
pub fn read(path: &[u8], len: usize) -> Option<(&[u8], i64)> {
    Some((namespace(path)?, as_i64(text_len(path) + len) + STAT_LEN))
}

fn as_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX - STAT_LEN)
}

/// Length of a text in UTF-16 units.
// Java: String.length
pub fn text_len(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let units = |byte: &u8| match byte {
        0x80..=0xbf => 0,
        0xf0.. => 2,
        _ => 1,
    };
    text.iter().map(units).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_component_counts_its_path_in_units() {
        assert_eq!(namespace(b"/"), None);
        assert_eq!(namespace(b"/a"), Some(&b"a"[..]));
        assert_eq!(read("/zoë/𝄞/b".as_bytes(), 3), Some(("zoë".as_bytes(), 9 + 3 + 68)));
        assert_eq!(read(b"/", 3), None);
        for text in ["", "/a/b", "/zoë", "/日本/𝄞"] {
            assert_eq!(text_len(text.as_bytes()), text.encode_utf16().count(), "{text}");
        }
    }
}
