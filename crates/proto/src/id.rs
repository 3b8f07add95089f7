//! Identifiers: transaction, epoch, session, server and request ids.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

id!(
    /// Position of a txn in the history: epoch in the high 32 bits, counter in the low 32 bits.
    Zxid(i64)
);
id!(
    /// Number of a leader's reign.
    Epoch(i64)
);
id!(
    /// Names a client session across servers. The top byte is the server that made it.
    SessionId(i64)
);
id!(
    /// Number of a server in the ensemble, as in `myid` and `server.N`.
    ServerId(i64)
);
id!(
    /// Number a client gives to a request; unique in a session while the request is outstanding.
    Xid(i32)
);

impl Zxid {
    /// The zxid of an empty history.
    pub const ZERO: Self = Self(0);
    /// The last counter value of an epoch; reaching it forces a new epoch.
    pub const COUNTER_MAX: u32 = u32::MAX;

    /// Joins an epoch and a counter.
    pub fn new(epoch: Epoch, counter: u32) -> Self {
        Self((epoch.0 << 32) | i64::from(counter))
    }

    /// The epoch in the high half.
    pub fn epoch(self) -> Epoch {
        Epoch(self.0 >> 32)
    }

    /// The counter in the low half.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low half is meant")]
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next zxid of the same epoch. The caller changes the epoch before the counter ends.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl SessionId {
    /// Never names a session: it is how a container node marks its owner field.
    // Java: EphemeralType.CONTAINER_EPHEMERAL_OWNER
    pub const CONTAINER: Self = Self(i64::MIN);
}

impl Xid {
    /// Watch notification, server to client.
    pub const NOTIFICATION: Self = Self(-1);
    /// Ping and its reply.
    pub const PING: Self = Self(-2);
    /// Authentication packet and its reply.
    pub const AUTH: Self = Self(-4);
    /// Watches set again after a reconnect.
    pub const SET_WATCHES: Self = Self(-8);
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
