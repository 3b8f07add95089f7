//! The one table of all keys: each row is a field of a section of [`Config`](crate::Config) or an accepted name.
//!
//! A section is written once, as a row a field; the macro makes the struct, its documentation, the reading code and
//! the rows that `config check` explains. So a key cannot exist in one of them and be missing in another.

mod accepted;
mod admin;
mod auth;
mod client;
mod quorum;
mod storage;
mod throttle;
mod tls;

pub use admin::{Admin, Metrics};
pub use auth::Auth;
pub use client::{ClientPort, Limits, Session};
pub use quorum::{Quorum, QuorumAuth};
pub use storage::{Purge, Storage};
pub use throttle::{ConnectionThrottle, RequestThrottle};
pub use tls::{TlsClient, TlsQuorum};

/// Where a key may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Only in the config file, under its own name.
    File,
    /// In the file under its own name, or as system property `zookeeper.<key>`.
    Property,
    /// As `Property`, and as a system property without the prefix too.
    PropertyOrBare,
    /// In the file (which wins, with strict values) or as system property `zookeeper.<key>`.
    FileOrProperty,
    /// Only as a system property under its own name; Java cannot read it from the file.
    Bare,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Every server needs it.
    M,
    /// Advanced: a tuning or safety switch.
    A,
    /// Has a meaning only in an ensemble.
    Q,
    /// Speaks about the JVM or Java's thread pools; nothing here corresponds to it.
    J,
    /// Read by clients only.
    C,
}

/// What this server does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It takes effect.
    Honoured,
    /// Accepted without effect: it tunes a JVM mechanism that does not exist here.
    Jvm,
    /// Accepted without effect: it tunes a part that the original has and this server does without.
    Absent,
    /// Accepted; concerns ensembles and has no effect yet.
    Ensemble,
    /// Accepted; takes effect with TLS and SASL.
    Security,
    /// Accepted; takes effect with the HTTP admin server and the metrics endpoint.
    Http,
    /// Accepted; names a class that this server does not have.
    Unknown,
}

impl Status {
    /// What a reader of `config check` is told.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Jvm => "accepted, without effect (JVM only)",
            Self::Absent => "accepted, without effect: it tunes a part that does not exist here",
            Self::Ensemble => "accepted, not in effect in ensembles yet",
            Self::Security => "accepted, not in effect: waits for TLS and SASL",
            Self::Http => "accepted, waits for the HTTP admin server",
            Self::Unknown => "accepted, without effect (unknown class)",
        }
    }
}

/// What authenticates the clients of one scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    Ip,
    Digest,
    X509,
    Sasl,
    Ensemble,
}

impl Provider {
    /// By the original's class, of which the last part counts.
    pub(crate) fn of_class(class: &str) -> Option<Self> {
        let name = class.rsplit('.').next().unwrap_or_default();
        Some(match name {
            "IPAuthenticationProvider" => Self::Ip,
            "DigestAuthenticationProvider" => Self::Digest,
            "X509AuthenticationProvider" => Self::X509,
            "SASLAuthenticationProvider" => Self::Sasl,
            "EnsembleAuthenticationProvider" => Self::Ensemble,
            _ => return None,
        })
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Name as written in `zoo.cfg`; `*` at the end stands for any suffix.
    pub name: &'static str,
    /// Where it may be written.
    pub place: Place,
    /// What kind of key it is.
    pub class: Class,
    /// What this server does with it.
    pub status: Status,
    /// Default as text; empty when there is none.
    pub default: &'static str,
    meaning: &'static str,
}

impl Key {
    /// One line: what the key means, in which unit.
    pub fn meaning(&self) -> &'static str {
        self.meaning.trim()
    }

    /// The part before `*`, for a family of keys such as `server.*`.
    pub fn family(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }

    /// What this server does with the key when it has this value.
    pub fn status_with(&self, text: &str) -> Status {
        match (self.name, Provider::of_class(text)) {
            ("authProvider.*", Some(Provider::Ip | Provider::Digest | Provider::Ensemble)) => {
                Status::Honoured
            }
            ("authProvider.*", None) => Status::Unknown,
            _ => self.status,
        }
    }

    /// Whether a key of a file or a property (without prefix) belongs to this row.
    pub fn covers(&self, name: &str) -> bool {
        match self.family() {
            Some(prefix) => name.starts_with(prefix),
            None => self.name == name,
        }
    }
}

macro_rules! section {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( #[doc = $meaning:literal] $field:ident: $type:ty = $key:expr, $place:ident, $class:ident, $status:ident, $default:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                #[doc = $meaning]
                #[doc = ""]
                #[doc = concat!("Key `", $key, "`, default `", $default, "`.")]
                pub $field: $type,
            )*
        }

        impl $name {
            pub(crate) const KEYS: &'static [$crate::table::Key] = &[
                $( $crate::table::row!(#[doc = $meaning] $key, $place, $class, $status, $default) ),*
            ];

            /// The values by key, as they would be written; none for families and for what is absent.
            pub(crate) fn values(&self) -> Vec<(&'static $crate::table::Key, Option<String>)> {
                let mut keys = Self::KEYS.iter();
                vec![
                    $( {
                        let key = keys.next().expect("one row a field");
                        (key, $crate::reader::FromSetting::written(&self.$field, key))
                    } ),*
                ]
            }

            pub(crate) fn read(reader: &mut $crate::reader::Reader<'_>) -> Self {
                let mut keys = Self::KEYS.iter();
                Self {
                    $( $field: $crate::reader::FromSetting::read(reader, keys.next().expect("one row a field")) ),*
                }
            }
        }
    };
}

macro_rules! row {
    (#[doc = $meaning:literal] $key:expr, $place:ident, $class:ident, $status:ident, $default:literal) => {
        $crate::table::Key {
            name: $key,
            place: $crate::table::Place::$place,
            class: $crate::table::Class::$class,
            status: $crate::table::Status::$status,
            default: $default,
            meaning: $meaning,
        }
    };
}

use {row, section};

/// All sections, in the order they are explained.
const SECTIONS: [(&str, &[Key]); 17] = [
    ("client port", ClientPort::KEYS),
    ("sessions", Session::KEYS),
    ("limits", Limits::KEYS),
    ("storage", Storage::KEYS),
    ("retention", Purge::KEYS),
    ("connection throttle", ConnectionThrottle::KEYS),
    ("request throttle", RequestThrottle::KEYS),
    ("ensemble", Quorum::KEYS),
    ("ensemble authentication", QuorumAuth::KEYS),
    ("access", Auth::KEYS),
    ("TLS of clients", TlsClient::KEYS),
    ("TLS of peers", TlsQuorum::KEYS),
    ("admin server", Admin::KEYS),
    ("metrics", Metrics::KEYS),
    ("JVM only", accepted::JVM),
    ("scripts and logging", accepted::SCRIPTS),
    ("clients only", accepted::CLIENT),
];

/// Every row with the name of its section.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static Key)> {
    SECTIONS.iter().flat_map(|(section, keys)| keys.iter().map(move |key| (*section, key)))
}

/// The row a name belongs to; an exact row wins over a family.
pub fn find(name: &str) -> Option<&'static Key> {
    let exact = keys().find(|(_, key)| key.name == name);
    exact.or_else(|| keys().find(|(_, key)| key.covers(name))).map(|(_, key)| key)
}

/// The known key nearest to a misspelt one, if any is near enough to be meant.
pub fn closest(name: &str) -> Option<&'static str> {
    let wanted = name.to_lowercase();
    let limit = 2.max(name.len() / 5);
    keys()
        .map(|(_, key)| (strsim::damerau_levenshtein(&wanted, &key.name.to_lowercase()), key.name))
        .min()
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests;
