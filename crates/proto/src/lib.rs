//! Everything that travels or is stored, as bytes.
//!
//! Records, operations and error codes are each defined once, in a table; the few shapes that the
//! table cannot express (connect, multi, notifications) stand beside it. This crate knows no socket,
//! file, clock or thread. Entry types: [`Jute`], [`Input`], [`OpCode`], [`ErrorCode`], [`Txn`].

mod connect;
mod election;
mod error;
mod frame;
mod id;
mod jute;
mod multi;
mod operation;
mod quorum;
mod records;
mod txn;

pub use connect::{ConnectReply, ConnectRequest, PASSWORD_LEN};
pub use election::{ElectionHello, HelloError, Notification, PeerState};
pub use error::ErrorCode;
pub use frame::{FRAME_LEN_BYTES, FrameError, FrameReader, begin_frame, end_frame, reply_header};
pub use id::{Epoch, ServerId, SessionId, Xid, Zxid};
pub use jute::{DecodeError, FieldSchema, Input, Jute, RecordSchema, Str};
pub use multi::{
    MultiOp, MultiResult, decode_multi, decode_multi_read, decode_multi_results, encode_multi,
    encode_multi_results,
};
pub use operation::{CreateMode, OpCode, OpKind};
pub use quorum::{LearnerInfo, PacketType, QuorumPacket};
pub use records::*;
pub use txn::{SubTxn, Txn, TxnRecord, decode_txn, encode_txn};

/// Largest frame and field a server takes by default, in bytes.
// Java: BinaryInputArchive.maxBuffer
pub const MAX_BUFFER_DEFAULT: usize = 0xf_ffff;
