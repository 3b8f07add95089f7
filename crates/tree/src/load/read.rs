//! The first half: bytes become records.
//!
//! Holds no more than was received: a claimed length allocates nothing.

use std::ops::Range;

use bytes::Bytes;
use oxherd_proto::{Acl, DecodeError, Input, Jute, SessionId, StatPersisted, Str};

use super::{LoadError, LoadProgress};
use crate::AclList;
use crate::acl::OPEN;
use crate::digest::node_digest;
use crate::node::Node;
use crate::path;
use crate::tree::TreeOptions;

/// Largest path, data or ACL of a snapshot, in bytes; what a frame may carry is smaller by far.
const RECORD_LEN_MAX: usize = 1 << 28;

#[derive(Clone, Copy, Debug)]
enum Part {
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    End,
}

/// Records that were read together, for a [`TreeBuilder`](super::TreeBuilder).
#[derive(Debug, Default)]
pub struct Records {
    /// What they were read from.
    bytes: Bytes,
    pub(super) sessions: Vec<(SessionId, i32)>,
    pub(super) acls: Vec<(i64, AclList)>,
    pub(super) nodes: Vec<NodeRecord>,
    /// The body ends with them.
    pub(super) is_last: bool,
}

/// A node that has no place yet.
#[derive(Debug)]
pub(super) struct NodeRecord {
    pub(super) node: Node,
    /// The snapshot's name for its ACL.
    pub(super) acl: i64,
    /// Its share of the tree's digest.
    pub(super) digest: u64,
    path: Range<usize>,
}

impl Records {
    pub(super) fn path(&self, record: &NodeRecord) -> &[u8] {
        &self.bytes[record.path.clone()]
    }
}

/// Reads the pieces of a body.
#[derive(Debug)]
pub struct BodyReader {
    digest: bool,
    part: Part,
    record: u64,
    /// The beginning of a record whose end has not come.
    rest: Vec<u8>,
    /// Fewest bytes that record needs.
    needed: usize,
}

impl BodyReader {
    /// A reader at the beginning of a body.
    pub fn new(options: TreeOptions) -> Self {
        Self { digest: options.digest, part: Part::SessionCount, record: 0, rest: Vec::new(), needed: 0 }
    }

    /// Takes the next bytes; the records that end within them.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(LoadProgress, Records), LoadError> {
        if matches!(self.part, Part::End) {
            return Err(LoadError::Ended);
        }
        self.rest.extend_from_slice(bytes);
        let mut records = Records::default();
        if self.rest.len() < self.needed {
            return Ok((LoadProgress::More, records));
        }
        records.bytes = Bytes::from(std::mem::take(&mut self.rest));
        let mut input = Input::new(records.bytes.clone());
        self.needed = 0;
        while !matches!(self.part, Part::End) {
            let left = input.remaining();
            match self.step(&mut input, &mut records) {
                Ok(()) => self.record += 1,
                Err(LoadError::Record { error: DecodeError::Truncated { needed, left: there }, .. }) => {
                    self.wait(&records.bytes[records.bytes.len() - left..], needed - there)?;
                    return Ok((LoadProgress::More, records));
                }
                Err(error) => return Err(error),
            }
        }
        records.is_last = true;
        Ok((LoadProgress::Done { consumed: bytes.len() - input.remaining() }, records))
    }

    fn wait(&mut self, begun: &[u8], missing: usize) -> Result<(), LoadError> {
        self.rest = begun.to_vec();
        self.needed = self.rest.len() + missing;
        if self.needed > RECORD_LEN_MAX {
            let error = DecodeError::Length(i64::try_from(missing).unwrap_or(i64::MAX));
            return Err(LoadError::Record { record: self.record, error });
        }
        Ok(())
    }

    fn step(&mut self, input: &mut Input, records: &mut Records) -> Result<(), LoadError> {
        let record = self.record;
        let wrong = |error| LoadError::Record { record, error };
        match self.part {
            Part::SessionCount => self.part = Part::Sessions(i32::decode(input).map_err(wrong)?),
            Part::Sessions(left @ 1..) => {
                let session = (SessionId::decode(input).map_err(wrong)?, i32::decode(input).map_err(wrong)?);
                records.sessions.push(session);
                self.part = Part::Sessions(left - 1);
            }
            Part::Sessions(_) => self.part = Part::AclCount,
            Part::AclCount => self.part = Part::Acls(i32::decode(input).map_err(wrong)?),
            Part::Acls(left @ 1..) => {
                records.acls.push(acl(input).map_err(wrong)?);
                self.part = Part::Acls(left - 1);
            }
            Part::Acls(_) => self.part = Part::Nodes,
            Part::Nodes => self.node(input, records, wrong)?,
            Part::End => {}
        }
        Ok(())
    }

    // Java: DataTree.deserialize
    fn node(
        &mut self,
        input: &mut Input,
        records: &mut Records,
        wrong: impl Fn(DecodeError) -> LoadError,
    ) -> Result<(), LoadError> {
        let path = Str::decode(input).map_err(&wrong)?;
        if path.as_bytes() == b"/" {
            self.part = Part::End;
            return Ok(());
        }
        let end = records.bytes.len() - input.remaining();
        let data = input.buffer().map_err(&wrong)?;
        let acl = i64::decode(input).map_err(&wrong)?;
        let stat = StatPersisted::decode(input).map_err(&wrong)?;
        let name = match path.as_bytes() {
            b"" => b"",
            bytes => path::split(bytes).ok_or_else(|| LoadError::Parent(path.clone()))?.1,
        };
        let digest = if self.digest { node_digest(&path, data.as_deref(), &stat) } else { 0 };
        let node = Node::new(name, data.as_deref(), OPEN, &stat);
        records.nodes.push(NodeRecord { node, acl, digest, path: end - path.len()..end });
        Ok(())
    }
}

/// The vector is read one by one: its count alone says nothing about the bytes received.
fn acl(input: &mut Input) -> Result<(i64, AclList), DecodeError> {
    let (id, count) = (i64::decode(input)?, i32::decode(input)?);
    if count == -1 {
        return Err(DecodeError::Null);
    }
    let list: Vec<Acl> = (0..count).map(|_| Acl::decode(input)).collect::<Result<_, _>>()?;
    Ok((id, list.into()))
}
