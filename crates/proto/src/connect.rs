//! The session handshake, whose last field old clients leave out.

use bytes::Bytes;

use crate::{DecodeError, Input, Jute, SessionId, Zxid};

/// Bytes of a session password.
pub const PASSWORD_LEN: usize = 16;

/// First message of a client.
// Java: ConnectRequest, ProtocolManager
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Always 0; nobody checks it.
    pub protocol_version: i32,
    /// The newest zxid the client has seen.
    pub last_zxid_seen: Zxid,
    /// Session timeout asked for, in ms.
    pub timeout_ms: i32,
    /// The session to go on with; 0 for a new one.
    pub session: SessionId,
    /// The session's password.
    pub password: Option<Bytes>,
    /// Whether a read-only server will do; `None` from clients before 3.4.
    pub read_only: Option<bool>,
}

/// The server's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectReply {
    /// Always 0.
    pub protocol_version: i32,
    /// Session timeout granted, in ms; 0 says that the session is gone.
    pub timeout_ms: i32,
    /// The session; 0 when it is gone.
    pub session: SessionId,
    /// The session's password.
    pub password: [u8; PASSWORD_LEN],
    /// Whether this server is read-only; `None` leaves the field out, for clients before 3.4.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Appends the request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.protocol_version.encode(out);
        self.last_zxid_seen.encode(out);
        self.timeout_ms.encode(out);
        self.session.encode(out);
        self.password.encode(out);
        if let Some(read_only) = self.read_only {
            read_only.encode(out);
        }
    }

    /// Reads a request; bytes after it are ignored.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes);
        Ok(Self {
            protocol_version: Jute::decode(&mut input)?,
            last_zxid_seen: Jute::decode(&mut input)?,
            timeout_ms: Jute::decode(&mut input)?,
            session: Jute::decode(&mut input)?,
            password: Jute::decode(&mut input)?,
            read_only: decode_last(&mut input)?,
        })
    }
}

impl ConnectReply {
    /// Appends the reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.protocol_version.encode(out);
        self.timeout_ms.encode(out);
        self.session.encode(out);
        crate::jute::encode_buffer(Some(&self.password), out);
        if let Some(read_only) = self.read_only {
            read_only.encode(out);
        }
    }

    /// Reads a reply.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes);
        Ok(Self {
            protocol_version: Jute::decode(&mut input)?,
            timeout_ms: Jute::decode(&mut input)?,
            session: Jute::decode(&mut input)?,
            password: decode_password(&mut input)?,
            read_only: decode_last(&mut input)?,
        })
    }
}

fn decode_password(input: &mut Input) -> Result<[u8; PASSWORD_LEN], DecodeError> {
    let bytes = input.buffer()?.ok_or(DecodeError::Null)?;
    let len = i64::try_from(bytes.len()).expect("a frame bounds its fields");
    <[u8; PASSWORD_LEN]>::try_from(&bytes[..]).map_err(|_| DecodeError::Length(len))
}

fn decode_last(input: &mut Input) -> Result<Option<bool>, DecodeError> {
    if input.remaining() == 0 { Ok(None) } else { bool::decode(input).map(Some) }
}
