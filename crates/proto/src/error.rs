//! The error codes a client may see.

use crate::{DecodeError, Input, Jute};

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $java:literal;)*) => {
        /// Why a request failed, as the code in its reply header.
        // Java: KeeperException.Code
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A code this version does not know, kept as read.
            Other(i32),
        }

        impl ErrorCode {
            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }

            /// The name by which the field knows the code.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $java,)*
                    Self::Other(_) => "UNKNOWN",
                }
            }
        }

        impl From<i32> for ErrorCode {
            fn from(code: i32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }
        }
    };
}

errors! {
    /// Success.
    Ok = 0, "OK";
    /// Range marker of server errors.
    SystemError = -1, "SYSTEMERROR";
    /// An operation of a multi that was not reached.
    RuntimeInconsistency = -2, "RUNTIMEINCONSISTENCY";
    /// Data that contradicts itself.
    DataInconsistency = -3, "DATAINCONSISTENCY";
    /// Made by clients: the connection was lost.
    ConnectionLoss = -4, "CONNECTIONLOSS";
    /// The request could not be decoded.
    MarshallingError = -5, "MARSHALLINGERROR";
    /// No such operation here.
    Unimplemented = -6, "UNIMPLEMENTED";
    /// Made by clients: no answer in time.
    OperationTimeout = -7, "OPERATIONTIMEOUT";
    /// An argument breaks a rule.
    BadArguments = -8, "BADARGUMENTS";
    /// Between servers: no such session.
    UnknownSession = -12, "UNKNOWNSESSION";
    /// No quorum of the new configuration is up to date.
    NewConfigNoQuorum = -13, "NEWCONFIGNOQUORUM";
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14, "RECONFIGINPROGRESS";
    /// Range marker of request errors.
    ApiError = -100, "APIERROR";
    /// The node does not exist.
    NoNode = -101, "NONODE";
    /// A permission is missing.
    NoAuth = -102, "NOAUTH";
    /// The expected version is not the node's.
    BadVersion = -103, "BADVERSION";
    /// An ephemeral node has no children.
    NoChildrenForEphemerals = -108, "NOCHILDRENFOREPHEMERALS";
    /// The node exists already.
    NodeExists = -110, "NODEEXISTS";
    /// The node has children.
    NotEmpty = -111, "NOTEMPTY";
    /// The session is closed or has expired.
    SessionExpired = -112, "SESSIONEXPIRED";
    /// Made by clients: a callback that is none.
    InvalidCallback = -113, "INVALIDCALLBACK";
    /// An ACL is empty or names an unknown scheme or id.
    InvalidAcl = -114, "INVALIDACL";
    /// Authentication failed; the connection is closed.
    AuthFailed = -115, "AUTHFAILED";
    /// Another server owns the session now; never written, the connection is closed instead.
    SessionMoved = -118, "SESSIONMOVED";
    /// The server is read-only.
    NotReadOnly = -119, "NOTREADONLY";
    /// An ephemeral node needs a global session.
    EphemeralOnLocalSession = -120, "EPHEMERALONLOCALSESSION";
    /// There is no such watch.
    NoWatcher = -121, "NOWATCHER";
    /// Made by clients: the request took too long.
    RequestTimeout = -122, "REQUESTTIMEOUT";
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123, "RECONFIGDISABLED";
    /// The server demands authentication; the connection is closed.
    SessionClosedRequireAuth = -124, "SESSIONCLOSEDREQUIRESASLAUTH";
    /// A hard quota would be exceeded.
    QuotaExceeded = -125, "QUOTAEXCEEDED";
    /// The request waited too long in the server and was not executed.
    ThrottledOp = -127, "THROTTLEDOP";
}

impl Jute for ErrorCode {
    const TYPE: &'static str = "int";
    const LEN_MIN: usize = 4;
    fn encode(&self, out: &mut Vec<u8>) {
        self.code().encode(out);
    }
    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        i32::decode(input).map(Self::from)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_round_trip() {
        for code in -130..=0 {
            assert_eq!(ErrorCode::from(code).code(), code);
        }
    }
}
