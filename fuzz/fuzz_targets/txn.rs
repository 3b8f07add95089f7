//! Txns as they come from a log or a leader.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

fuzz_target!(|data: &[u8]| {
    if let Ok(txn) = decode_txn(Bytes::copy_from_slice(data)) {
        let again = encode_txn(&txn.header, &txn.record, txn.digest.as_ref());
        assert_eq!(decode_txn(again.into()), Ok(txn));
    }
});
