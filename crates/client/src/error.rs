//! What a call may fail with.

use oxherd_proto::{DecodeError, ErrorCode};
use thiserror::Error;

use crate::{AddressError, PathError};

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The server refused, or the session or connection was lost; the code says which.
    #[error("{code} for {path:?}")]
    Keeper {
        /// The code of the reply, or the one clients make up for a lost connection or session.
        code: ErrorCode,
        /// The path as the caller gave it; empty where an operation has none.
        path: String,
    },
    /// The path breaks a rule; nothing was sent.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The server's reply is not what the protocol says.
    #[error("reply cannot be read: {0}")]
    Reply(#[from] DecodeError),
    /// The connect string cannot be understood.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl ClientError {
    /// The protocol's code, where the failure has one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Keeper { code, .. } => Some(*code),
            Self::Path(_) | Self::Reply(_) | Self::Address(_) => None,
        }
    }
}
