//! Hellos and notifications on the election port.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    drop(Notification::decode(bytes.clone()));
    drop(ElectionHello::decode(&mut Input::new(bytes)));
});
