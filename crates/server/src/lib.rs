//! The shell around a replica: sockets, threads, files; and the embedding API.
//!
//! Start at [`Server::builder`]. Client links run on worker threads, each with its own runtime; one
//! thread writes and syncs the log; one writes snapshots. None of them owns the replica: see `driver`.

mod client_port;
mod client_ports;
mod data;
mod driver;
mod link;
mod load_times;
mod log_thread;
mod measures;
mod member;
mod membership;
mod peers;
mod progress;
pub mod repair;
mod server;
mod settings;
mod snapshot_thread;
mod standing;
mod test_ensemble;
mod test_ports;
mod tree_load;
mod witness;
mod words;
mod workers;

pub use oxherd_config::Config;
pub use oxherd_replica::{AUDIT_TARGET, DigestAlgorithm};
pub use oxherd_zab::Role;
pub use server::{Handle, Purpose, Server, ServerBuilder, StartError};
pub use test_ensemble::TestEnsemble;
pub use test_ports::test_port;
pub use witness::Witness;
