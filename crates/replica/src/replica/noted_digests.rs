//! Compares the tree with what the leader notes about its own behind each txn.

use oxherd_proto::Zxid;

/// Whether the tree was the leader's when a txn last told.
///
/// A tree that a Java leader sends is taken while nodes change, so it differs until all txns of that time
/// are applied again. They are counted as there, but a difference behind an agreement is a fault.
// Java: DataTree.compareDigest
#[derive(Debug, Default)]
pub(super) struct NotedDigests {
    agreed: Option<bool>,
}

impl NotedDigests {
    /// Whether the tree is another one than the leader's.
    pub(super) fn differs(&mut self, zxid: Zxid, noted: u64, found: u64) -> bool {
        let differs = noted != found;
        match self.agreed.replace(!differs) {
            Some(true) if differs => tracing::error!(
                %zxid,
                "from this txn on the tree's digest is not the leader's: compare this server with the others, stop \
                 it and remove its data, so that it gets a tree that is whole"
            ),
            None if differs => tracing::warn!(
                %zxid,
                "the tree's digest is not the leader's; unless the leader sent the tree while it changed, this \
                 server's data is another"
            ),
            _ => {}
        }
        differs
    }

    /// The tree is another one from here on.
    pub(super) fn restart(&mut self) {
        self.agreed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_counts_and_a_new_tree_begins_anew() {
        let mut digests = NotedDigests::default();
        let verdicts = [(7, 7), (7, 8), (8, 8)].map(|(noted, found)| digests.differs(Zxid(1), noted, found));
        assert_eq!((verdicts, digests.agreed), ([false, true, false], Some(true)));
        digests.restart();
        assert_eq!(digests.agreed, None);
    }
}
