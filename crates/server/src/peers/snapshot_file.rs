//! The file of a tree that a leader sends, written while it comes.

use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use oxherd_proto::Zxid;
use oxherd_storage::{Compression, OsDisk, SnapshotWriter, StorageError};
use oxherd_zab::LinkId;

/// Pieces that wait for the disk, at most.
const WAITING_MAX: usize = 4;

/// Where snapshots go, and how they are packed.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotPlace {
    pub(crate) dir: PathBuf,
    pub(crate) compression: Compression,
}

/// A thread that writes what it is given.
#[derive(Debug)]
pub(super) struct FileWriting {
    pieces: SyncSender<Bytes>,
    thread: JoinHandle<Result<SnapshotWriter<OsDisk>, StorageError>>,
}

impl FileWriting {
    /// Errors: the system starts no thread.
    pub(super) fn begin(place: &SnapshotPlace, zxid: Zxid, link: LinkId) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Bytes>(WAITING_MAX);
        let SnapshotPlace { dir, compression } = place.clone();
        let write = move || {
            let mut file = SnapshotWriter::begin_received(OsDisk, &dir, zxid, compression, link.0)?;
            waiting.into_iter().try_for_each(|piece| file.write(&piece))?;
            Ok(file)
        };
        let thread = std::thread::Builder::new().name("snapshot-in".to_owned()).spawn(write)?;
        Ok(Self { pieces, thread })
    }

    /// The next piece of the body. What goes wrong is told at the end.
    pub(super) fn push(&self, piece: Bytes) {
        let _ = self.pieces.send(piece);
    }

    /// The file with the whole body; without seal, name or sync yet.
    pub(super) fn end(self) -> Result<SnapshotWriter<OsDisk>, StorageError> {
        drop(self.pieces);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}
