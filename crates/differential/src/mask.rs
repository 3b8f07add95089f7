//! Makes replies of two servers comparable: times, session ids, absolute zxids and the order of children.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use oxherd_proto::*;

/// What is different by right between two servers.
#[derive(Debug, Default)]
pub(crate) struct Mask {
    /// The zxid before the history's first write.
    pub(crate) base: Option<Zxid>,
    /// Sessions by their id, as numbers in the order of their making.
    pub(crate) sessions: BTreeMap<SessionId, usize>,
}

impl Mask {
    /// A zxid as a distance from the history's begin.
    pub(crate) fn zxid(&self, zxid: Zxid) -> Zxid {
        match self.base {
            _ if zxid.0 <= 0 => zxid,
            Some(base) if zxid >= base => Zxid(zxid.0 - base.0),
            _ => Zxid(-1000),
        }
    }

    fn owner(&self, owner: SessionId) -> SessionId {
        let known = self.sessions.get(&owner).and_then(|number| i64::try_from(*number).ok());
        known.map_or(owner, |number| SessionId(1000 + number))
    }

    fn stat(&self, stat: &mut Stat) {
        stat.czxid = self.zxid(stat.czxid);
        stat.mzxid = self.zxid(stat.mzxid);
        stat.pzxid = self.zxid(stat.pzxid);
        stat.ctime = stat.ctime.signum();
        stat.mtime = stat.mtime.signum();
        stat.ephemeral_owner = self.owner(stat.ephemeral_owner);
    }

    fn reading<T: Jute + Debug>(&self, body: &Bytes, change: impl FnOnce(&mut T)) -> String {
        let mut input = Input::new(body.clone());
        match T::decode(&mut input) {
            Ok(mut record) => {
                change(&mut record);
                format!("{record:?} +{} bytes", input.remaining())
            }
            Err(error) => format!("{error}: {body:?}"),
        }
    }

    /// The body of a reply as comparable text.
    pub(crate) fn body(&self, op: Option<OpCode>, body: &Bytes) -> String {
        let stat = |stat: &mut Stat| self.stat(stat);
        match op {
            _ if body.is_empty() => String::new(),
            Some(OpCode::Create) => self.reading(body, |_: &mut CreateResponse| {}),
            Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
                self.reading(body, |r: &mut Create2Response| stat(&mut r.stat))
            }
            Some(OpCode::Exists) => self.reading(body, |r: &mut ExistsResponse| stat(&mut r.stat)),
            Some(OpCode::GetData) => self.reading(body, |r: &mut GetDataResponse| stat(&mut r.stat)),
            Some(OpCode::SetData) => self.reading(body, |r: &mut SetDataResponse| stat(&mut r.stat)),
            Some(OpCode::SetAcl) => self.reading(body, |r: &mut SetACLResponse| stat(&mut r.stat)),
            Some(OpCode::GetAcl) => self.reading(body, |r: &mut GetACLResponse| stat(&mut r.stat)),
            Some(OpCode::GetChildren) => self.reading(body, |r: &mut GetChildrenResponse| r.children.sort()),
            Some(OpCode::GetChildren2) => self.reading(body, |r: &mut GetChildren2Response| {
                r.children.sort();
                stat(&mut r.stat);
            }),
            Some(OpCode::GetEphemerals) => {
                self.reading(body, |r: &mut GetEphemeralsResponse| r.ephemerals.sort())
            }
            Some(OpCode::WhoAmI) => {
                self.reading(body, |r: &mut WhoAmIResponse| r.client_info.sort_by_key(|i| i.user.clone()))
            }
            Some(OpCode::Multi | OpCode::MultiRead) => self.multi(body),
            _ => format!("{body:?}"),
        }
    }

    fn multi(&self, body: &Bytes) -> String {
        let Ok(mut results) = decode_multi_results(body.clone()) else { return format!("{body:?}") };
        for result in &mut results {
            match result {
                MultiResult::Create2(_, stat)
                | MultiResult::SetData(stat)
                | MultiResult::GetData(_, stat) => {
                    self.stat(stat);
                }
                MultiResult::GetChildren(children) => children.sort(),
                _ => {}
            }
        }
        format!("{results:?}")
    }
}
