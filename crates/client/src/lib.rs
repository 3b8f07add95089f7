//! A ZooKeeper client: a session without I/O, and a tokio wrapper around it.
//!
//! [`Session`] is the state machine: it takes bytes, time and the fate of connections, and answers
//! with bytes, completions and events. It knows no socket, clock or thread. [`Client`] drives one
//! session on tokio and has a method for each operation of the protocol.

mod client;
mod driver;
mod error;
mod event;
mod operations;
mod path;
mod request;
mod servers;
mod session;
mod watches;

pub use client::{Client, ClientOptions, Events};
pub use error::ClientError;
pub use event::{Event, EventType, KeeperState, SessionState};
pub use operations::{AddWatchMode, Reconfiguration, open_acl};
pub use path::{Chroot, PathError, validate_path};
pub use request::{Effect, Reply, Request, WatchKind, WatcherType};
pub use servers::{AddressError, Servers};
pub use session::{Input, Output, Session, SessionOptions};
