//! A method for each operation of the protocol.

use bytes::Bytes;
use oxherd_proto::{
    Acl, AddWatchRequest, CheckWatchesRequest, ClientInfo, Create2Response, CreateMode, CreateRequest,
    CreateResponse, CreateTTLRequest, DeleteRequest, ErrorCode, ExistsRequest, ExistsResponse, GetACLRequest,
    GetACLResponse, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request,
    GetChildren2Response, GetChildrenRequest, GetChildrenResponse, GetDataRequest, GetDataResponse,
    GetEphemeralsRequest, GetEphemeralsResponse, Id, Jute, MultiOp, MultiResult, OpCode, ReconfigRequest,
    RemoveWatchesRequest, SetACLRequest, SetACLResponse, SetDataRequest, SetDataResponse, Stat, Str,
    SyncRequest, WhoAmIResponse, decode_multi_results, encode_multi,
};

use crate::{Client, ClientError, Effect, Request, WatchKind, WatcherType};

/// How a watch that stays matches.
// Java: AddWatchMode
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddWatchMode {
    /// The node alone: its data, its children, its creation and deletion.
    Persistent,
    /// The node and all below it: data, creation and deletion.
    PersistentRecursive,
}

/// A change of membership: the first two change it by steps, the third replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconfiguration {
    /// Servers to add, as `server.N=spec,…`.
    pub joining: Option<String>,
    /// Ids of servers to remove, as `N,M`.
    pub leaving: Option<String>,
    /// All members.
    pub members: Option<String>,
    /// Version the current membership must have.
    pub from_version: Option<i64>,
}

/// The ACL that lets anybody do anything.
pub fn open_acl() -> Vec<Acl> {
    vec![Acl { perms: 31, id: Id { scheme: Str::from_static("world"), id: Str::from_static("anyone") } }]
}

fn watch(on: bool, kind: WatchKind, path: &Str) -> Effect {
    if on { Effect::Watch(kind, path.clone()) } else { Effect::None }
}

fn texts(list: &[Str]) -> Vec<String> {
    list.iter().map(|item| item.to_text().into_owned()).collect()
}

/// Names and paths come as text; bytes that are not UTF-8 become U+FFFD.
impl Client {
    async fn ask<R: Jute>(&self, path: &str, request: Request) -> Result<R, ClientError> {
        let reply = self.call(path, request).await?;
        Ok(R::from_bytes(reply.body)?)
    }

    fn creation_path(&self, path: &str, mode: CreateMode) -> Result<Str, ClientError> {
        let joined =
            if mode.is_sequential() { self.chroot().join_sequential(path) } else { self.chroot().join(path) };
        Ok(joined?)
    }

    /// Makes a node; answers its path, which a sequential mode completes. TTL modes: [`Self::create_ttl`].
    pub async fn create(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<String, ClientError> {
        let record = CreateRequest { path: self.creation_path(path, mode)?, data, acl, flags: mode.flags() };
        let op = if mode == CreateMode::Container { OpCode::CreateContainer } else { OpCode::Create };
        let response: CreateResponse = self.ask(path, Request::new(op, &record)).await?;
        Ok(self.chroot().strip(&response.path))
    }

    /// As [`Self::create`], with the new node's metadata.
    pub async fn create2(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
    ) -> Result<(String, Stat), ClientError> {
        let record = CreateRequest { path: self.creation_path(path, mode)?, data, acl, flags: mode.flags() };
        let op = if mode == CreateMode::Container { OpCode::CreateContainer } else { OpCode::Create2 };
        let response: Create2Response = self.ask(path, Request::new(op, &record)).await?;
        Ok((self.chroot().strip(&response.path), response.stat))
    }

    /// Makes a node of a TTL mode, which lives for `ttl_ms` after its last change while it has no child.
    pub async fn create_ttl(
        &self,
        path: &str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        mode: CreateMode,
        ttl_ms: i64,
    ) -> Result<(String, Stat), ClientError> {
        let path_sent = self.creation_path(path, mode)?;
        let record = CreateTTLRequest { path: path_sent, data, acl, flags: mode.flags(), ttl: ttl_ms };
        let response: Create2Response = self.ask(path, Request::new(OpCode::CreateTtl, &record)).await?;
        Ok((self.chroot().strip(&response.path), response.stat))
    }

    /// Removes a node of this version; −1 for any.
    pub async fn delete(&self, path: &str, version: i32) -> Result<(), ClientError> {
        let record = DeleteRequest { path: self.chroot().join(path)?, version };
        self.call(path, Request::new(OpCode::Delete, &record)).await.map(drop)
    }

    /// A node's metadata, or `None` when there is no node. A watch is set either way.
    pub async fn exists(&self, path: &str, watched: bool) -> Result<Option<Stat>, ClientError> {
        let record = ExistsRequest { path: self.chroot().join(path)?, watch: watched };
        let effect = watch(watched, WatchKind::Exists, &record.path);
        let asked = self.ask(path, Request::new(OpCode::Exists, &record).with(effect)).await;
        match asked {
            Ok(ExistsResponse { stat }) => Ok(Some(stat)),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A node's data and metadata; null data differs from empty data.
    pub async fn get_data(&self, path: &str, watched: bool) -> Result<(Option<Bytes>, Stat), ClientError> {
        let record = GetDataRequest { path: self.chroot().join(path)?, watch: watched };
        let effect = watch(watched, WatchKind::Data, &record.path);
        let request = Request::new(OpCode::GetData, &record).with(effect);
        let GetDataResponse { data, stat } = self.ask(path, request).await?;
        Ok((data, stat))
    }

    /// The membership as the servers publish it, outside any chroot.
    // Java: ZooKeeper.getConfig
    pub async fn get_config(&self, watched: bool) -> Result<(Option<Bytes>, Stat), ClientError> {
        let path = "/zookeeper/config";
        let record = GetDataRequest { path: Str::from_static(path), watch: watched };
        let effect = watch(watched, WatchKind::Data, &record.path);
        let request = Request::new(OpCode::GetData, &record).with(effect);
        let GetDataResponse { data, stat } = self.ask(path, request).await?;
        Ok((data, stat))
    }

    /// Replaces the data of a node of this version; −1 for any.
    pub async fn set_data(&self, path: &str, data: Option<Bytes>, version: i32) -> Result<Stat, ClientError> {
        let record = SetDataRequest { path: self.chroot().join(path)?, data, version };
        let response: SetDataResponse = self.ask(path, Request::new(OpCode::SetData, &record)).await?;
        Ok(response.stat)
    }

    /// A node's ACL and metadata.
    pub async fn get_acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), ClientError> {
        let record = GetACLRequest { path: self.chroot().join(path)? };
        let response: GetACLResponse = self.ask(path, Request::new(OpCode::GetAcl, &record)).await?;
        Ok((response.acl, response.stat))
    }

    /// Replaces the ACL of a node of this ACL version; −1 for any.
    pub async fn set_acl(&self, path: &str, acl: Vec<Acl>, version: i32) -> Result<Stat, ClientError> {
        let record = SetACLRequest { path: self.chroot().join(path)?, acl, version };
        let response: SetACLResponse = self.ask(path, Request::new(OpCode::SetAcl, &record)).await?;
        Ok(response.stat)
    }

    /// Names of a node's children, in no order.
    pub async fn get_children(&self, path: &str, watched: bool) -> Result<Vec<String>, ClientError> {
        let record = GetChildrenRequest { path: self.chroot().join(path)?, watch: watched };
        let effect = watch(watched, WatchKind::Child, &record.path);
        let request = Request::new(OpCode::GetChildren, &record).with(effect);
        let response: GetChildrenResponse = self.ask(path, request).await?;
        Ok(texts(&response.children))
    }

    /// As [`Self::get_children`], with the node's metadata.
    pub async fn get_children2(&self, path: &str, watched: bool) -> Result<(Vec<String>, Stat), ClientError> {
        let record = GetChildren2Request { path: self.chroot().join(path)?, watch: watched };
        let effect = watch(watched, WatchKind::Child, &record.path);
        let request = Request::new(OpCode::GetChildren2, &record).with(effect);
        let response: GetChildren2Response = self.ask(path, request).await?;
        Ok((texts(&response.children), response.stat))
    }

    /// Number of all nodes below a node.
    pub async fn get_all_children_number(&self, path: &str) -> Result<i32, ClientError> {
        let record = GetAllChildrenNumberRequest { path: self.chroot().join(path)? };
        let request = Request::new(OpCode::GetAllChildrenNumber, &record);
        let response: GetAllChildrenNumberResponse = self.ask(path, request).await?;
        Ok(response.total_number)
    }

    /// This session's ephemeral nodes whose paths start with `prefix`; `/` for all.
    pub async fn get_ephemerals(&self, prefix: &str) -> Result<Vec<String>, ClientError> {
        let record = GetEphemeralsRequest { prefix_path: Some(self.chroot().join(prefix)?) };
        let request = Request::new(OpCode::GetEphemerals, &record);
        let response: GetEphemeralsResponse = self.ask(prefix, request).await?;
        Ok(response.ephemerals.iter().map(|path| self.chroot().strip(path)).collect())
    }

    /// Waits until this session's server knows all that the leader had in flight.
    pub async fn sync(&self, path: &str) -> Result<(), ClientError> {
        let record = SyncRequest { path: self.chroot().join(path)? };
        self.call(path, Request::new(OpCode::Sync, &record)).await.map(drop)
    }

    /// Several writes as one: all or none. Paths inside are taken as they are sent, so join them first
    /// with [`crate::Chroot::join`]. A failure stands in the results, one for each operation.
    pub async fn multi(&self, ops: &[MultiOp]) -> Result<Vec<MultiResult>, ClientError> {
        self.many(OpCode::Multi, ops).await
    }

    /// Several reads as one; each has its own result. Paths as with [`Self::multi`].
    pub async fn multi_read(&self, ops: &[MultiOp]) -> Result<Vec<MultiResult>, ClientError> {
        self.many(OpCode::MultiRead, ops).await
    }

    async fn many(&self, op: OpCode, ops: &[MultiOp]) -> Result<Vec<MultiResult>, ClientError> {
        let mut request = Request::bare(op);
        encode_multi(ops, &mut request.body);
        let reply = self.call("", request).await?;
        Ok(decode_multi_results(reply.body)?)
    }

    /// Sets a watch that stays until it is removed.
    pub async fn add_watch(&self, path: &str, mode: AddWatchMode) -> Result<(), ClientError> {
        let (mode, kind) = match mode {
            AddWatchMode::Persistent => (0, WatchKind::Persistent),
            AddWatchMode::PersistentRecursive => (1, WatchKind::PersistentRecursive),
        };
        let record = AddWatchRequest { path: self.chroot().join(path)?, mode };
        let effect = Effect::Watch(kind, record.path.clone());
        self.call(path, Request::new(OpCode::AddWatch, &record).with(effect)).await.map(drop)
    }

    /// Removes watches; `NoWatcher` when this session has none there. With `local` a lost connection
    /// counts as success.
    pub async fn remove_watches(
        &self,
        path: &str,
        kind: WatcherType,
        local: bool,
    ) -> Result<(), ClientError> {
        let record = RemoveWatchesRequest { path: self.chroot().join(path)?, kind: kind.code() };
        let effect = Effect::Unwatch { path: record.path.clone(), kind, local };
        self.call(path, Request::new(OpCode::RemoveWatches, &record).with(effect)).await.map(drop)
    }

    /// Asks the server whether it has a watch of this session; `NoWatcher` when not.
    pub async fn check_watches(&self, path: &str, kind: WatcherType) -> Result<(), ClientError> {
        let record = CheckWatchesRequest { path: self.chroot().join(path)?, kind: kind.code() };
        self.call(path, Request::new(OpCode::CheckWatches, &record)).await.map(drop)
    }

    /// The identities of this connection.
    pub async fn who_am_i(&self) -> Result<Vec<ClientInfo>, ClientError> {
        let response: WhoAmIResponse = self.ask("", Request::bare(OpCode::WhoAmI)).await?;
        Ok(response.client_info)
    }

    /// Changes the membership; answers the configuration then in force.
    // Java: ZooKeeperAdmin.reconfigure
    pub async fn reconfig(&self, change: &Reconfiguration) -> Result<(Bytes, Stat), ClientError> {
        let text = |part: &Option<String>| part.as_deref().map(Str::from);
        let record = ReconfigRequest {
            joining_servers: text(&change.joining),
            leaving_servers: text(&change.leaving),
            new_members: text(&change.members),
            cur_config_id: change.from_version.unwrap_or(-1),
        };
        let request = Request::new(OpCode::Reconfig, &record);
        let GetDataResponse { data, stat } = self.ask("", request).await?;
        Ok((data.unwrap_or_default(), stat))
    }
}
