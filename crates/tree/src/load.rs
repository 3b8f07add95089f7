//! The inverse of a walk: a tree from the body of a snapshot, which comes in pieces.
//!
//! Two halves: bytes become records ([`BodyReader`]), records become a tree ([`TreeBuilder`]). They cost about the
//! same, so a shell may give each a thread; [`Loader`] is both in one.

mod build;
mod read;

use oxherd_proto::{DecodeError, SessionId, Str};
use thiserror::Error;

use crate::tree::{Tree, TreeOptions};

pub use build::TreeBuilder;
pub use read::{BodyReader, Records};

/// Why bytes are not the body of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// A record is not what it should be.
    #[error("snapshot record {record}: {error}")]
    Record {
        /// Which record, counted from 0 over sessions, ACLs and nodes.
        record: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A node comes before its parent, or its path is none.
    #[error("snapshot node {0} has no parent before it")]
    Parent(Str),
    /// The bytes end before the body does.
    #[error("snapshot ends early")]
    Incomplete,
    /// More was pushed after the end.
    #[error("bytes after the end of a snapshot")]
    Ended,
}

/// Whether the body is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadProgress {
    /// Push more.
    More,
    /// The body ended within the bytes pushed last.
    Done {
        /// How many of them belong to it.
        consumed: usize,
    },
}

/// Builds a tree from pieces of a body.
#[derive(Debug)]
pub struct Loader {
    reader: BodyReader,
    builder: TreeBuilder,
}

impl Loader {
    /// A loader at the beginning of a body.
    pub fn new(options: TreeOptions) -> Self {
        Self { reader: BodyReader::new(options), builder: TreeBuilder::new(options) }
    }

    /// Makes room ahead for a body of about this many bytes, so that the index need not grow step by step.
    #[must_use]
    pub fn expecting(self, body_bytes: u64) -> Self {
        Self { builder: self.builder.expecting(body_bytes), ..self }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<LoadProgress, LoadError> {
        let (progress, records) = self.reader.read(bytes)?;
        self.builder.add(records)?;
        Ok(progress)
    }

    /// The tree and the sessions with their timeouts in ms; the caller sets the tree's last zxid.
    pub fn finish(self) -> Result<(Tree, Vec<(SessionId, i32)>), LoadError> {
        self.builder.finish()
    }
}
