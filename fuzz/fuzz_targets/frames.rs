//! Cutting a stream into frames.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oxherd_proto::*;

const FRAME_LEN_MAX: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let mut reader = FrameReader::default();
    for part in stream.chunks(usize::from(*cut).max(1)) {
        reader.push(part);
        loop {
            match reader.poll_frame(FRAME_LEN_MAX) {
                Ok(Some(frame)) => assert!(Bytes::len(&frame) <= FRAME_LEN_MAX),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
