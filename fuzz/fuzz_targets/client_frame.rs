//! Requests of a client: header, then the body of its operation.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

fn any_body(op: OpCode, body: Bytes) {
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => drop(CreateRequest::from_bytes(body)),
        OpCode::CreateTtl => drop(CreateTTLRequest::from_bytes(body)),
        OpCode::SetData => drop(SetDataRequest::from_bytes(body)),
        OpCode::SetAcl => drop(SetACLRequest::from_bytes(body)),
        OpCode::Multi => drop(decode_multi(body)),
        OpCode::MultiRead => drop(decode_multi_read(body)),
        OpCode::SetWatches => drop(SetWatches::from_bytes(body)),
        OpCode::SetWatches2 => drop(SetWatches2::from_bytes(body)),
        OpCode::Auth => drop(AuthPacket::from_bytes(body)),
        OpCode::Sasl => drop(GetSASLRequest::from_bytes(body)),
        OpCode::Reconfig => drop(ReconfigRequest::from_bytes(body)),
        OpCode::GetEphemerals => drop(GetEphemeralsRequest::from_bytes(body)),
        _ => drop(GetDataRequest::from_bytes(body)),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(Bytes::copy_from_slice(data));
    if let Ok(header) = RequestHeader::decode(&mut input)
        && let Some(op) = OpCode::from_code(header.kind)
    {
        any_body(op, input.rest());
    }
});
