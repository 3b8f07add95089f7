//! Txn logs, snapshots and epoch files, byte for byte as ZooKeeper keeps them.
//!
//! Blocking code over a [`Disk`]; no thread and no clock of its own. [`recover()`] reads what a server
//! starts from, [`Log`] appends and syncs, [`SnapshotWriter`] writes snapshots, [`purge()`] removes what is
//! no longer needed. What is durable is so with its directory entry.

mod direct;
mod disk;
mod durable;
mod epoch;
mod error;
mod keep;
mod layout;
mod lock;
mod log;
mod os_disk;
mod purge;
mod range;
mod reader;
mod recover;
mod repair;
mod scan;
mod sim_disk;
mod snapshot;
mod survey;
mod truncate;

pub use disk::{Disk, DiskFile};
pub use epoch::{EpochFile, Epochs, find_epochs, read_epoch, read_epochs, write_epoch};
pub use error::StorageError;
pub use layout::Layout;
pub use lock::DirLock;
pub use log::{Log, LogOptions};
pub use os_disk::{OsDisk, OsFile};
pub use purge::{Purgeable, purge, purgeable};
pub use range::read_range;
pub use reader::{LogFile, LogReader, LogRecord, log_files, log_files_from};
pub use recover::{Recovery, RecoverySink, recover};
pub use repair::Repair;
pub use scan::{ScanEnd, TornTail, cut, scan};
pub use sim_disk::{CrashOutcome, Fault, SimDisk, SimFile};
pub use snapshot::{
    BodyProgress, Compression, Seal, SnapshotBody, SnapshotFile, SnapshotWriter, load_snapshot, looks_whole,
    remove_received, snapshots,
};
pub use survey::{LogState, Problem, SnapshotState, Survey};
