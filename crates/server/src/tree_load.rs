//! Building a large tree on a thread of its own, beside the one that reads its bytes.

use std::error::Error;
use std::panic::resume_unwind;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use oxherd_proto::SessionId;
use oxherd_tree::{BodyReader, LoadError, LoadProgress, Records, Tree, TreeBuilder, TreeOptions};

/// Pieces that wait for the builder, at most.
const WAITING_MAX: usize = 2;

/// What makes a load fail: bytes that are no tree, or no thread.
pub(crate) type TreeLoadError = Box<dyn Error + Send + Sync>;

/// A [`oxherd_tree::Loader`] on two threads: the caller's reads, another one builds.
#[derive(Debug)]
pub(crate) struct TreeLoad {
    reader: BodyReader,
    builder: Option<Building>,
    built: Option<TreeBuilder>,
}

#[derive(Debug)]
struct Building {
    records: SyncSender<Records>,
    thread: JoinHandle<Result<TreeBuilder, LoadError>>,
}

impl TreeLoad {
    /// At the beginning of a body of about so many bytes, 0 if nobody knows.
    ///
    /// Errors: the system starts no thread.
    pub(crate) fn begin(options: TreeOptions, body_bytes: u64) -> Result<Self, TreeLoadError> {
        let (records, waiting) = sync_channel::<Records>(WAITING_MAX);
        let build = move || {
            let mut builder = TreeBuilder::new(options).expecting(body_bytes);
            waiting.into_iter().try_for_each(|records| builder.add(records))?;
            Ok(builder)
        };
        let thread = std::thread::Builder::new().name("tree".to_owned()).spawn(build)?;
        Ok(Self {
            reader: BodyReader::new(options),
            builder: Some(Building { records, thread }),
            built: None,
        })
    }

    /// Takes the next bytes.
    ///
    /// Errors: they, or some of those before, are no tree.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<LoadProgress, TreeLoadError> {
        let (progress, records) = self.reader.read(bytes)?;
        let goes_on = self.builder.as_ref().is_some_and(|builder| builder.records.send(records).is_ok());
        if !goes_on || matches!(progress, LoadProgress::Done { .. }) {
            self.join()?;
        }
        Ok(progress)
    }

    /// Waits for the builder; it ends with its records, or at the first that is wrong.
    fn join(&mut self) -> Result<(), LoadError> {
        let Some(Building { records, thread }) = self.builder.take() else { return Err(LoadError::Ended) };
        drop(records);
        self.built = Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        Ok(())
    }

    /// The tree, and the sessions with their timeouts in ms.
    ///
    /// Errors: the body has not come to its end.
    pub(crate) fn finish(self) -> Result<(Tree, Vec<(SessionId, i32)>), LoadError> {
        self.built.ok_or(LoadError::Incomplete)?.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use oxherd_proto::{CreateTxn, TxnHeader, TxnRecord, Zxid};
    use oxherd_tree::{WalkState, open_acl};

    use super::*;

    fn body(nodes: i64) -> (Tree, Vec<u8>) {
        let mut tree = Tree::new(TreeOptions::default());
        for at in 1..=nodes {
            let header = TxnHeader { zxid: Zxid(at), time: at, ..TxnHeader::default() };
            let path = format!("/n{at}").into();
            let data = Some(vec![7; 100].into());
            let txn =
                CreateTxn { path, data, acl: open_acl().to_vec(), ephemeral: false, parent_c_version: -1 };
            tree.apply(&header, &TxnRecord::Create(txn), &mut Vec::new());
        }
        let (walk, mut bytes) = (tree.begin_walk(vec![(SessionId(5), 4000)]), Vec::new());
        while tree.walk_slice(walk, &mut bytes, 1 << 16) == WalkState::More {}
        (tree, bytes)
    }

    #[test]
    fn a_tree_built_on_two_threads_is_the_same() {
        let (tree, bytes) = body(5000);
        let mut load = TreeLoad::begin(TreeOptions::default(), bytes.len() as u64).unwrap();
        let pieces: Vec<&[u8]> = bytes.chunks(997).collect();
        let (last, before) = pieces.split_last().unwrap();
        before.iter().for_each(|piece| assert_eq!(load.push(piece).unwrap(), LoadProgress::More));
        assert_eq!(load.push(last).unwrap(), LoadProgress::Done { consumed: last.len() });
        let (built, sessions) = load.finish().unwrap();
        assert_eq!((built.digest(), built.node_count()), (tree.digest(), tree.node_count()));
        assert_eq!(sessions, [(SessionId(5), 4000)]);
    }

    #[test]
    fn a_body_that_stops_early_is_no_tree() {
        let (_, bytes) = body(10);
        let mut load = TreeLoad::begin(TreeOptions::default(), 0).unwrap();
        assert_eq!(load.push(&bytes[..bytes.len() - 1]).unwrap(), LoadProgress::More);
        assert_eq!(load.finish().unwrap_err(), LoadError::Incomplete);
    }

    /// The builder finds it, while the reader has gone on.
    #[test]
    fn a_node_without_a_parent_ends_the_load() {
        let (_, mut bytes) = body(10);
        let at = bytes.windows(4).position(|name| name == b"/n10").unwrap();
        bytes[at..at + 4].copy_from_slice(b"/n/0");
        let mut load = TreeLoad::begin(TreeOptions::default(), 0).unwrap();
        assert!(load.push(&bytes).unwrap_err().to_string().contains("has no parent"));
    }
}
