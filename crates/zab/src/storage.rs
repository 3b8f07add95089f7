//! What agreement asks of storage, and what storage answers.
//!
//! Commands are carried out in the order they are given, one queue. Each is answered by exactly one
//! event, except [`StorageCommand::Append`]: one [`StorageEvent::Synced`] answers every append up to
//! its zxid, so a batch costs one sync. An event means *durable*: data and directory entries synced.
//! After [`StorageEvent::Failed`] nothing more is carried out; the replica halts, for a sync that
//! failed once may hide lost pages for ever.

use bytes::Bytes;
use oxherd_proto::{Epoch, Zxid};

use crate::LinkId;

/// Something to do with the files of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageCommand {
    /// Write this txn at the end of the log. Zxids grow.
    Append {
        /// The txn's zxid.
        zxid: Zxid,
        /// Header, record and digest as they are stored and sent.
        payload: Bytes,
    },
    /// Cut the log behind this zxid, durably. A tree that holds later txns is rebuilt from disk before
    /// the answer, to hold the log up to this zxid and nothing more; snapshots named after a later zxid
    /// are no longer of use then. When that cannot be done the answer names the zxid the disk is left at,
    /// and the server will ask its leader for a snapshot.
    Truncate(Zxid),
    /// Write the file `acceptedEpoch`.
    StoreAcceptedEpoch(Epoch),
    /// Write the file `currentEpoch`.
    StoreCurrentEpoch(Epoch),
    /// Take the snapshot body that follows the SNAP packet on this link, up to its closing mark; make
    /// it durable as the snapshot of `zxid`; make the logs before it no part of the history; replace
    /// the tree. Only then answer. The driver reads the link's next packet after the mark.
    InstallSnapshot {
        /// Where the body comes from.
        link: LinkId,
        /// The zxid the snapshot is named after.
        zxid: Zxid,
    },
    /// Read txns from the log files, oldest first.
    ReadLog {
        /// Comes back in the answer.
        id: ReadId,
        /// Start with the record of exactly this zxid; if there is none, answer `None`.
        from: Zxid,
        /// Stop after this zxid.
        through: Zxid,
    },
}

/// Names one read of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// What storage has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageEvent {
    /// Every append up to this zxid is durable.
    Synced(Zxid),
    /// The log ends at this zxid, and the tree holds nothing later. Another zxid than was asked for means
    /// that the log cannot be cut there.
    Truncated(Zxid),
    /// `acceptedEpoch` is durable.
    AcceptedEpochStored(Epoch),
    /// `currentEpoch` is durable.
    CurrentEpochStored(Epoch),
    /// The snapshot is durable and is the tree now.
    SnapshotInstalled(Zxid),
    /// The snapshot body could not be taken: the link broke or the bytes are bad. The former tree is
    /// kept and so are the files.
    SnapshotRefused(Zxid),
    /// The records asked for, or `None` when they are not there, or too many bytes to be worth it.
    LogRead {
        /// From the command.
        id: ReadId,
        /// In zxid order.
        txns: Option<Vec<(Zxid, Bytes)>>,
    },
    /// The disk failed, in words for the operator. The server must stop.
    Failed(String),
}
