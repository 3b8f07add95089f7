//! Operations on nodes that exist.

use bytes::Bytes;
use oxherd_proto::{
    CheckVersionRequest, CheckVersionTxn, DeleteRequest, DeleteTxn, ErrorCode, SetACLRequest, SetACLTxn,
    SetDataRequest, SetDataTxn, Str, TxnRecord,
};

use super::{PrepareContext, WriteRequest, check_path, digest, next_version, owner, parent_of};
use crate::auth::{self, perms};
use crate::overlay::{Overlay, Record};

impl Overlay {
    pub(super) fn delete(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        asked: DeleteRequest,
    ) -> Result<TxnRecord, ErrorCode> {
        ctx.sessions.check(request.session)?;
        let parent_path = parent_of_removable(&asked.path)?;
        let parent = self.find(ctx.tree, &parent_path)?;
        ctx.check_permission(&parent.acl, perms::DELETE, request)?;
        let node = self.find(ctx.tree, &asked.path)?;
        next_version(node.stat.version, asked.version)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        Ok(self.remove_child(ctx, (&parent_path, parent), asked.path, &node))
    }

    /// The server's own removal: no session, no permission.
    pub(super) fn delete_container(
        &mut self,
        ctx: &PrepareContext<'_>,
        path: Str,
    ) -> Result<TxnRecord, ErrorCode> {
        let parent_path = parent_of_removable(&path)?;
        let node = self.find(ctx.tree, &path)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if owner::is_session(node.stat.ephemeral_owner, ctx.options)? {
            return Err(ErrorCode::BadVersion);
        }
        let parent = self.find(ctx.tree, &parent_path)?;
        Ok(self.remove_child(ctx, (&parent_path, parent), path, &node))
    }

    fn remove_child(
        &mut self,
        ctx: &PrepareContext<'_>,
        (parent_path, parent): (&Bytes, Record),
        path: Str,
        node: &Record,
    ) -> TxnRecord {
        self.drop_child(ctx, parent_path, parent);
        self.remove(ctx, &path.clone().into_bytes(), node);
        TxnRecord::Delete(DeleteTxn { path })
    }

    /// Notes that a parent loses a child. Its `cversion` stays: it counts what was made.
    pub(super) fn drop_child(&mut self, ctx: &PrepareContext<'_>, parent_path: &Bytes, mut parent: Record) {
        parent.child_count -= 1;
        parent.stat.pzxid = ctx.zxid;
        self.put(ctx, parent_path, parent);
    }

    pub(super) fn set_data(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        asked: SetDataRequest,
    ) -> Result<TxnRecord, ErrorCode> {
        ctx.sessions.check(request.session)?;
        check_path(&asked.path)?;
        let mut node = self.find(ctx.tree, &asked.path)?;
        ctx.check_permission(&node.acl, perms::WRITE, request)?;
        let data_len = asked.data.as_ref().map_or(0, Bytes::len);
        self.check_quota(ctx, &asked.path, (node.data_len, data_len), 0)?;
        let version = next_version(node.stat.version, asked.version)?;

        node.stat.version = version;
        node.stat.mtime = ctx.unix_ms;
        node.stat.mzxid = ctx.zxid;
        node.data_len = data_len;
        node.content_sum = ctx.options.digest.then(|| digest::of_content(&asked.path, asked.data.as_deref()));
        self.put(ctx, &asked.path.clone().into_bytes(), node);
        Ok(TxnRecord::SetData(SetDataTxn { path: asked.path, data: asked.data, version }))
    }

    pub(super) fn set_acl(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        asked: SetACLRequest,
    ) -> Result<TxnRecord, ErrorCode> {
        ctx.sessions.check(request.session)?;
        check_path(&asked.path)?;
        let acl = auth::resolve_acl(asked.acl, &request.ids, &ctx.options.auth)?;
        let mut node = self.find(ctx.tree, &asked.path)?;
        ctx.check_permission(&node.acl, perms::ADMIN, request)?;
        let version = next_version(node.stat.aversion, asked.version)?;

        node.stat.aversion = version;
        node.acl = acl.clone().into();
        self.put(ctx, &asked.path.clone().into_bytes(), node);
        Ok(TxnRecord::SetAcl(SetACLTxn { path: asked.path, acl, version }))
    }

    /// Changes nothing; only a multi may hold it.
    pub(super) fn check(
        &self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        asked: CheckVersionRequest,
    ) -> Result<TxnRecord, ErrorCode> {
        ctx.sessions.check(request.session)?;
        check_path(&asked.path)?;
        let node = self.find(ctx.tree, &asked.path)?;
        ctx.check_permission(&node.acl, perms::READ, request)?;
        let version = next_version(node.stat.version, asked.version)?;
        Ok(TxnRecord::Check(CheckVersionTxn { path: asked.path, version }))
    }
}

impl Overlay {
    /// Against the usage the tree knows: what is pending does not count yet. Soft limits are only noted.
    // Java: ZooKeeperServer.checkQuota
    pub(super) fn check_quota(
        &mut self,
        ctx: &PrepareContext<'_>,
        path: &[u8],
        (old_len, new_len): (usize, usize),
        count_delta: i64,
    ) -> Result<(), ErrorCode> {
        if !ctx.options.enforce_quota {
            return Ok(());
        }
        let breaches = ctx.tree.quota_breaches(path, old_len, new_len, count_delta);
        let is_refused = breaches.iter().any(|breach| breach.hard);
        self.breaches.extend(breaches);
        if is_refused { Err(ErrorCode::QuotaExceeded) } else { Ok(()) }
    }
}

/// The parent's path; four nodes are never removed.
// Java: PrepRequestProcessor.getParentPathAndValidate, DataTree.isSpecialPath
pub(super) fn parent_of_removable(path: &Str) -> Result<Bytes, ErrorCode> {
    if matches!(&path[..], b"/" | b"/zookeeper" | b"/zookeeper/quota" | b"/zookeeper/config") {
        return Err(ErrorCode::BadArguments);
    }
    parent_of(path)
}
