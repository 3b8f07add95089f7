//! Configuration: `zoo.cfg`, dynamic files, JVM flags, environment and arguments read into one typed [`Config`].
//!
//! # Order of sources
//! Each later one overrides the earlier:
//! 1. built-in defaults (the table of keys);
//! 2. `-Dzookeeper.*` and other `-D` words in `SERVER_JVMFLAGS`, then `JVMFLAGS`;
//! 3. the config file: a key that the file format does not know sets the system property `zookeeper.<key>`, as in the
//!    original, and so wins over `-D`;
//! 4. `OXHERD_*` variables: the key's words in capitals, `clientPort` as `OXHERD_CLIENT_PORT`,
//!    `4lw.commands.whitelist` as `OXHERD_4LW_COMMANDS_WHITELIST`, `server.1` as `OXHERD_SERVER_1`;
//! 5. arguments: `--client-port`, `--data-dir`, or `port datadir [ticktime] [maxcnxns]` in place of a file.
//!
//! # What is promised
//! Every key of the original is a row of the [`table`]; one that has no effect here is accepted and noted. Unknown keys
//! are tolerated and reported with the closest known one. A number that cannot be read is an error when the original
//! refuses it and a warning when the original falls back to its default. Retention of old files is on by default.
//!
//! # What must not be here
//! Reading of the process's environment or arguments: they are handed in through [`Sources`]. No sockets, no name
//! resolution, no globals. Files are read only by [`Parsed::load`] and its callers.
//!
//! Start at [`Parsed::load`]; [`explain()`] shows a configuration to a person.

mod config;
mod dynamic;
mod explain;
mod flags;
mod membership;
mod properties;
mod reader;
mod report;
mod settings;
pub mod table;
mod validate;

pub use config::{CLIENT_PORT_DEFAULT, Config, ConfigError, DATA_DIR_DEFAULT, Mode, Parsed, Sources};
pub use dynamic::{ConfigStore, DynamicFiles, OsFiles, Written};
pub use explain::{Row, explain, to_json, to_text};
pub use flags::{properties as flag_properties, words as flag_words};
pub use membership::{Member, Membership, PeerAddress, Role};
pub use properties::{BadEscape, Entry, parse as parse_properties};
pub use report::{Finding, Severity};
pub use settings::{Origin, Setting, Settings, variable_of};
pub use validate::{DIGEST_ALGORITHMS, SCHEMES};
