//! Packets and learner infos on the peer port.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(packet) = QuorumPacket::from_bytes(bytes.clone()) {
        assert_eq!(QuorumPacket::from_bytes(packet.to_vec().into()), Ok(packet));
    }
    drop(LearnerInfo::decode(bytes));
});
