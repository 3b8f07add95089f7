//! Multi and multiRead requests and results.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(ops) = decode_multi(bytes.clone()) {
        let mut out = Vec::new();
        encode_multi(&ops, &mut out);
        assert_eq!(decode_multi(out.into()), Ok(ops));
    }
    drop(decode_multi_read(bytes.clone()));
    drop(decode_multi_results(bytes));
});
