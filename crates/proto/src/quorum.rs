//! Packets between leader and learners.

use bytes::Bytes;

use crate::records::Id;
use crate::{DecodeError, Input, Jute, ServerId, Zxid};

/// What a packet says.
// Java: Leader, the packet type constants
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum PacketType {
    Request = 1,
    Proposal = 2,
    Ack = 3,
    Commit = 4,
    Ping = 5,
    Revalidate = 6,
    Sync = 7,
    Inform = 8,
    CommitAndActivate = 9,
    NewLeader = 10,
    FollowerInfo = 11,
    UpToDate = 12,
    Diff = 13,
    Trunc = 14,
    Snap = 15,
    ObserverInfo = 16,
    LeaderInfo = 17,
    AckEpoch = 18,
    InformAndActivate = 19,
}

impl PacketType {
    /// The type with this number.
    pub fn from_code(code: i32) -> Option<Self> {
        use PacketType as P;
        const ALL: [PacketType; 19] = [
            P::Request,
            P::Proposal,
            P::Ack,
            P::Commit,
            P::Ping,
            P::Revalidate,
            P::Sync,
            P::Inform,
            P::CommitAndActivate,
            P::NewLeader,
            P::FollowerInfo,
            P::UpToDate,
            P::Diff,
            P::Trunc,
            P::Snap,
            P::ObserverInfo,
            P::LeaderInfo,
            P::AckEpoch,
            P::InformAndActivate,
        ];
        ALL.into_iter().find(|kind| *kind as i32 == code)
    }
}

/// One packet on the peer port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumPacket {
    /// What it says.
    pub kind: PacketType,
    /// Its meaning depends on the type.
    pub zxid: Zxid,
    /// Its meaning depends on the type.
    pub data: Option<Bytes>,
    /// A forwarded request's identities; `None` is a null vector.
    pub authinfo: Option<Vec<Id>>,
}

impl Jute for QuorumPacket {
    const TYPE: &'static str = "QuorumPacket";
    const LEN_MIN: usize = 20;

    fn encode(&self, out: &mut Vec<u8>) {
        (self.kind as i32).encode(out);
        self.zxid.encode(out);
        self.data.encode(out);
        match &self.authinfo {
            None => (-1i32).encode(out),
            Some(ids) => ids.encode(out),
        }
    }

    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        let code = i32::decode(input)?;
        let unknown = DecodeError::Unknown { what: "packet type", code: i64::from(code) };
        let kind = PacketType::from_code(code).ok_or(unknown)?;
        let zxid = Zxid::decode(input)?;
        let data = input.buffer()?;
        let count = input.count(<Id as Jute>::LEN_MIN)?;
        let authinfo = count.map(|count| (0..count).map(|_| Id::decode(input)).collect()).transpose()?;
        Ok(Self { kind, zxid, data, authinfo })
    }
}

/// What a learner says of itself in FOLLOWERINFO and OBSERVERINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnerInfo {
    /// The learner.
    pub server: ServerId,
    /// 0x10000 for every released version.
    pub protocol_version: i32,
    /// Version of the newest configuration the learner knows; 0 when the short forms are sent.
    pub config_version: i64,
}

impl LearnerInfo {
    /// The protocol version in use.
    pub const PROTOCOL_VERSION: i32 = 0x10000;

    /// The 20 bytes of the current form.
    pub fn to_bytes(self) -> Bytes {
        let mut out = Vec::with_capacity(20);
        self.server.encode(&mut out);
        self.protocol_version.encode(&mut out);
        self.config_version.encode(&mut out);
        out.into()
    }

    /// Reads the 8, 12 and 20 byte forms; what follows is ignored.
    // Java: LearnerHandler.run
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Input::new(bytes);
        let server = ServerId::decode(&mut input)?;
        let protocol_version = if input.remaining() >= 4 { i32::decode(&mut input)? } else { 0 };
        let config_version = if input.remaining() >= 8 { i64::decode(&mut input)? } else { 0 };
        Ok(Self { server, protocol_version, config_version })
    }
}
