//! Cuts the stream of a peer link into packets. Packets have no frame: their fields tell their length.

use bytes::{Buf, BytesMut};
use oxherd_proto::{DecodeError, Input, Jute, QuorumPacket};

/// Most identities a packet may carry.
const IDS_MAX: i32 = 1024;
/// Type, zxid, and the length of the data.
const HEAD_LEN: usize = 16;

/// Bytes that came and are not taken yet.
#[derive(Debug)]
pub(crate) struct PacketReader {
    bytes: BytesMut,
    /// Most bytes a field may have (`jute.maxbuffer` and its extra size).
    field_len_max: usize,
}

impl PacketReader {
    pub(crate) fn new(field_len_max: usize) -> Self {
        Self { bytes: BytesMut::new(), field_len_max }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next packet that is here as a whole. Errors: it is none, or longer than allowed.
    pub(crate) fn poll(&mut self) -> Result<Option<QuorumPacket>, DecodeError> {
        let Some(len) = self.packet_len()? else { return Ok(None) };
        if self.bytes.len() < len {
            return Ok(None);
        }
        let mut input = Input::new(self.bytes.split_to(len).freeze());
        QuorumPacket::decode(&mut input).map(Some)
    }

    /// What is left, for a stream of another kind that follows.
    pub(crate) fn take_rest(&mut self) -> BytesMut {
        std::mem::take(&mut self.bytes)
    }

    /// Length of the packet at the front, as soon as it can be known.
    fn packet_len(&self) -> Result<Option<usize>, DecodeError> {
        let mut at = 12;
        if !self.skip_field(&mut at)? {
            return Ok(None);
        }
        let Some(count) = self.number(at) else { return Ok(None) };
        at += 4;
        if count > IDS_MAX {
            return Err(DecodeError::Length(i64::from(count)));
        }
        for _ in 0..count.max(0) * 2 {
            if !self.skip_field(&mut at)? {
                return Ok(None);
            }
        }
        Ok(Some(at))
    }

    /// False when the field is not here as a whole.
    fn skip_field(&self, at: &mut usize) -> Result<bool, DecodeError> {
        let Some(len) = self.number(*at) else { return Ok(false) };
        let len_usize = usize::try_from(len.max(0)).unwrap_or(0);
        if len < -1 || len_usize > self.field_len_max {
            return Err(DecodeError::Length(i64::from(len)));
        }
        *at += 4 + len_usize;
        Ok(self.bytes.len() >= *at)
    }

    fn number(&self, at: usize) -> Option<i32> {
        let mut bytes = self.bytes.get(at..at + 4)?;
        Some(bytes.get_i32())
    }

    /// Bytes worth reading at once: all of a long packet that has begun.
    pub(crate) fn wanted(&self) -> usize {
        let data = if self.bytes.len() >= HEAD_LEN { self.number(12).unwrap_or(0) } else { 0 };
        usize::try_from(data).unwrap_or(0).min(self.field_len_max)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oxherd_proto::{Id, PacketType, Zxid};

    use super::*;

    fn packets() -> Vec<QuorumPacket> {
        let id = Id { scheme: "ip".into(), id: "10.0.0.1".into() };
        let packet = |kind, data: Option<&'static [u8]>, authinfo| QuorumPacket {
            kind,
            zxid: Zxid(7),
            data: data.map(Bytes::from_static),
            authinfo,
        };
        vec![
            packet(PacketType::Ping, None, None),
            packet(PacketType::Request, Some(b"abc"), Some(vec![id.clone(), id])),
            packet(PacketType::Proposal, Some(b""), Some(Vec::new())),
        ]
    }

    #[test]
    fn packets_come_out_whole_however_the_bytes_come_in() {
        let mut stream = Vec::new();
        packets().iter().for_each(|packet| packet.encode(&mut stream));
        for step in 1..stream.len() {
            let mut reader = PacketReader::new(100);
            let mut read = Vec::new();
            for chunk in stream.chunks(step) {
                reader.push(chunk);
                while let Some(packet) = reader.poll().expect("good packets") {
                    read.push(packet);
                }
            }
            assert_eq!(read, packets(), "in steps of {step}");
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_anything_is_kept_for_them() {
        for len in [101_i32, -2, i32::MAX, i32::MIN] {
            let mut reader = PacketReader::new(100);
            reader.push(&[0; 12]);
            reader.push(&len.to_be_bytes());
            assert_eq!(reader.poll(), Err(DecodeError::Length(i64::from(len))));
        }
        let mut reader = PacketReader::new(100);
        reader.push(&[0; 16]);
        reader.push(&5000_i32.to_be_bytes());
        assert_eq!(reader.poll(), Err(DecodeError::Length(5000)));
    }
}
