//! Txns: what the log and proposals carry.
//!
//! ```text
//! TxnHeader: clientId i64 | cxid i32 | zxid i64 | time i64 | type i32
//! record of the type
//! TxnDigest: version i32 = 2 | treeDigest i64      absent before 3.6, with digests off, on errors
//! ```

use bytes::Bytes;

use crate::records::{
    CheckVersionTxn, CloseSessionTxn, CreateContainerTxn, CreateSessionTxn, CreateTTLTxn, CreateTxn,
    DeleteTxn, ErrorTxn, SetACLTxn, SetDataTxn, TxnDigest, TxnHeader,
};
use crate::{DecodeError, ErrorCode, Input, Jute, OpCode, Str};

/// A txn with its header and digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// Who, when and where in the history.
    pub header: TxnHeader,
    /// What changes.
    pub record: TxnRecord,
    /// The tree after it, where the leader says so.
    pub digest: Option<TxnDigest>,
}

/// What a txn changes, with final values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnRecord {
    /// Types 1 and 15.
    Create(CreateTxn),
    /// Type 19.
    CreateContainer(CreateContainerTxn),
    /// Type 21.
    CreateTtl(CreateTTLTxn),
    /// Types 2 and 20.
    Delete(DeleteTxn),
    /// Types 5 and 16.
    SetData(SetDataTxn),
    /// Type 7.
    SetAcl(SetACLTxn),
    /// Type 13, inside a multi.
    Check(CheckVersionTxn),
    /// Type 14.
    Multi(Vec<SubTxn>),
    /// Type −10.
    CreateSession(CreateSessionTxn),
    /// Type −11; `None` is the form without a record, as before 3.6.
    CloseSession(Option<CloseSessionTxn>),
    /// Type −1.
    Error(ErrorCode),
}

/// One operation of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubTxn {
    /// The operation's number, which its record alone does not tell (1 or 15).
    pub kind: i32,
    /// What it changes.
    pub record: TxnRecord,
}

impl TxnRecord {
    /// Bytes of node data in it, a multi's aside: what makes one txn much longer than another.
    fn data_len(&self) -> usize {
        let data = match self {
            Self::Create(record) => &record.data,
            Self::CreateContainer(record) => &record.data,
            Self::CreateTtl(record) => &record.data,
            Self::SetData(record) => &record.data,
            _ => &None,
        };
        data.as_ref().map_or(0, Bytes::len)
    }

    /// The record alone, without header, as a multi holds it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.data_len());
        self.encode(&mut out);
        out
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create(record) => record.encode(out),
            Self::CreateContainer(record) => record.encode(out),
            Self::CreateTtl(record) => record.encode(out),
            Self::Delete(record) => record.encode(out),
            Self::SetData(record) => record.encode(out),
            Self::SetAcl(record) => record.encode(out),
            Self::Check(record) => record.encode(out),
            Self::Multi(subs) => encode_subs(subs, out),
            Self::CreateSession(record) => record.encode(out),
            Self::CloseSession(record) => {
                if let Some(record) = record {
                    record.encode(out);
                }
            }
            Self::Error(code) => ErrorTxn { err: code.code() }.encode(out),
        }
    }

    // Java: SerializeUtils.deserializeTxn
    fn decode(kind: i32, input: &mut Input) -> Result<Self, DecodeError> {
        let unknown = DecodeError::Unknown { what: "txn type", code: i64::from(kind) };
        Ok(match OpCode::from_code(kind).ok_or_else(|| unknown.clone())? {
            OpCode::Create | OpCode::Create2 => Self::Create(decode_create(input)?),
            OpCode::CreateContainer => Self::CreateContainer(Jute::decode(input)?),
            OpCode::CreateTtl => Self::CreateTtl(Jute::decode(input)?),
            OpCode::Delete | OpCode::DeleteContainer => Self::Delete(Jute::decode(input)?),
            OpCode::SetData | OpCode::Reconfig => Self::SetData(Jute::decode(input)?),
            OpCode::SetAcl => Self::SetAcl(Jute::decode(input)?),
            OpCode::Check => Self::Check(Jute::decode(input)?),
            OpCode::Multi => Self::Multi(decode_subs(input)?),
            OpCode::CreateSession => Self::CreateSession(Jute::decode(input)?),
            OpCode::CloseSession => Self::CloseSession(decode_close(input)?),
            OpCode::Error => Self::Error(ErrorCode::from(ErrorTxn::decode(input)?.err)),
            _ => return Err(unknown),
        })
    }
}

/// Very old logs lack the last field; the record then ends with the input.
fn decode_create(input: &mut Input) -> Result<CreateTxn, DecodeError> {
    let path = Str::decode(input)?;
    let data = input.buffer()?;
    let acl = Jute::decode(input)?;
    let ephemeral = bool::decode(input)?;
    let parent_c_version = if input.remaining() == 0 { -1 } else { i32::decode(input)? };
    Ok(CreateTxn { path, data, acl, ephemeral, parent_c_version })
}

/// The record may be missing: then nothing follows, or a digest of 12 bytes whose first field is small.
fn decode_close(input: &mut Input) -> Result<Option<CloseSessionTxn>, DecodeError> {
    if input.remaining() == 0 {
        return Ok(None);
    }
    let mut ahead = input.clone();
    match CloseSessionTxn::decode(&mut ahead) {
        Ok(record) => {
            *input = ahead;
            Ok(Some(record))
        }
        Err(_) if input.remaining() == <TxnDigest as Jute>::LEN_MIN => Ok(None),
        Err(error) => Err(error),
    }
}

fn encode_subs(subs: &[SubTxn], out: &mut Vec<u8>) {
    i32::try_from(subs.len()).expect("a frame bounds the operations of a multi").encode(out);
    for sub in subs {
        sub.kind.encode(out);
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        sub.record.encode(out);
        let len = i32::try_from(out.len() - at - 4).expect("a frame bounds an operation");
        out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

fn decode_subs(input: &mut Input) -> Result<Vec<SubTxn>, DecodeError> {
    let count = input.count(8)?.unwrap_or(0);
    (0..count)
        .map(|_| {
            let kind = i32::decode(input)?;
            let body = input.buffer()?.ok_or(DecodeError::Null)?;
            if kind == OpCode::Multi.code() {
                return Err(DecodeError::Unknown { what: "operation inside a multi", code: i64::from(kind) });
            }
            Ok(SubTxn { kind, record: TxnRecord::decode(kind, &mut Input::new(body))? })
        })
        .collect()
}

/// The bytes that go to the log and to every learner.
// Java: SerializeUtils.serializeRequest
pub fn encode_txn(header: &TxnHeader, record: &TxnRecord, digest: Option<&TxnDigest>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + record.data_len());
    header.encode(&mut out);
    record.encode(&mut out);
    if let Some(digest) = digest {
        digest.encode(&mut out);
    }
    out
}

/// Reads what [`encode_txn`] wrote, or the original.
pub fn decode_txn(bytes: Bytes) -> Result<Txn, DecodeError> {
    let mut input = Input::new(bytes);
    let header = TxnHeader::decode(&mut input)?;
    let record = TxnRecord::decode(header.kind, &mut input)?;
    let digest = if input.remaining() == 0 { None } else { Some(TxnDigest::decode(&mut input)?) };
    Ok(Txn { header, record, digest })
}
