//! The replicated nodes, a pure function of the txns applied, and the local watches on them.
//!
//! [`Tree::apply`] is the only way a txn changes the nodes; it is idempotent, so a log may be replayed
//! over a snapshot that already holds some of its effects. [`Tree::begin_walk`] and [`Loader`] are the
//! two directions of the snapshot body. This crate knows no socket, file, clock or thread, and nothing
//! it answers depends on the order of a hash map. Entry types: [`Tree`], [`NodeView`], [`Change`],
//! [`Outcome`], [`Loader`], [`Watches`].

mod acl;
mod apply;
mod digest;
mod load;
pub mod namespace;
mod node;
mod path;
mod quota;
pub mod read;
mod store;
mod tree;
mod walk;
mod watch;

pub use acl::{AclList, ip_acl_is_valid, open_acl, permits};
pub use apply::{Change, ChangeKind, Outcome};
pub use digest::{DIGEST_VERSION, node_digest};
pub use load::{BodyReader, LoadError, LoadProgress, Loader, Records, TreeBuilder};
pub use node::{NodeView, Place};
pub use path::{PathError, name, parent, validate_path};
pub use quota::{QuotaBreach, QuotaKind, QuotaUse, StatsTrack};
pub use tree::{Tree, TreeOptions};
pub use walk::{WalkId, WalkPoint, WalkState};
pub use watch::{ClientId, EventType, Told, WatchEvent, WatchMode, WatchSummary, WatcherKind, Watches};
