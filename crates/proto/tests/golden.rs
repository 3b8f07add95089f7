//! Bytes of the original's client, server and log, read and written again without a difference.

use std::collections::BTreeMap;

use bytes::Bytes;
use oxherd_proto::*;

fn lines(text: &'static str) -> impl Iterator<Item = (char, Bytes)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (tag, hex) = line.split_once(' ').expect("a tag and hex digits");
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
        (tag.chars().next().expect("a tag"), (0..hex.len()).step_by(2).map(byte).collect())
    })
}

fn again<T: Jute>(body: &Bytes) -> Vec<u8> {
    let mut input = Input::new(body.clone());
    let value = T::decode(&mut input).expect("the original's bytes decode");
    assert_eq!(input.remaining(), 0, "{} reads all of its bytes", T::TYPE);
    value.to_vec()
}

fn multi_again(body: &Bytes, read: bool) -> Vec<u8> {
    let decode = if read { decode_multi_read } else { decode_multi };
    let mut out = Vec::new();
    encode_multi(&decode(body.clone()).expect("the original's multi decodes"), &mut out);
    out
}

fn request_again(op: OpCode, body: &Bytes) -> Vec<u8> {
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => again::<CreateRequest>(body),
        OpCode::CreateTtl => again::<CreateTTLRequest>(body),
        OpCode::Delete => again::<DeleteRequest>(body),
        OpCode::Exists => again::<ExistsRequest>(body),
        OpCode::GetData => again::<GetDataRequest>(body),
        OpCode::SetData => again::<SetDataRequest>(body),
        OpCode::GetAcl => again::<GetACLRequest>(body),
        OpCode::SetAcl => again::<SetACLRequest>(body),
        OpCode::GetChildren => again::<GetChildrenRequest>(body),
        OpCode::GetChildren2 => again::<GetChildren2Request>(body),
        OpCode::Sync => again::<SyncRequest>(body),
        OpCode::Multi => multi_again(body, false),
        OpCode::MultiRead => multi_again(body, true),
        OpCode::RemoveWatches => again::<RemoveWatchesRequest>(body),
        OpCode::CheckWatches => again::<CheckWatchesRequest>(body),
        OpCode::GetEphemerals => again::<GetEphemeralsRequest>(body),
        OpCode::GetAllChildrenNumber => again::<GetAllChildrenNumberRequest>(body),
        OpCode::AddWatch => again::<AddWatchRequest>(body),
        OpCode::Auth => again::<AuthPacket>(body),
        OpCode::WhoAmI | OpCode::CloseSession | OpCode::Ping => Vec::new(),
        other => panic!("{other:?} is not in the captured session"),
    }
}

fn reply_again(op: OpCode, body: &Bytes) -> Vec<u8> {
    match op {
        OpCode::Create => again::<CreateResponse>(body),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => again::<Create2Response>(body),
        OpCode::Exists => again::<ExistsResponse>(body),
        OpCode::GetData => again::<GetDataResponse>(body),
        OpCode::SetData => again::<SetDataResponse>(body),
        OpCode::GetAcl => again::<GetACLResponse>(body),
        OpCode::SetAcl => again::<SetACLResponse>(body),
        OpCode::GetChildren => again::<GetChildrenResponse>(body),
        OpCode::GetChildren2 => again::<GetChildren2Response>(body),
        OpCode::Sync => again::<SyncResponse>(body),
        OpCode::Multi | OpCode::MultiRead => {
            let mut out = Vec::new();
            encode_multi_results(&decode_multi_results(body.clone()).expect("results decode"), &mut out);
            out
        }
        OpCode::GetEphemerals => again::<GetEphemeralsResponse>(body),
        OpCode::GetAllChildrenNumber => again::<GetAllChildrenNumberResponse>(body),
        OpCode::AddWatch => again::<ErrorResponse>(body),
        OpCode::WhoAmI => again::<WhoAmIResponse>(body),
        _ => Vec::new(),
    }
}

#[test]
fn a_session_of_the_original_client_and_server_is_read_and_written_byte_for_byte() {
    let mut frames = lines(include_str!("data/client_session.hex"));
    let (_, hello) = frames.next().expect("a connect request");
    let mut out = Vec::new();
    ConnectRequest::decode(hello.clone()).expect("decodes").encode(&mut out);
    assert_eq!(out, hello);
    let (_, welcome) = frames.next().expect("a connect reply");
    out.clear();
    ConnectReply::decode(welcome.clone()).expect("decodes").encode(&mut out);
    assert_eq!(out, welcome);

    let mut asked = BTreeMap::new();
    let mut events = 0;
    for (tag, frame) in frames {
        let mut input = Input::new(frame.clone());
        let mut out = Vec::new();
        if tag == 'C' {
            let header = RequestHeader::decode(&mut input).expect("a header");
            let op = OpCode::from_code(header.kind).expect("a known operation");
            asked.insert(header.xid, op);
            header.encode(&mut out);
            out.extend(request_again(op, &input.rest()));
            assert_eq!(out, frame, "request {op:?}");
            continue;
        }
        let header = ReplyHeader::decode(&mut input).expect("a header");
        header.encode(&mut out);
        if header.xid == Xid::NOTIFICATION {
            events += 1;
            out.extend(again::<WatcherEvent>(&input.rest()));
            assert_eq!(out, frame, "notification");
            continue;
        }
        let op = asked.remove(&header.xid).expect("a reply to a request");
        if input.remaining() > 0 {
            out.extend(reply_again(op, &input.rest()));
        }
        assert_eq!(out, frame, "reply to {op:?}");
    }
    assert!(events > 0, "the session saw notifications");
    assert!(asked.is_empty(), "every request was answered: {asked:?}");
}

#[test]
fn txns_of_the_original_log_are_read_and_written_byte_for_byte() {
    let mut kinds = Vec::new();
    for (_, bytes) in lines(include_str!("data/txn_log.hex")) {
        let txn = decode_txn(bytes.clone()).expect("the original's txn decodes");
        assert_eq!(encode_txn(&txn.header, &txn.record, txn.digest.as_ref()), bytes, "{txn:?}");
        kinds.push(txn.header.kind);
    }
    for kind in [-11, -10, -1, 1, 2, 5, 7, 14, 15, 19, 21] {
        assert!(kinds.contains(&kind), "a txn of type {kind} was captured");
    }
}
