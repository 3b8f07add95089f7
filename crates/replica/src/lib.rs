//! One server without I/O: agreement, tree, sessions and clients.
//!
//! [`Replica`] takes inputs and gives outputs; [`Connection`] is one client link; [`Exclusive`] is the
//! step in which committed txns meet the tree and their events and replies reach the links. The shell
//! (or the simulator) owns sockets, files, threads and clocks; nothing here knows them.

mod audit;
mod auth;
mod batch;
mod clock;
mod commit;
mod connection;
mod containers;
mod hash_order;
mod input;
mod limits;
mod options;
mod overlay;
mod password;
mod prepare;
mod read;
mod replica;
mod session;
mod snapshot;
mod traffic;

pub use audit::{AUDIT_TARGET, AuditResult, audit_server};
pub use auth::{AuthOptions, DigestAlgorithm, Scheme, ip_identities};
pub use batch::{BatchOptions, Batching};
pub use clock::{Clock, Now};
pub use commit::Exclusive;
pub use connection::{Close, Connection, OUTBOX_BYTES_MAX, OUTBOX_PAUSE_BYTES, Side, WAITING_MAX};
pub use containers::ContainerOptions;
pub use input::{ClientCommand, Clients, Connect, Input, Output, SharedWatches};
pub use limits::{
    ConnectThrottleOptions, Grant, LargeRequestOptions, LimitOptions, Outstanding, RequestThrottleOptions,
};
pub use options::ClientOptions;
pub use prepare::{Origin, PrepareOptions, WriteRequest};
pub use replica::{LocalSessionOptions, Recovered, Replica, ReplicaOptions};
pub use session::{Pulse, Sessions};
pub use snapshot::SnapshotOptions;
pub use traffic::{Latency, LinkTraffic};
