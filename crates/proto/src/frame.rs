//! Length-prefixed frames.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::{ErrorCode, Jute, Xid, Zxid};

/// Bytes of the length that leads a frame.
pub const FRAME_LEN_BYTES: usize = 4;

/// A frame whose length no server takes; the connection is closed without a reply.
// Java: NIOServerCnxn.readLength
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("frame length {len} is outside 0..={max}; raise jute.maxbuffer if the client is right")]
pub struct FrameError {
    /// The length as claimed.
    pub len: i32,
    /// The largest length allowed.
    pub max: usize,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    partial: BytesMut,
    whole: Bytes,
}

impl FrameReader {
    /// Takes bytes as they came, behind those that are still here. Cheapest once [`Self::poll_frame`] has answered
    /// `None`.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.whole.is_empty() {
            self.keep();
        }
        if self.partial.is_empty() {
            self.whole = Bytes::copy_from_slice(bytes);
        } else {
            self.partial.extend_from_slice(bytes);
            self.whole = std::mem::take(&mut self.partial).freeze();
        }
    }

    /// The next whole frame without its length; `None` when more bytes are needed.
    pub fn poll_frame(&mut self, len_max: usize) -> Result<Option<Bytes>, FrameError> {
        let Some(head) = self.whole.first_chunk::<FRAME_LEN_BYTES>() else {
            self.keep();
            return Ok(None);
        };
        let claimed = i32::from_be_bytes(*head);
        let len = usize::try_from(claimed).ok().filter(|len| *len <= len_max);
        let len = len.ok_or(FrameError { len: claimed, max: len_max })?;
        if self.whole.len() < FRAME_LEN_BYTES + len {
            self.keep();
            return Ok(None);
        }
        self.whole.advance(FRAME_LEN_BYTES);
        Ok(Some(self.whole.split_to(len)))
    }

    /// The first four bytes, as long as no frame was taken: perhaps a four-letter word.
    pub fn peek_word(&self) -> Option<[u8; 4]> {
        self.whole.first_chunk().or_else(|| self.partial.first_chunk()).copied()
    }

    /// Bytes that are waiting to become a frame.
    pub fn buffered(&self) -> usize {
        self.partial.len() + self.whole.len()
    }

    /// Nothing is kept of what was taken whole: a link may be idle from here on.
    fn keep(&mut self) {
        let rest = std::mem::take(&mut self.whole);
        self.partial = if rest.is_empty() { BytesMut::new() } else { BytesMut::from(rest) };
    }
}

/// Reserves a frame's length in `out`; give the result to [`end_frame`].
pub fn begin_frame(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; FRAME_LEN_BYTES]);
    at
}

/// Fills in the length of the frame begun at `at`.
pub fn end_frame(out: &mut [u8], at: usize) {
    let len = i32::try_from(out.len() - at - FRAME_LEN_BYTES).expect("a reply is far below 2 GiB");
    out[at..at + FRAME_LEN_BYTES].copy_from_slice(&len.to_be_bytes());
}

/// Appends a reply header.
pub fn reply_header(xid: Xid, zxid: Zxid, error: ErrorCode, out: &mut Vec<u8>) {
    xid.encode(out);
    zxid.encode(out);
    error.encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let mut stream = Vec::new();
        for body in [&b"one"[..], b"", b"three"] {
            let at = begin_frame(&mut stream);
            stream.extend_from_slice(body);
            end_frame(&mut stream, at);
        }
        for cut in 1..stream.len() {
            let mut reader = FrameReader::default();
            let mut frames = Vec::new();
            for part in stream.chunks(cut) {
                reader.push(part);
                while let Some(frame) = reader.poll_frame(100).expect("lengths are sane") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"one"[..], b"", b"three"], "cut every {cut} bytes");
        }
    }

    #[test]
    fn bytes_that_come_before_all_frames_were_taken_are_kept() {
        let mut stream = Vec::new();
        for body in [&b"one"[..], b"", b"three"] {
            let at = begin_frame(&mut stream);
            stream.extend_from_slice(body);
            end_frame(&mut stream, at);
        }
        let mut reader = FrameReader::default();
        stream.chunks(5).for_each(|part| reader.push(part));
        reader.push(&[]);
        let frames: Vec<_> =
            std::iter::from_fn(|| reader.poll_frame(100).expect("lengths are sane")).collect();
        assert_eq!(frames, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn a_claimed_length_beyond_the_limit_is_refused_before_its_bytes_come() {
        let mut reader = FrameReader::default();
        reader.push(&101i32.to_be_bytes());
        assert_eq!(reader.poll_frame(100), Err(FrameError { len: 101, max: 100 }));
        let mut reader = FrameReader::default();
        reader.push(&(-1i32).to_be_bytes());
        assert!(reader.poll_frame(100).is_err());
    }
}
