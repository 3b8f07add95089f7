//! The four operations that make a node.

use bytes::Bytes;
use oxherd_proto::{
    Acl, CreateContainerTxn, CreateMode, CreateRequest, CreateTTLRequest, CreateTTLTxn, CreateTxn, ErrorCode,
    OpCode, SessionId, StatPersisted, Str, TxnRecord,
};

use super::{PrepareContext, WriteRequest, check_path, digest, owner, parent_of};
use crate::auth::{self, perms};
use crate::overlay::{Overlay, Record};

/// A create request of any kind.
pub(super) struct Asked {
    op: OpCode,
    path: Str,
    data: Option<Bytes>,
    acl: Vec<Acl>,
    flags: i32,
    /// −1 where the operation has none.
    ttl_ms: i64,
}

impl Asked {
    pub(super) fn plain(op: OpCode, request: CreateRequest) -> Self {
        let CreateRequest { path, data, acl, flags } = request;
        Self { op, path, data, acl, flags, ttl_ms: -1 }
    }

    pub(super) fn with_ttl(request: CreateTTLRequest) -> Self {
        let CreateTTLRequest { path, data, acl, flags, ttl } = request;
        Self { op: OpCode::CreateTtl, path, data, acl, flags, ttl_ms: ttl }
    }

    // Java: PrepRequestProcessor.validateCreateRequest
    fn check_mode(&self, ctx: &PrepareContext<'_>, session: SessionId) -> Result<CreateMode, ErrorCode> {
        let mode = CreateMode::from_flags(self.flags).ok_or(ErrorCode::BadArguments)?;
        if mode.is_ttl() && !ctx.options.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let fits = if mode.is_ttl() {
            (1..=CreateMode::TTL_MS_MAX).contains(&self.ttl_ms)
        } else {
            self.ttl_ms < 0 && self.op != OpCode::CreateTtl
        };
        if !fits {
            return Err(ErrorCode::BadArguments);
        }
        if mode.is_ephemeral() && ctx.sessions.is_local(session) {
            return Err(ErrorCode::EphemeralOnLocalSession);
        }
        if mode.is_ephemeral() {
            ctx.sessions.check_global(session)?
        } else {
            ctx.sessions.check(session)?
        }
        Ok(mode)
    }

    /// The owner the node will have once the txn is applied: the operation decides before the mode does.
    fn owner(&self, mode: CreateMode, session: SessionId) -> SessionId {
        match self.op {
            OpCode::CreateContainer => SessionId::CONTAINER,
            OpCode::CreateTtl => mode.owner(session, self.ttl_ms),
            _ if mode.is_ephemeral() => session,
            _ => SessionId(0),
        }
    }

    fn into_record(self, path: Str, ephemeral: bool, parent_c_version: i32) -> TxnRecord {
        let Self { op, data, acl, ttl_ms, .. } = self;
        match op {
            OpCode::CreateContainer => {
                TxnRecord::CreateContainer(CreateContainerTxn { path, data, acl, parent_c_version })
            }
            OpCode::CreateTtl => {
                TxnRecord::CreateTtl(CreateTTLTxn { path, data, acl, parent_c_version, ttl: ttl_ms })
            }
            _ => TxnRecord::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version }),
        }
    }
}

impl Overlay {
    // Java: PrepRequestProcessor.pRequest2TxnCreate
    pub(super) fn create(
        &mut self,
        ctx: &PrepareContext<'_>,
        request: &WriteRequest,
        mut asked: Asked,
    ) -> Result<TxnRecord, ErrorCode> {
        let mode = asked.check_mode(ctx, request.session)?;
        let parent_path = parent_of(&asked.path)?;
        asked.acl = auth::resolve_acl(asked.acl, &request.ids, &ctx.options.auth)?;
        let mut parent = self.find(ctx.tree, &parent_path)?;
        ctx.check_permission(&parent.acl, perms::CREATE, request)?;
        let path = final_path(&asked.path, mode, parent.stat.cversion);
        check_path(&path)?;
        if self.exists(ctx.tree, &path) {
            return Err(ErrorCode::NodeExists);
        }
        if owner::is_session(parent.stat.ephemeral_owner, ctx.options)? {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.check_quota(ctx, &path, (0, asked.data.as_ref().map_or(0, Bytes::len)), 1)?;

        parent.child_count += 1;
        parent.stat.cversion = parent.stat.cversion.wrapping_add(1);
        parent.stat.pzxid = ctx.zxid;
        let parent_c_version = parent.stat.cversion;
        self.put(ctx, &parent_path, parent);
        self.put(
            ctx,
            &path.clone().into_bytes(),
            made(ctx, &path, &asked, asked.owner(mode, request.session)),
        );
        Ok(asked.into_record(path, mode.is_ephemeral(), parent_c_version))
    }
}

pub(super) fn final_path(path: &Str, mode: CreateMode, parent_c_version: i32) -> Str {
    if !mode.is_sequential() {
        return path.clone();
    }
    let mut text = path.as_bytes().to_vec();
    text.extend_from_slice(format!("{parent_c_version:010}").as_bytes());
    text.into()
}

// Java: DataTree.createStat
fn made(ctx: &PrepareContext<'_>, path: &[u8], asked: &Asked, owner: SessionId) -> Record {
    let stat = StatPersisted {
        czxid: ctx.zxid,
        mzxid: ctx.zxid,
        pzxid: ctx.zxid,
        ctime: ctx.unix_ms,
        mtime: ctx.unix_ms,
        ephemeral_owner: owner,
        ..StatPersisted::default()
    };
    let content = if ctx.options.digest { digest::of_content(path, asked.data.as_deref()) } else { 0 };
    Record::made(stat, asked.acl.clone().into(), asked.data.as_ref().map_or(0, Bytes::len), content)
}
