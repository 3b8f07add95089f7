//! Building packets and looking into them.

use bytes::Bytes;
use oxherd_proto::{
    Epoch, Input, Jute, LearnerInfo, OpCode, PacketType, QuorumPacket, SessionId, TxnRecord, Zxid, decode_txn,
};

/// Length of a txn header; the shortest payload.
const HEADER_LEN: usize = 32;
/// Where the zxid and the type are in a txn header.
const ZXID_AT: std::ops::Range<usize> = 12..20;
const TYPE_AT: std::ops::Range<usize> = 28..32;

pub(crate) fn plain(kind: PacketType, zxid: Zxid) -> QuorumPacket {
    QuorumPacket { kind, zxid, data: None, authinfo: None }
}

pub(crate) fn with_data(kind: PacketType, zxid: Zxid, data: Bytes) -> QuorumPacket {
    QuorumPacket { kind, zxid, data: Some(data), authinfo: None }
}

pub(crate) fn leader_info(epoch: Epoch) -> QuorumPacket {
    let version = Bytes::copy_from_slice(&LearnerInfo::PROTOCOL_VERSION.to_be_bytes());
    with_data(PacketType::LeaderInfo, Zxid::new(epoch, 0), version)
}

/// ACKEPOCH; no epoch means: do not count me.
#[expect(clippy::cast_possible_truncation, reason = "the field has 32 bits, as the zxid has for it")]
pub(crate) fn ack_epoch(last: Zxid, current: Option<Epoch>) -> QuorumPacket {
    let epoch = current.map_or(-1, |epoch| epoch.0 as i32);
    with_data(PacketType::AckEpoch, last, Bytes::copy_from_slice(&epoch.to_be_bytes()))
}

/// The current epoch in an ACKEPOCH: `Some(None)` when the sender is not to be counted.
pub(crate) fn acked_epoch(packet: &QuorumPacket) -> Option<Option<Epoch>> {
    let bytes = packet.data.as_ref()?.get(..4)?;
    let epoch = i32::from_be_bytes(bytes.try_into().ok()?);
    Some((epoch != -1).then_some(Epoch(i64::from(epoch))))
}

/// Whether the payload is a txn of this zxid, as far as its header tells.
pub(crate) fn is_txn(payload: &Bytes, zxid: Zxid) -> bool {
    payload.len() >= HEADER_LEN && payload[ZXID_AT] == zxid.0.to_be_bytes()
}

/// The configuration text in a reconfig txn, `None` for all other txns.
pub(crate) fn reconfig_text(payload: &Bytes) -> Option<String> {
    if payload.get(TYPE_AT)? != OpCode::Reconfig.code().to_be_bytes() {
        return None;
    }
    let txn = decode_txn(payload.clone()).ok()?;
    let TxnRecord::SetData(record) = txn.record else { return None };
    Some(String::from_utf8_lossy(&record.data?).into_owned())
}

/// Designated leader, then the payload: COMMITANDACTIVATE has the first only.
pub(crate) fn split_activate(packet: &QuorumPacket) -> Option<(i64, Bytes)> {
    let mut input = Input::new(packet.data.clone()?);
    let designated = i64::decode(&mut input).ok()?;
    Some((designated, input.rest()))
}

/// The sessions in the answer to a ping.
pub(crate) fn touched(packet: &QuorumPacket) -> Option<Vec<(SessionId, i32)>> {
    let mut input = Input::new(packet.data.clone().unwrap_or_default());
    let mut sessions = Vec::with_capacity(input.remaining() / 12);
    while input.remaining() > 0 {
        sessions.push((SessionId::decode(&mut input).ok()?, i32::decode(&mut input).ok()?));
    }
    Some(sessions)
}

/// The answer to a ping.
pub(crate) fn touches(zxid: Zxid, sessions: impl IntoIterator<Item = (SessionId, i32)>) -> QuorumPacket {
    let mut data = Vec::new();
    for (session, timeout_ms) in sessions {
        session.encode(&mut data);
        timeout_ms.encode(&mut data);
    }
    with_data(PacketType::Ping, zxid, data.into())
}

/// A question about a session: id and timeout.
pub(crate) fn revalidate(session: SessionId, timeout_ms: i32) -> QuorumPacket {
    let mut data = Vec::with_capacity(12);
    session.encode(&mut data);
    timeout_ms.encode(&mut data);
    with_data(PacketType::Revalidate, Zxid(-1), data.into())
}

/// The answer: id and whether it lives.
pub(crate) fn revalidated(session: SessionId, valid: bool) -> QuorumPacket {
    let mut data = Vec::with_capacity(9);
    session.encode(&mut data);
    valid.encode(&mut data);
    with_data(PacketType::Revalidate, Zxid(-1), data.into())
}

pub(crate) fn read_revalidate(packet: &QuorumPacket) -> Option<(SessionId, i32)> {
    let mut input = Input::new(packet.data.clone()?);
    Some((SessionId::decode(&mut input).ok()?, i32::decode(&mut input).ok()?))
}

pub(crate) fn read_revalidated(packet: &QuorumPacket) -> Option<(SessionId, bool)> {
    let mut input = Input::new(packet.data.clone()?);
    Some((SessionId::decode(&mut input).ok()?, bool::decode(&mut input).ok()?))
}

/// The operation in a REQUEST: after session and xid.
pub(crate) fn request_op(data: &Bytes) -> Option<i32> {
    Some(i32::from_be_bytes(data.get(12..16)?.try_into().ok()?))
}
