//! Turns a write request into a txn with final values.
//!
//! Every request yields exactly one txn under the zxid it is given: what fails becomes an error txn, so
//! that the history stays dense. Requests are checked against the tree as it will be once all earlier
//! txns are applied, see [`Overlay`]; which check comes first decides which error a client sees.
//!
//! Apart from the original: `createTTL` with a mode that has no time to live is refused (there it breaks
//! the server at apply), and `deleteContainer` is no operation for clients (there it needs no permission).
// Java: PrepRequestProcessor

mod change;
mod create;
pub(crate) mod digest;
pub(crate) mod eager;
mod multi;
mod owner;
pub(crate) mod reconfig;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use oxherd_proto::{
    Acl, ErrorCode, Id, Jute, OpCode, SessionId, Str, TxnDigest, TxnHeader, TxnRecord, Xid, Zxid,
};
use oxherd_tree::Tree;

use crate::auth::AuthOptions;
use crate::overlay::Overlay;

/// Where a write comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client sent it.
    Client,
    /// The server made it: sessions that expire, containers that go.
    Internal,
}

/// A write on its way into the history.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// The session that asks.
    pub session: SessionId,
    /// The client's number for it.
    pub xid: Xid,
    /// What it asks for.
    pub op: OpCode,
    /// The operation's record; of an internal `deleteContainer` the path alone.
    pub body: Bytes,
    /// Identities of the connection when the request came.
    pub ids: Arc<[Id]>,
    /// Who made it.
    pub origin: Origin,
}

impl WriteRequest {
    /// Whether it may make the tree larger; such writes are refused while the disk is full.
    pub fn grows(&self) -> bool {
        !matches!(
            self.op,
            OpCode::Delete | OpCode::DeleteContainer | OpCode::CreateSession | OpCode::CloseSession
        )
    }
}

/// Switches of the checks.
#[derive(Clone, Debug)]
pub struct PrepareOptions {
    /// Whether nodes may have a time to live (`extendedTypesEnabled`).
    pub extended_types: bool,
    /// Whether owners as of 3.5.3 count as times to live too (`emulate353TTLNodes`).
    pub emulate_353_ttl: bool,
    /// Whether txns tell the digest of the tree after them (`digest.enabled`).
    pub digest: bool,
    /// Whether permissions go unchecked (`skipACL=yes`).
    pub skip_acl: bool,
    /// Whether the server that a client is connected to checks permissions, before a write goes any further
    /// (`enableEagerACLCheck`); for members of ensembles.
    pub eager_acl: bool,
    /// Whether hard quotas refuse writes (`enforceQuota`).
    pub enforce_quota: bool,
    /// Whether a closeSession txn lists the nodes it removes (`closeSessionTxn.enabled`).
    pub close_session_paths: bool,
    /// Whether the membership may change (`reconfigEnabled`).
    pub reconfig: bool,
    /// Whether an ensemble keeps two voters at least (`standaloneEnabled`).
    pub standalone_enabled: bool,
    /// Whether a member may have several addresses (`multiAddress.enabled`).
    pub multi_address: bool,
    /// Schemes an ACL may name.
    pub auth: AuthOptions,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self {
            extended_types: false,
            emulate_353_ttl: false,
            digest: true,
            skip_acl: false,
            eager_acl: false,
            enforce_quota: false,
            close_session_paths: true,
            reconfig: false,
            standalone_enabled: true,
            multi_address: false,
            auth: AuthOptions::default(),
        }
    }
}

/// The sessions as far as writes have to know them.
pub(crate) trait SessionView {
    /// Whether the session may write.
    // Java: SessionTracker.checkSession
    fn check(&self, session: SessionId) -> Result<(), ErrorCode>;

    /// Whether the session may own ephemeral nodes, for which every server has to know it.
    // Java: SessionTracker.checkGlobalSession
    fn check_global(&self, session: SessionId) -> Result<(), ErrorCode> {
        self.check(session)
    }

    /// Whether only this server knows the session; it may have no ephemeral nodes then.
    fn is_local(&self, _session: SessionId) -> bool {
        false
    }
}

/// What a request is prepared against.
pub(crate) struct PrepareContext<'a> {
    /// The tree as of the last applied txn.
    pub(crate) tree: &'a Tree,
    /// The txn's place in the history; used up whatever comes out.
    pub(crate) zxid: Zxid,
    /// Wall clock, ms since 1970.
    pub(crate) unix_ms: i64,
    /// Who is alive.
    pub(crate) sessions: &'a dyn SessionView,
    /// What the operator set.
    pub(crate) options: &'a PrepareOptions,
    /// Who belongs to the ensemble; `None` for a server alone.
    pub(crate) membership: Option<&'a dyn reconfig::Membership>,
}

/// A txn that is ready to be proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// Who, when, where in the history; the type is that of an error if it is one.
    pub(crate) header: TxnHeader,
    /// What changes.
    pub(crate) record: TxnRecord,
    /// The tree after it.
    pub(crate) digest: Option<TxnDigest>,
    /// Why the request failed. `None` for a multi: its results tell.
    pub(crate) error: Option<ErrorCode>,
}

impl Overlay {
    /// Makes the txn for a request and notes what it will change.
    // Java: PrepRequestProcessor.pRequestHelper
    pub(crate) fn prepare(&mut self, ctx: &PrepareContext<'_>, request: &WriteRequest) -> Prepared {
        match self.make(ctx, request) {
            Ok(record) => Prepared {
                header: header(ctx, request, request.op),
                record,
                digest: ctx.options.digest.then(|| self.txn_digest(ctx)),
                error: None,
            },
            Err(code) => Self::refuse(ctx, request, code),
        }
    }

    /// The error txn of a request that is not carried out.
    pub(crate) fn refuse(ctx: &PrepareContext<'_>, request: &WriteRequest, code: ErrorCode) -> Prepared {
        Prepared {
            header: header(ctx, request, OpCode::Error),
            record: TxnRecord::Error(code),
            digest: None,
            error: Some(code),
        }
    }

    #[expect(clippy::cast_possible_wrap, reason = "the digest is a bit pattern")]
    fn txn_digest(&self, ctx: &PrepareContext<'_>) -> TxnDigest {
        TxnDigest { version: oxherd_tree::DIGEST_VERSION, tree_digest: self.pending_digest(ctx.tree) as i64 }
    }

    fn make(&mut self, ctx: &PrepareContext<'_>, request: &WriteRequest) -> Result<TxnRecord, ErrorCode> {
        match request.op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                self.create(ctx, request, create::Asked::plain(request.op, decode(request)?))
            }
            OpCode::CreateTtl => self.create(ctx, request, create::Asked::with_ttl(decode(request)?)),
            OpCode::Delete => self.delete(ctx, request, decode(request)?),
            OpCode::SetData => self.set_data(ctx, request, decode(request)?),
            OpCode::SetAcl => self.set_acl(ctx, request, decode(request)?),
            OpCode::Multi => self.multi(ctx, request),
            OpCode::Reconfig => self.reconfig(ctx, request, &decode(request)?),
            OpCode::CreateSession => Self::create_session(request),
            OpCode::CloseSession => Ok(self.close_session(ctx, request.session)),
            OpCode::DeleteContainer if request.origin == Origin::Internal => {
                self.delete_container(ctx, Str::from_bytes(request.body.clone()))
            }
            _ => Err(ErrorCode::Unimplemented),
        }
    }
}

fn header(ctx: &PrepareContext<'_>, request: &WriteRequest, op: OpCode) -> TxnHeader {
    TxnHeader {
        client_id: request.session,
        cxid: request.xid,
        zxid: ctx.zxid,
        time: ctx.unix_ms,
        kind: op.code(),
    }
}

fn decode<T: Jute>(request: &WriteRequest) -> Result<T, ErrorCode> {
    T::from_bytes(request.body.clone()).map_err(|_| ErrorCode::MarshallingError)
}

impl PrepareContext<'_> {
    // Java: ZooKeeperServer.checkACL
    fn check_permission(&self, acl: &[Acl], perms: i32, request: &WriteRequest) -> Result<(), ErrorCode> {
        if self.options.skip_acl || oxherd_tree::permits(acl, perms, &request.ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }
}

fn check_path(path: &[u8]) -> Result<(), ErrorCode> {
    oxherd_tree::validate_path(path).map_err(|_| ErrorCode::BadArguments)
}

/// The parent's path, `""` for the root; only the slash and NUL are looked at.
// Java: PrepRequestProcessor.validatePathForCreate
fn parent_of(path: &Str) -> Result<Bytes, ErrorCode> {
    let slash = path.iter().rposition(|byte| *byte == b'/').ok_or(ErrorCode::BadArguments)?;
    if path.contains(&0) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(path.clone().into_bytes().slice(..slash))
}

/// The version after a change, if the expected one is the current one; −1 expects nothing.
// Java: PrepRequestProcessor.checkAndIncVersion
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == -1 || expected == current {
        Ok(current.wrapping_add(1))
    } else {
        Err(ErrorCode::BadVersion)
    }
}
