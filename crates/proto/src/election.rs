//! Messages on the election port.
//!
//! ```text
//! hello         i64 −65536 (one address) or −65535 (several) | sid i64 | len i32 | host:port[|host:port…]
//! notification  state i32 | leader i64 | zxid i64 | electionEpoch i64 | peerEpoch i64 | version i32 | len i32 | config
//! ```

use bytes::Bytes;
use thiserror::Error;

use crate::{DecodeError, Epoch, Input, Jute, ServerId, Str, Zxid};

/// What a peer is doing.
// Java: QuorumPeer.ServerState
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the protocol's")]
pub enum PeerState {
    Looking = 0,
    Following = 1,
    Leading = 2,
    Observing = 3,
}

/// A vote on its way, and who else needs to know the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The sender's state.
    pub state: PeerState,
    /// The server proposed as leader.
    pub leader: ServerId,
    /// The last logged zxid of the proposed leader.
    pub zxid: Zxid,
    /// The sender's election round.
    pub election_epoch: i64,
    /// The current epoch of the proposed leader.
    pub peer_epoch: Epoch,
    /// 2 since 3.5; 0 for the shorter forms.
    pub version: i32,
    /// The sender's configuration as text, from version 2 on.
    pub config: Option<Str>,
}

impl Notification {
    /// The version sent.
    pub const VERSION: i32 = 2;

    /// The message of version 2, without the frame length.
    // Java: FastLeaderElection.buildMsg
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(44 + 128);
        (self.state as i32).encode(&mut out);
        self.leader.encode(&mut out);
        self.zxid.encode(&mut out);
        self.election_epoch.encode(&mut out);
        self.peer_epoch.encode(&mut out);
        self.version.encode(&mut out);
        self.config.clone().unwrap_or_default().encode(&mut out);
        out.into()
    }

    /// Whole length of the form of 3.4, whose version field counts for nothing.
    const LEN_OLD: usize = 40;

    /// Reads the forms of 28 and 40 bytes, which count as version 0, and version 2.
    ///
    /// Errors: [`DecodeError::Unknown`] for a state nobody knows, whatever follows; the message is to be passed over.
    /// Any other error is a torn message.
    // Java: FastLeaderElection.Messenger.WorkerReceiver.run
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let is_old = bytes.len() == Self::LEN_OLD;
        let mut input = Input::new(bytes);
        let code = i32::decode(&mut input)?;
        let state = match code {
            0 => PeerState::Looking,
            1 => PeerState::Following,
            2 => PeerState::Leading,
            3 => PeerState::Observing,
            _ => return Err(DecodeError::Unknown { what: "peer state", code: i64::from(code) }),
        };
        let leader = ServerId::decode(&mut input)?;
        let zxid = Zxid::decode(&mut input)?;
        let election_epoch = i64::decode(&mut input)?;
        let peer_epoch = if input.remaining() == 0 { zxid.epoch() } else { Epoch::decode(&mut input)? };
        let version = if !is_old && input.remaining() >= 4 { i32::decode(&mut input)? } else { 0 };
        let config = if version >= 2 { Some(Str::decode(&mut input)?) } else { None };
        Ok(Self { state, leader, zxid, election_epoch, peer_epoch, version, config })
    }
}

/// First message of the side that dials an election port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionHello {
    /// Who dials.
    pub server: ServerId,
    /// Where the dialler's own election port is, as `host:port`; several with the multi-address form.
    pub addresses: Vec<String>,
}

/// Why a hello is refused; the link is closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// The bytes end early or a length is off.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A protocol version nobody speaks.
    #[error("unknown election protocol version {0}")]
    Version(i64),
}

impl ElectionHello {
    /// One address; understood by 3.5 and later.
    pub const VERSION_ONE_ADDRESS: i64 = -65536;
    /// Several addresses; understood by 3.6 and later.
    pub const VERSION_ADDRESSES: i64 = -65535;
    /// Longest address text, in bytes.
    pub const ADDRESSES_LEN_MAX: i32 = 2048;

    /// The whole message; it must be sent in one write, as old receivers read it in one.
    // Java: QuorumCnxManager.startConnection
    pub fn to_bytes(&self, several_addresses: bool) -> Bytes {
        let mut out = Vec::with_capacity(64);
        let version = if several_addresses { Self::VERSION_ADDRESSES } else { Self::VERSION_ONE_ADDRESS };
        version.encode(&mut out);
        self.server.encode(&mut out);
        let text = if several_addresses {
            self.addresses.join("|")
        } else {
            self.addresses.first().cloned().unwrap_or_default()
        };
        Str::from(text).encode(&mut out);
        out.into()
    }

    /// Reads the three forms; `None` when more bytes are needed.
    // Java: QuorumCnxManager.InitialMessage.parse
    pub fn decode(input: &mut Input) -> Result<Option<Self>, HelloError> {
        if input.remaining() < 8 {
            return Ok(None);
        }
        let mut ahead = input.clone();
        let first = i64::decode(&mut ahead)?;
        if first >= 0 {
            *input = ahead;
            return Ok(Some(Self { server: ServerId(first), addresses: Vec::new() }));
        }
        if first != Self::VERSION_ONE_ADDRESS && first != Self::VERSION_ADDRESSES {
            return Err(HelloError::Version(first));
        }
        if ahead.remaining() < 12 {
            return Ok(None);
        }
        let server = ServerId::decode(&mut ahead)?;
        let len = i32::decode(&mut ahead)?;
        if !(1..=Self::ADDRESSES_LEN_MAX).contains(&len) {
            return Err(DecodeError::Length(i64::from(len)).into());
        }
        let len = usize::try_from(len).expect("checked to be positive");
        if ahead.remaining() < len {
            return Ok(None);
        }
        let text = ahead.take(len)?;
        *input = ahead;
        let text = String::from_utf8_lossy(&text);
        Ok(Some(Self { server, addresses: text.split('|').map(str::to_owned).collect() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(state: i32) -> Vec<u8> {
        let mut bytes = state.to_be_bytes().to_vec();
        for field in [3, 0x5_0000_0007, 9_i64] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn is_vote(found: Result<Notification, DecodeError>, peer_epoch: i64) {
        let vote = Notification {
            state: PeerState::Leading,
            leader: ServerId(3),
            zxid: Zxid(0x5_0000_0007),
            election_epoch: 9,
            peer_epoch: Epoch(peer_epoch),
            version: 0,
            config: None,
        };
        assert_eq!(found, Ok(vote));
    }

    #[test]
    fn the_form_of_28_bytes_has_its_epoch_in_the_zxid() {
        is_vote(Notification::decode(vote(2).into()), 5);
    }

    #[test]
    fn the_form_of_40_bytes_is_of_version_0_whatever_it_says() {
        let mut bytes = vote(2);
        bytes.extend_from_slice(&6_i64.to_be_bytes());
        for said in [0, 1, 2_i32] {
            is_vote(Notification::decode([&bytes[..], &said.to_be_bytes()].concat().into()), 6);
        }
    }

    #[test]
    fn a_state_nobody_knows_is_told_from_a_torn_message() {
        for code in [4, -1] {
            let error = Notification::decode(vote(code).into());
            assert_eq!(error, Err(DecodeError::Unknown { what: "peer state", code: i64::from(code) }));
        }
        for len in [0, 27, 31] {
            let mut bytes = vote(2);
            bytes.resize(len, 0);
            assert!(
                matches!(Notification::decode(bytes.into()), Err(error) if !matches!(error, DecodeError::Unknown { .. }))
            );
        }
    }
}
