//! Permissions as the server that a client is connected to sees them, before a write goes any further
//! (`enableEagerACLCheck`).
//!
//! What is refused here costs the ensemble nothing. It goes by the tree as it is applied: what is on its way does not
//! count, so a client that has just widened an ACL waits for the answer before it relies on that.
// Java: ZooKeeperServer.authWriteRequest

use bytes::Bytes;
use oxherd_proto::{Acl, CreateRequest, DeleteRequest, ErrorCode, OpCode, SetACLRequest, SetDataRequest};
use oxherd_tree::Tree;

use super::change::parent_of_removable;
use super::{PrepareOptions, WriteRequest, decode, parent_of};
use crate::auth::{self, perms};
use crate::overlay::Overlay;

/// The node whose ACL decides, the permission that is needed, and the ACL that is to be set.
struct Needed {
    path: Bytes,
    perms: i32,
    acl: Option<Vec<Acl>>,
}

/// Why a write is refused at once. Whatever else may be wrong with it is for the leader to say.
pub(crate) fn refusal(tree: &Tree, request: &WriteRequest, options: &PrepareOptions) -> Option<ErrorCode> {
    let needed = needed(request)?;
    if let Some(acl) = needed.acl
        && let Err(code) = auth::resolve_acl(acl, &request.ids, &options.auth)
    {
        return Some(code);
    }
    let node = Overlay::default().find(tree, &needed.path).ok()?;
    let permitted = options.skip_acl || oxherd_tree::permits(&node.acl, needed.perms, &request.ids);
    (!permitted).then_some(ErrorCode::NoAuth)
}

// Java: ZooKeeperServer.effectiveACLPath, effectiveACLPerms
fn needed(request: &WriteRequest) -> Option<Needed> {
    match request.op {
        OpCode::Create | OpCode::Create2 => {
            let asked: CreateRequest = decode(request).ok()?;
            let path = parent_of(&asked.path).ok()?;
            Some(Needed { path, perms: perms::CREATE, acl: Some(asked.acl) })
        }
        OpCode::Delete => {
            let asked: DeleteRequest = decode(request).ok()?;
            let path = parent_of_removable(&asked.path).ok()?;
            Some(Needed { path, perms: perms::DELETE, acl: None })
        }
        OpCode::SetData => {
            let asked: SetDataRequest = decode(request).ok()?;
            Some(Needed { path: asked.path.into_bytes(), perms: perms::WRITE, acl: None })
        }
        OpCode::SetAcl => {
            let asked: SetACLRequest = decode(request).ok()?;
            Some(Needed { path: asked.path.into_bytes(), perms: perms::ADMIN, acl: Some(asked.acl) })
        }
        _ => None,
    }
}
