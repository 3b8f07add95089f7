//! OwnWritesVisible: a read shows the node as the history has it at the zxid of the reply. As that zxid never
//! goes back for a session, a session sees all its own writes.

use oxherd_proto::Zxid;

use super::name_of;
use crate::verdict::{Check, demand};

/// A read of `path` as of `zxid` shows `read`; the history has `expected` there. `None` is a node that is not there.
pub fn check(client: usize, path: &str, zxid: Zxid, read: Option<u64>, expected: Option<u64>) -> Check {
    demand(read == expected, "OwnWritesVisible", || {
        format!(
            "client {client} reads {read:x?} from {path} as of {}, the history has {expected:x?}",
            name_of(zxid)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_read_is_found() {
        assert!(check(0, "/a", Zxid(3), Some(1), Some(1)).is_ok());
        assert!(check(0, "/a", Zxid(3), Some(1), Some(2)).is_err());
        assert!(check(0, "/a", Zxid(3), None, Some(2)).is_err());
    }
}
