//! Agreement on the order of txns, without I/O.
//!
//! [`Peer`] is one server: leader election, discovery, synchronization and broadcast of ZooKeeper's
//! protocol, as a machine of [`Input`]s and [`Output`]s. It knows no socket, file, clock or thread, and
//! a txn is opaque bytes to it, but for its header's zxid and the text in a reconfiguration. What it asks
//! of the disk is in [`storage`].
//!
//! | module | holds |
//! |---|---|
//! | `peer` | the phase a server is in; routes inputs to it |
//! | `election` | looking for a leader |
//! | `early` | learners that come before the leader knows it leads |
//! | `discovery` | a new epoch, from both ends |
//! | `synchronize`, `learners` | the leader's side of bringing learners to its history |
//! | `catch_up` | the learner's side of the same |
//! | `leader`, `learner`, `observer_master` | broadcast |
//! | `reconfig`, `transfer` | a leader that changes the ensemble, or makes way |
//! | `history` | what is logged, durable, committed, delivered |

mod catch_up;
mod config;
mod discovery;
mod dynamic_config;
mod early;
mod election;
mod history;
mod io;
mod leader;
mod learner;
mod learners;
mod local;
mod observer_master;
mod packet;
mod peer;
mod quorum;
mod reconfig;
pub mod storage;
mod synchronize;
mod transfer;

pub use config::{DurableState, Past, PeerConfig};
pub use dynamic_config::{ConfigError, EnsembleConfig, Member, PeerAddress};
pub use io::{CloseReason, Input, LinkId, LinkKind, Output, Role};
pub use leader::LearnerCounts;
pub use peer::Peer;
pub use storage::{ReadId, StorageCommand, StorageEvent};
