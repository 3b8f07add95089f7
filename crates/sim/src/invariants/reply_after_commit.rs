//! ReplyAfterCommit: a write is answered only when it is committed, under its own zxid and number.

use oxherd_proto::{SessionId, Xid, Zxid};

use super::name_of;
use crate::verdict::{Check, demand};

/// The write `xid` of a session is answered as `zxid`, which was committed for `committed`.
pub fn check(zxid: Zxid, asked: (SessionId, Xid), committed: Option<(SessionId, Xid)>) -> Check {
    demand(committed == Some(asked), "ReplyAfterCommit", || {
        format!("{asked:?} is answered with {}, which was committed for {committed:?}", name_of(zxid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_without_or_with_another_commit_is_found() {
        let write = (SessionId(1), Xid(2));
        assert!(check(Zxid(9), write, Some(write)).is_ok());
        assert!(check(Zxid(9), write, None).is_err());
        assert!(check(Zxid(9), write, Some((SessionId(1), Xid(3)))).is_err());
    }
}
