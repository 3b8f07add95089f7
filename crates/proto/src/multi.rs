//! Several operations in one request, and their results.
//!
//! ```text
//! request  (MultiHeader{type, done=0, err=-1} record)*  MultiHeader{-1, done=1, -1}
//! reply    (MultiHeader{type, done=0, err}    result)*  MultiHeader{-1, done=1, -1}
//! ```

use bytes::Bytes;

use crate::records::{
    CheckVersionRequest, CreateRequest, CreateTTLRequest, DeleteRequest, GetChildrenRequest, GetDataRequest,
    MultiHeader, SetDataRequest, Stat,
};
use crate::{CreateMode, DecodeError, ErrorCode, Input, Jute, OpCode, Str};

/// One operation of a multi or multiRead request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiOp {
    /// Types 1, 15 and 19; the operation is kept because results differ.
    Create(OpCode, CreateRequest),
    /// Type 21 with a TTL mode.
    CreateTtl(CreateTTLRequest),
    /// Type 2.
    Delete(DeleteRequest),
    /// Type 5.
    SetData(SetDataRequest),
    /// Type 13.
    Check(CheckVersionRequest),
    /// Type 4, multiRead only.
    GetData(GetDataRequest),
    /// Type 8, multiRead only.
    GetChildren(GetChildrenRequest),
}

/// One result of a multi or multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// Of type 1.
    Create(Str),
    /// Of types 15, 19 and 21.
    Create2(Str, Stat),
    /// Of type 2.
    Delete,
    /// Of type 5.
    SetData(Stat),
    /// Of type 13.
    Check,
    /// Of type 4.
    GetData(Option<Bytes>, Stat),
    /// Of type 8.
    GetChildren(Vec<Str>),
    /// The operation failed, or others did.
    Error(ErrorCode),
}

impl MultiOp {
    /// The operation's number as it is logged.
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create(op, _) => *op,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
        }
    }

    fn encode_record(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create(_, record) => record.encode(out),
            Self::CreateTtl(record) => record.encode(out),
            Self::Delete(record) => record.encode(out),
            Self::SetData(record) => record.encode(out),
            Self::Check(record) => record.encode(out),
            Self::GetData(record) => record.encode(out),
            Self::GetChildren(record) => record.encode(out),
        }
    }
}

fn encode_header(kind: i32, done: bool, err: i32, out: &mut Vec<u8>) {
    MultiHeader { kind, done, err }.encode(out);
}

/// Appends the body of a multi or multiRead request.
pub fn encode_multi(ops: &[MultiOp], out: &mut Vec<u8>) {
    for op in ops {
        encode_header(op.op().code(), false, -1, out);
        op.encode_record(out);
    }
    encode_header(-1, true, -1, out);
}

/// Reads the writes of a multi; reads and anything else among them are an error.
// Java: MultiOperationRecord.deserialize
pub fn decode_multi(body: Bytes) -> Result<Vec<MultiOp>, DecodeError> {
    decode_ops(body, |op, input| {
        Ok(match op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                decode_create(op, Jute::decode(input)?)?
            }
            OpCode::CreateTtl => decode_create_ttl(Jute::decode(input)?)?,
            OpCode::Delete => MultiOp::Delete(Jute::decode(input)?),
            OpCode::SetData => MultiOp::SetData(Jute::decode(input)?),
            OpCode::Check => MultiOp::Check(Jute::decode(input)?),
            other => return Err(unknown_op(other.code())),
        })
    })
}

/// Reads the reads of a multiRead; anything else among them is an error.
pub fn decode_multi_read(body: Bytes) -> Result<Vec<MultiOp>, DecodeError> {
    decode_ops(body, |op, input| {
        Ok(match op {
            OpCode::GetData => MultiOp::GetData(Jute::decode(input)?),
            OpCode::GetChildren => MultiOp::GetChildren(Jute::decode(input)?),
            other => return Err(unknown_op(other.code())),
        })
    })
}

fn unknown_op(code: i32) -> DecodeError {
    DecodeError::Unknown { what: "operation in a multi", code: i64::from(code) }
}

fn decode_ops(
    body: Bytes,
    mut decode: impl FnMut(OpCode, &mut Input) -> Result<MultiOp, DecodeError>,
) -> Result<Vec<MultiOp>, DecodeError> {
    let mut input = Input::new(body);
    let mut ops = Vec::new();
    loop {
        let header = MultiHeader::decode(&mut input)?;
        if header.done {
            return Ok(ops);
        }
        let op = OpCode::from_code(header.kind).ok_or_else(|| unknown_op(header.kind))?;
        ops.push(decode(op, &mut input)?);
    }
}

/// The flag decides between a plain create and a container, whatever the number says.
// Java: Op.Create constructors, MultiOperationRecord.deserialize
fn decode_create(op: OpCode, request: CreateRequest) -> Result<MultiOp, DecodeError> {
    let mode = decode_mode(request.flags)?;
    if mode.is_ttl() {
        return Err(DecodeError::Unknown {
            what: "create mode without a ttl",
            code: i64::from(request.flags),
        });
    }
    let op = if mode == CreateMode::Container { OpCode::CreateContainer } else { plain_create(op) };
    Ok(MultiOp::Create(op, request))
}

fn plain_create(op: OpCode) -> OpCode {
    if op == OpCode::Create2 { OpCode::Create2 } else { OpCode::Create }
}

fn decode_create_ttl(request: CreateTTLRequest) -> Result<MultiOp, DecodeError> {
    let mode = decode_mode(request.flags)?;
    if mode.is_ttl() {
        return Ok(MultiOp::CreateTtl(request));
    }
    let op = if mode == CreateMode::Container { OpCode::CreateContainer } else { OpCode::Create };
    let CreateTTLRequest { path, data, acl, flags, .. } = request;
    Ok(MultiOp::Create(op, CreateRequest { path, data, acl, flags }))
}

fn decode_mode(flags: i32) -> Result<CreateMode, DecodeError> {
    CreateMode::from_flags(flags)
        .ok_or_else(|| DecodeError::Unknown { what: "create mode", code: i64::from(flags) })
}

/// Appends the body of a multi or multiRead reply.
// Java: MultiResponse.serialize
pub fn encode_multi_results(results: &[MultiResult], out: &mut Vec<u8>) {
    for result in results {
        encode_result(result, out);
    }
    encode_header(-1, true, -1, out);
}

fn encode_result(result: &MultiResult, out: &mut Vec<u8>) {
    let mut head = |op: OpCode| encode_header(op.code(), false, 0, out);
    match result {
        MultiResult::Create(path) => {
            head(OpCode::Create);
            path.encode(out);
        }
        MultiResult::Create2(path, stat) => {
            head(OpCode::Create2);
            path.encode(out);
            stat.encode(out);
        }
        MultiResult::Delete => head(OpCode::Delete),
        MultiResult::Check => head(OpCode::Check),
        MultiResult::SetData(stat) => {
            head(OpCode::SetData);
            stat.encode(out);
        }
        MultiResult::GetData(data, stat) => {
            head(OpCode::GetData);
            data.encode(out);
            stat.encode(out);
        }
        MultiResult::GetChildren(children) => {
            head(OpCode::GetChildren);
            children.encode(out);
        }
        MultiResult::Error(code) => {
            encode_header(-1, false, code.code(), out);
            code.encode(out);
        }
    }
}

/// Reads the body of a multi or multiRead reply.
pub fn decode_multi_results(body: Bytes) -> Result<Vec<MultiResult>, DecodeError> {
    let mut input = Input::new(body);
    let mut results = Vec::new();
    loop {
        let header = MultiHeader::decode(&mut input)?;
        if header.done {
            return Ok(results);
        }
        results.push(decode_result(header.kind, &mut input)?);
    }
}

fn decode_result(kind: i32, input: &mut Input) -> Result<MultiResult, DecodeError> {
    Ok(match OpCode::from_code(kind).ok_or_else(|| unknown_op(kind))? {
        OpCode::Create => MultiResult::Create(Jute::decode(input)?),
        OpCode::Create2 => MultiResult::Create2(Jute::decode(input)?, Jute::decode(input)?),
        OpCode::Delete => MultiResult::Delete,
        OpCode::Check => MultiResult::Check,
        OpCode::SetData => MultiResult::SetData(Jute::decode(input)?),
        OpCode::GetData => MultiResult::GetData(input.buffer()?, Jute::decode(input)?),
        OpCode::GetChildren => MultiResult::GetChildren(Jute::decode(input)?),
        OpCode::Error => MultiResult::Error(Jute::decode(input)?),
        other => return Err(unknown_op(other.code())),
    })
}
