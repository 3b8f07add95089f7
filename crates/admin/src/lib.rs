//! Operator views of a server: the four-letter words.
//!
//! A server implements [`StatusSource`] — plain data taken at the moment of the question — and [`respond()`] turns a
//! [`Word`] into the text that ZooKeeper 3.9 answers, field by field. [`Statistics`] holds what is counted while
//! serving; every metric of the original exists in [`Metrics`] from the start.
//!
//! # What must not be here
//! Sockets, files and clocks: times come in as milliseconds, sizes as numbers. No decision of the server may rest on
//! these figures.
//!
//! # Order of lines
//! Words answer their fields in the original's order; mntr, whose order the original leaves open, answers gauges
//! first and then counters, summaries and sets by name.

mod respond;
mod status;
pub mod text;
mod version;
mod word;

pub use oxherd_metrics::{Metrics, Statistics, Value};
pub use respond::{gauges, respond};
pub use status::{
    Bucket, ConnectionStatus, Gauges, LeaderGauges, QuotaGauge, ServerState, SessionStatus, SessionsStatus,
    ShownConfig, ShownEnsemble, StatusSource, WatchSummary,
};
pub use text::Zone;
pub use version::{Environment, FULL_VERSION, environment};
pub use word::{Whitelist, Word};
