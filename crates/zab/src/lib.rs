//! Agreement on the order of txns, without I/O.
//!
//! [`Peer`] is one server: leader election, discovery, synchronization and broadcast of ZooKeeper's
//! protocol, as a machine of [`Input`]s and [`Output`]s. It knows no socket, file, clock or thread, and
//! a txn is opaque bytes to it. What it asks of the disk is in [`storage`].

mod history;
mod io;
mod peer;
pub mod storage;

pub use io::{CloseReason, Input, LinkId, LinkKind, Output, Role};
pub use peer::Peer;
pub use storage::{ReadId, StorageCommand, StorageEvent};
