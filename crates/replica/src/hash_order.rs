//! The order in which the original lists what it keeps in hash sets.
//!
//! No client may rely on it, yet people compare recorded answers, and nothing is lost by giving the same.
//! Not followed: a set keeps the table of its largest size ever, and paths of equal hash come in the order
//! in which they were made; here the present size decides, then the order given.

use oxherd_proto::Str;

/// Buckets of a set that grew by itself from empty.
const TABLE_LEN_MIN: usize = 16;

/// Sorts as the copy of a Java `HashSet` of these paths would iterate.
// Java: DataTree.getEphemerals, HashMap.putMapEntries
pub(crate) fn sort(paths: &mut [Str]) {
    let grown_mask = grown_len(paths.len()) - 1;
    let copied_mask = copied_len(paths.len()) - 1;
    paths.sort_by_cached_key(|path| {
        let hash = spread(path) as usize;
        (hash & copied_mask, hash & grown_mask)
    });
}

/// Doubles whenever more than three quarters are full.
fn grown_len(count: usize) -> usize {
    let mut len = TABLE_LEN_MIN;
    while count > len / 4 * 3 {
        len *= 2;
    }
    len
}

/// A copy is sized at once, for what it holds.
fn copied_len(count: usize) -> usize {
    (count * 4 / 3 + 1).next_power_of_two()
}

/// A string's hash over its UTF-16 units, with the upper half folded in.
// Java: String.hashCode, HashMap.hash
fn spread(path: &Str) -> u32 {
    let text = String::from_utf8_lossy(path);
    let hash =
        text.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(paths: &[&'static str]) -> Vec<Str> {
        let mut paths: Vec<Str> = paths.iter().map(|path| Str::from_static(path)).collect();
        sort(&mut paths);
        paths
    }

    #[test]
    fn a_recorded_answer_of_the_original_comes_out_as_it_was() {
        let recorded = ["/cli/eseq-0000000005", "/cli/eph"].map(Str::from_static);
        assert_eq!(sorted(&["/cli/eph", "/cli/eseq-0000000005"]), recorded);
    }

    #[test]
    fn tables_grow_past_three_quarters_and_copies_fit() {
        assert_eq!([12, 13, 24, 25].map(grown_len), [16, 32, 32, 64]);
        assert_eq!([1, 2, 3, 12].map(copied_len), [2, 4, 8, 32]);
    }
}
