//! The operations: number, kind and name, each once.

use crate::SessionId;

/// How a server carries out an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Answered from the tree the connection's server has.
    Read,
    /// Becomes a txn.
    Write,
    /// Concerns the connection itself and passes no pipeline.
    Connection,
    /// Ordered with the writes but not logged.
    Sync,
    /// Never a request from a client.
    Internal,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident, $short:literal;)*) => {
        /// What a request asks for, and what a txn did.
        // Java: ZooDefs.OpCode
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OpCode {
            $($(#[$doc])* $name,)*
        }

        impl OpCode {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The operation with this number.
            pub fn from_code(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// How it is carried out.
            pub fn kind(self) -> OpKind {
                match self {
                    $(Self::$name => OpKind::$kind,)*
                }
            }

            /// The four letters in connection listings.
            // Java: Request.op2String, ServerCnxn.getLastOperation
            pub fn short_name(self) -> &'static str {
                match self {
                    $(Self::$name => $short,)*
                }
            }
        }
    };
}

operations! {
    /// A watch event, server to client only.
    Notification = 0, Internal, "NOTI";
    /// Makes a node.
    Create = 1, Write, "CREA";
    /// Removes a node.
    Delete = 2, Write, "DELE";
    /// Reads a node's metadata.
    Exists = 3, Read, "EXIS";
    /// Reads a node's data.
    GetData = 4, Read, "GETD";
    /// Replaces a node's data.
    SetData = 5, Write, "SETD";
    /// Reads a node's ACL.
    GetAcl = 6, Read, "GETA";
    /// Replaces a node's ACL.
    SetAcl = 7, Write, "SETA";
    /// Lists a node's children.
    GetChildren = 8, Read, "GETC";
    /// Waits for what the leader had in flight.
    Sync = 9, Sync, "SYNC";
    /// Keeps a session alive.
    Ping = 11, Connection, "PING";
    /// Lists a node's children, with metadata.
    GetChildren2 = 12, Read, "GETC";
    /// Tests a version; only inside a multi.
    Check = 13, Write, "CHEC";
    /// Several writes as one.
    Multi = 14, Write, "MLTI";
    /// Makes a node and answers its metadata.
    Create2 = 15, Write, "CREA";
    /// Changes the membership.
    Reconfig = 16, Write, "RECO";
    /// Asks whether a watch is set.
    CheckWatches = 17, Read, "CHKW";
    /// Removes watches.
    RemoveWatches = 18, Read, "REMW";
    /// Makes a container node.
    CreateContainer = 19, Write, "CREA";
    /// Removes an empty container or expired TTL node; posted by the server itself.
    DeleteContainer = 20, Write, "DELE";
    /// Makes a node with a time to live.
    CreateTtl = 21, Write, "CREA";
    /// Several reads as one.
    MultiRead = 22, Read, "MLTR";
    /// Adds an identity.
    Auth = 100, Connection, "AUTH";
    /// Sets watches again.
    SetWatches = 101, Read, "SETW";
    /// One step of a SASL exchange.
    Sasl = 102, Connection, "SASL";
    /// Lists the session's ephemeral nodes.
    GetEphemerals = 103, Read, "GETE";
    /// Counts all descendants.
    GetAllChildrenNumber = 104, Read, "GETACN";
    /// Sets watches again, with persistent ones.
    SetWatches2 = 105, Read, "STW2";
    /// Adds a persistent watch.
    AddWatch = 106, Read, "ADDW";
    /// Lists the connection's identities.
    WhoAmI = 107, Read, "HOMI";
    /// Starts a session.
    CreateSession = -10, Write, "SESS";
    /// Ends a session.
    CloseSession = -11, Write, "CLOS";
    /// A write that failed; a txn only.
    Error = -1, Internal, "ERRO";
}

/// What kind of node a create makes.
// Java: CreateMode
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Stays until removed.
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Persistent, name completed by a counter.
    PersistentSequential,
    /// Ephemeral, name completed by a counter.
    EphemeralSequential,
    /// Removed by the server some time after its last child.
    Container,
    /// Removed by the server when unmodified and childless for its time to live.
    PersistentTtl,
    /// As [`Self::PersistentTtl`], name completed by a counter.
    PersistentSequentialTtl,
}

impl CreateMode {
    /// Largest time to live, in ms: 40 bits.
    // Java: EphemeralType.TTL
    pub const TTL_MS_MAX: i64 = 0xff_ffff_ffff;

    /// The mode with this number in a create request.
    pub fn from_flags(flags: i32) -> Option<Self> {
        Some(match flags {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => Self::PersistentTtl,
            6 => Self::PersistentSequentialTtl,
            _ => return None,
        })
    }

    /// The number in a create request.
    pub fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentTtl => 5,
            Self::PersistentSequentialTtl => 6,
        }
    }

    /// Whether the node goes with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether a counter completes the name.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialTtl)
    }

    /// Whether the node has a time to live.
    pub fn is_ttl(self) -> bool {
        matches!(self, Self::PersistentTtl | Self::PersistentSequentialTtl)
    }

    /// What the owner field of such a node holds.
    // Java: EphemeralType.TTL.toEphemeralOwner
    pub fn owner(self, session: SessionId, ttl_ms: i64) -> SessionId {
        match self {
            Self::Ephemeral | Self::EphemeralSequential => session,
            Self::Container => SessionId::CONTAINER,
            Self::PersistentTtl | Self::PersistentSequentialTtl => {
                SessionId((0xff_i64 << 56) | (ttl_ms & Self::TTL_MS_MAX))
            }
            Self::Persistent | Self::PersistentSequential => SessionId(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_own_number() {
        for op in OpCode::ALL {
            assert_eq!(OpCode::from_code(op.code()), Some(*op));
        }
        assert_eq!(OpCode::ALL.len(), 33, "those of the original, the error txn among them");
    }

    #[test]
    fn every_mode_has_its_own_number() {
        for flags in 0..=6 {
            assert_eq!(CreateMode::from_flags(flags).map(CreateMode::flags), Some(flags));
        }
        assert_eq!(CreateMode::from_flags(7), None);
    }
}
