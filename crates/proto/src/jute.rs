//! The encoding primitives and the table macro that defines a record once.
//!
//! ```text
//! int      4 bytes, big-endian          boolean  1 byte, non-zero = true
//! long     8 bytes, big-endian          buffer   int length (-1 = null), bytes
//! ustring  as buffer                    vector   int count (-1 = null), elements
//! ```
//! A claimed length or count is compared with the bytes that remain before anything is allocated.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::{Epoch, ServerId, SessionId, Xid, Zxid};

/// Why bytes are not the record that was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The record needs more bytes than there are.
    #[error("record ends early: {needed} more bytes needed, {left} left")]
    Truncated {
        /// Bytes the next field needs.
        needed: usize,
        /// Bytes that remain.
        left: usize,
    },
    /// A length or count field is negative or larger than what can follow.
    #[error("unreasonable length {0}")]
    Length(i64),
    /// A field that may not be null is null.
    #[error("null where a value is required")]
    Null,
    /// A code that names nothing.
    #[error("unknown {what} {code}")]
    Unknown {
        /// What kind of code it is.
        what: &'static str,
        /// The code as read.
        code: i64,
    },
}

/// A cursor over received bytes; buffers come out as slices of them, without a copy.
#[derive(Clone, Debug)]
pub struct Input {
    bytes: Bytes,
}

impl Input {
    /// Reads from the front of `bytes`.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// All bytes not read yet.
    pub fn rest(self) -> Bytes {
        self.bytes
    }

    /// The bytes not read yet, in place.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The next `len` bytes, as a slice of the input.
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.need(len)?;
        Ok(self.bytes.split_to(len))
    }

    fn need(&self, needed: usize) -> Result<(), DecodeError> {
        let left = self.bytes.len();
        if left < needed { Err(DecodeError::Truncated { needed, left }) } else { Ok(()) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let left = self.bytes.len();
        let head =
            self.bytes.first_chunk::<N>().copied().ok_or(DecodeError::Truncated { needed: N, left })?;
        bytes::Buf::advance(&mut self.bytes, N);
        Ok(head)
    }

    /// A length-prefixed buffer; `None` for length −1.
    // Java: BinaryInputArchive.readBuffer
    pub fn buffer(&mut self) -> Result<Option<Bytes>, DecodeError> {
        let len = i32::decode(self)?;
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| DecodeError::Length(i64::from(len)))?;
        self.take(len).map(Some)
    }

    /// An element count, checked against the bytes that remain; `None` for −1.
    pub fn count(&mut self, element_len_min: usize) -> Result<Option<usize>, DecodeError> {
        let claimed = i32::decode(self)?;
        if claimed == -1 {
            return Ok(None);
        }
        let count = usize::try_from(claimed).map_err(|_| DecodeError::Length(i64::from(claimed)))?;
        if count.saturating_mul(element_len_min) > self.remaining() {
            return Err(DecodeError::Length(i64::from(claimed)));
        }
        Ok(Some(count))
    }
}

/// A value with a fixed place in the wire and disk formats.
pub trait Jute: Sized {
    /// The type's name in the schema language.
    const TYPE: &'static str;
    /// Fewest bytes an encoded value takes.
    const LEN_MIN: usize;
    /// Whether it is a vector of [`Self::TYPE`].
    const VECTOR: bool = false;

    /// Appends the encoded value.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads one value; bytes after it are left in `input`.
    fn decode(input: &mut Input) -> Result<Self, DecodeError>;

    /// Reads one value from the front of `bytes`; what follows it is ignored, as the original does.
    fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        Self::decode(&mut Input::new(bytes))
    }

    /// The encoded value alone.
    fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Text as it travels: bytes that ought to be UTF-8 and are never changed on the way.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Bytes);

impl Str {
    /// Wraps bytes as they are.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Text known at compile time.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The shared bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text, with U+FFFD for what is not UTF-8.
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl std::ops::Deref for Str {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::from(bytes))
    }
}

impl From<Bytes> for Str {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_text(), f)
    }
}

macro_rules! jute_number {
    ($ty:ty, $name:literal, $len:literal) => {
        impl Jute for $ty {
            const TYPE: &'static str = $name;
            const LEN_MIN: usize = $len;
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn decode(input: &mut Input) -> Result<Self, DecodeError> {
                input.array().map(Self::from_be_bytes)
            }
        }
    };
}
jute_number!(i32, "int", 4);
jute_number!(i64, "long", 8);

macro_rules! jute_id {
    ($($ty:ident: $inner:ty),*) => {$(
        impl Jute for $ty {
            const TYPE: &'static str = <$inner>::TYPE;
            const LEN_MIN: usize = <$inner>::LEN_MIN;
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(input: &mut Input) -> Result<Self, DecodeError> {
                <$inner>::decode(input).map($ty)
            }
        }
    )*};
}
jute_id!(Zxid: i64, Epoch: i64, SessionId: i64, ServerId: i64, Xid: i32);

impl Jute for bool {
    const TYPE: &'static str = "boolean";
    const LEN_MIN: usize = 1;
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        input.array::<1>().map(|[byte]| byte != 0)
    }
}

/// A buffer that may be null; null and empty are different values.
impl Jute for Option<Bytes> {
    const TYPE: &'static str = "buffer";
    const LEN_MIN: usize = 4;
    fn encode(&self, out: &mut Vec<u8>) {
        encode_buffer(self.as_deref(), out);
    }
    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        input.buffer()
    }
}

impl Jute for Str {
    const TYPE: &'static str = "ustring";
    const LEN_MIN: usize = 4;
    fn encode(&self, out: &mut Vec<u8>) {
        encode_buffer(Some(&self.0), out);
    }
    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        input.buffer()?.map(Self).ok_or(DecodeError::Null)
    }
}

/// Text that may be null.
impl Jute for Option<Str> {
    const TYPE: &'static str = "ustring";
    const LEN_MIN: usize = 4;
    fn encode(&self, out: &mut Vec<u8>) {
        encode_buffer(self.as_ref().map(Str::as_bytes), out);
    }
    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        Ok(input.buffer()?.map(Str))
    }
}

/// A vector; null reads as empty, which every user of one treats alike.
impl<T: Jute> Jute for Vec<T> {
    const TYPE: &'static str = T::TYPE;
    const LEN_MIN: usize = 4;
    const VECTOR: bool = true;
    fn encode(&self, out: &mut Vec<u8>) {
        encode_len(self.len(), out);
        for item in self {
            item.encode(out);
        }
    }
    fn decode(input: &mut Input) -> Result<Self, DecodeError> {
        let count = input.count(T::LEN_MIN)?.unwrap_or(0);
        (0..count).map(|_| T::decode(input)).collect()
    }
}

/// Appends a length-prefixed buffer, −1 for `None`.
pub(crate) fn encode_buffer(buffer: Option<&[u8]>, out: &mut Vec<u8>) {
    match buffer {
        None => (-1i32).encode(out),
        Some(bytes) => {
            encode_len(bytes.len(), out);
            out.extend_from_slice(bytes);
        }
    }
}

fn encode_len(len: usize, out: &mut Vec<u8>) {
    i32::try_from(len).expect("nothing of 2 GiB is ever held in one field").encode(out);
}

/// One field of a record as the schema names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSchema {
    /// The field's name, in this crate's spelling.
    pub name: &'static str,
    /// Its schema type; the element type for a vector.
    pub kind: &'static str,
    /// Whether it is a vector.
    pub vector: bool,
}

/// One record as the schema names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSchema {
    /// The record's name.
    pub name: &'static str,
    /// Its fields in order.
    pub fields: &'static [FieldSchema],
}

/// A text whose null reads as empty.
pub(crate) fn null_as_empty(input: &mut Input) -> Result<Str, DecodeError> {
    Ok(input.buffer()?.map(Str).unwrap_or_default())
}

/// Defines records: struct, encoding, decoding and a row of `SCHEMA` each. A field is decoded by its type, or by the
/// function after `=`.
macro_rules! records {
    (@decode $input:ident) => { $crate::Jute::decode($input)? };
    (@decode $input:ident $how:path) => { $how($input)? };
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty $(= $how:path)?),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, Eq)]
            #[allow(missing_docs, reason = "fields carry the schema's names and meaning")]
            pub struct $name {
                $($(#[$fdoc])* pub $field: $ty,)*
            }

            impl $crate::Jute for $name {
                const TYPE: &'static str = stringify!($name);
                const LEN_MIN: usize = 0 $(+ <$ty as $crate::Jute>::LEN_MIN)*;
                fn encode(&self, out: &mut Vec<u8>) {
                    $($crate::Jute::encode(&self.$field, out);)*
                }
                fn decode(input: &mut $crate::Input) -> Result<Self, $crate::DecodeError> {
                    Ok(Self { $($field: $crate::jute::records!(@decode input $($how)?),)* })
                }
            }
        )*

        /// Every record of the table, in its order.
        pub const SCHEMA: &[$crate::RecordSchema] = &[$(
            $crate::RecordSchema {
                name: stringify!($name),
                fields: &[$($crate::FieldSchema {
                    name: stringify!($field),
                    kind: <$ty as $crate::Jute>::TYPE,
                    vector: <$ty as $crate::Jute>::VECTOR,
                },)*],
            },
        )*];
    };
}
pub(crate) use records;
