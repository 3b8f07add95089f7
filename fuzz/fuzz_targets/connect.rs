//! The session handshake, both directions.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(request) = ConnectRequest::decode(bytes.clone()) {
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(ConnectRequest::decode(out.into()), Ok(request));
    }
    drop(ConnectReply::decode(bytes));
});
