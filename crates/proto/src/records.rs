//! The schema's records, in its order.
//!
//! Names, types and order of fields are those of the original's schema; a test compares them.

use bytes::Bytes;

use crate::jute::{null_as_empty, records};
use crate::{SessionId, Str, Xid, Zxid};

records! {
    /// Who a permission is for: a scheme and an id within it. Clients send a null id with the scheme `auth`,
    /// and may leave out both.
    Id {
        scheme: Str = null_as_empty,
        id: Str = null_as_empty,
    }

    /// One permission entry.
    Acl {
        perms: i32,
        id: Id,
    }

    /// Node metadata as clients see it.
    Stat {
        czxid: Zxid,
        mzxid: Zxid,
        ctime: i64,
        mtime: i64,
        version: i32,
        cversion: i32,
        aversion: i32,
        ephemeral_owner: SessionId,
        data_length: i32,
        num_children: i32,
        pzxid: Zxid,
    }

    /// Node metadata as stored; `cversion` counts creates only.
    StatPersisted {
        czxid: Zxid,
        mzxid: Zxid,
        ctime: i64,
        mtime: i64,
        version: i32,
        cversion: i32,
        aversion: i32,
        ephemeral_owner: SessionId,
        pzxid: Zxid,
    }

    /// One identity of a connection.
    ClientInfo {
        auth_scheme: Str,
        user: Str,
    }

    /// Watches a client sets again after a reconnect.
    SetWatches {
        relative_zxid: Zxid,
        data_watches: Vec<Str>,
        exist_watches: Vec<Str>,
        child_watches: Vec<Str>,
    }

    /// As [`SetWatches`], with persistent watches.
    SetWatches2 {
        relative_zxid: Zxid,
        data_watches: Vec<Str>,
        exist_watches: Vec<Str>,
        child_watches: Vec<Str>,
        persistent_watches: Vec<Str>,
        persistent_recursive_watches: Vec<Str>,
    }

    /// Leads every request after the handshake.
    RequestHeader {
        xid: Xid,
        kind: i32,
    }

    /// Leads every operation and every result of a multi.
    MultiHeader {
        kind: i32,
        done: bool,
        err: i32,
    }

    /// Adds an identity to a connection.
    AuthPacket {
        kind: i32,
        scheme: Str,
        auth: Option<Bytes>,
    }

    /// Leads every reply.
    ReplyHeader {
        xid: Xid,
        zxid: Zxid,
        err: i32,
    }

    /// Body of a GetData request.
    GetDataRequest {
        path: Str,
        watch: bool,
    }

    /// Body of a SetData request.
    SetDataRequest {
        path: Str,
        data: Option<Bytes>,
        version: i32,
    }

    /// Asks for a change of membership.
    ReconfigRequest {
        joining_servers: Option<Str>,
        leaving_servers: Option<Str>,
        new_members: Option<Str>,
        cur_config_id: i64,
    }

    /// Body of a SetData reply.
    SetDataResponse {
        stat: Stat,
    }

    /// Body of a GetSASL request.
    GetSASLRequest {
        token: Option<Bytes>,
    }

    /// Body of a SetSASL reply.
    SetSASLResponse {
        token: Option<Bytes>,
    }

    /// Body of a Create request.
    CreateRequest {
        path: Str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        flags: i32,
    }

    /// Body of a CreateTTL request.
    CreateTTLRequest {
        path: Str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        flags: i32,
        ttl: i64,
    }

    /// Body of a Delete request.
    DeleteRequest {
        path: Str,
        version: i32,
    }

    /// Body of a GetChildren request.
    GetChildrenRequest {
        path: Str,
        watch: bool,
    }

    /// Body of a GetAllChildrenNumber request.
    GetAllChildrenNumberRequest {
        path: Str,
    }

    /// Body of a GetChildren2 request.
    GetChildren2Request {
        path: Str,
        watch: bool,
    }

    /// Body of a CheckVersion request.
    CheckVersionRequest {
        path: Str,
        version: i32,
    }

    /// Body of a Sync request.
    SyncRequest {
        path: Str,
    }

    /// Body of a Sync reply.
    SyncResponse {
        path: Str,
    }

    /// Body of a GetACL request.
    GetACLRequest {
        path: Str,
    }

    /// Body of a SetACL request.
    SetACLRequest {
        path: Str,
        acl: Vec<Acl>,
        version: i32,
    }

    /// Body of a SetACL reply.
    SetACLResponse {
        stat: Stat,
    }

    /// Body of a AddWatch request.
    AddWatchRequest {
        path: Str,
        mode: i32,
    }

    /// A watch notification.
    WatcherEvent {
        kind: i32,
        state: i32,
        path: Str,
    }

    /// Body of a Error reply.
    ErrorResponse {
        err: i32,
    }

    /// Body of a Create reply.
    CreateResponse {
        path: Str,
    }

    /// Body of a Create2 reply.
    Create2Response {
        path: Str,
        stat: Stat,
    }

    /// Body of a Exists request.
    ExistsRequest {
        path: Str,
        watch: bool,
    }

    /// Body of a Exists reply.
    ExistsResponse {
        stat: Stat,
    }

    /// Body of a GetData reply.
    GetDataResponse {
        data: Option<Bytes>,
        stat: Stat,
    }

    /// Body of a GetChildren reply.
    GetChildrenResponse {
        children: Vec<Str>,
    }

    /// Body of a GetAllChildrenNumber reply.
    GetAllChildrenNumberResponse {
        total_number: i32,
    }

    /// Body of a GetChildren2 reply.
    GetChildren2Response {
        children: Vec<Str>,
        stat: Stat,
    }

    /// Body of a GetACL reply.
    GetACLResponse {
        acl: Vec<Acl>,
        stat: Stat,
    }

    /// Body of a CheckWatches request.
    CheckWatchesRequest {
        path: Str,
        kind: i32,
    }

    /// Body of a RemoveWatches request.
    RemoveWatchesRequest {
        path: Str,
        kind: i32,
    }

    /// Body of a GetEphemerals request.
    GetEphemeralsRequest {
        prefix_path: Option<Str>,
    }

    /// Body of a GetEphemerals reply.
    GetEphemeralsResponse {
        ephemerals: Vec<Str>,
    }

    /// Body of a WhoAmI reply.
    WhoAmIResponse {
        client_info: Vec<ClientInfo>,
    }

    /// First bytes of a txn log and of a snapshot.
    FileHeader {
        magic: i32,
        version: i32,
        dbid: i64,
    }

    /// Digest of the tree after a txn.
    TxnDigest {
        version: i32,
        tree_digest: i64,
    }

    /// Leads every txn.
    TxnHeader {
        client_id: SessionId,
        cxid: Xid,
        zxid: Zxid,
        time: i64,
        kind: i32,
    }

    /// Body of a Create txn.
    CreateTxn {
        path: Str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        ephemeral: bool,
        parent_c_version: i32,
    }

    /// Body of a CreateTTL txn.
    CreateTTLTxn {
        path: Str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        parent_c_version: i32,
        ttl: i64,
    }

    /// Body of a CreateContainer txn.
    CreateContainerTxn {
        path: Str,
        data: Option<Bytes>,
        acl: Vec<Acl>,
        parent_c_version: i32,
    }

    /// Body of a Delete txn.
    DeleteTxn {
        path: Str,
    }

    /// Body of a SetData txn.
    SetDataTxn {
        path: Str,
        data: Option<Bytes>,
        version: i32,
    }

    /// Body of a CheckVersion txn.
    CheckVersionTxn {
        path: Str,
        version: i32,
    }

    /// Body of a SetACL txn.
    SetACLTxn {
        path: Str,
        acl: Vec<Acl>,
        version: i32,
    }

    /// Body of a CreateSession txn.
    CreateSessionTxn {
        time_out: i32,
    }

    /// Body of a CloseSession txn.
    CloseSessionTxn {
        paths_to_delete: Vec<Str>,
    }

    /// Body of a Error txn.
    ErrorTxn {
        err: i32,
    }
}
