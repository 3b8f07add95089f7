//! The operations that change nothing in the tree, answered from a shared view of it.
// Java: FinalRequestProcessor.processRequest

use bytes::Bytes;
use oxherd_proto::{
    AddWatchRequest, CheckWatchesRequest, ErrorCode, ExistsRequest, GetACLRequest,
    GetAllChildrenNumberRequest, GetChildren2Request, GetDataRequest, GetDataResponse, GetEphemeralsRequest,
    Id, Jute, MultiOp, MultiResult, OpCode, SessionId, SetWatches, SetWatches2, WhoAmIResponse, Xid, Zxid,
    begin_frame, decode_multi_read, encode_multi_results, end_frame, reply_header,
};
use oxherd_tree::{ClientId, EventType, WatchMode, WatcherKind, namespace, read};

use crate::auth;
use crate::connection::{Request, Side};
use crate::hash_order;

/// Who asks.
pub(crate) struct Caller<'a> {
    pub(crate) client: ClientId,
    pub(crate) session: SessionId,
    pub(crate) ids: &'a [Id],
}

/// Appends the answer of a read, preceded by the events it brings about.
pub(crate) fn answer(request: &Request, caller: &Caller<'_>, side: &Side<'_>, out: &mut Vec<u8>) {
    let zxid = side.tree.last_zxid();
    let xid = if request.op == OpCode::Ping { Xid::PING } else { request.xid };
    if matches!(request.op, OpCode::SetWatches | OpCode::SetWatches2) {
        let result = set_watches(request, caller, side, out);
        return answer_header(xid, zxid, result.err().unwrap_or(ErrorCode::Ok), out);
    }
    let at = begin_frame(out);
    reply_header(xid, zxid, ErrorCode::Ok, out);
    if let Err(code) = body(request, caller, side, out) {
        out.truncate(at);
        return answer_header(xid, zxid, code, out);
    }
    end_frame(out, at);
}

fn answer_header(xid: Xid, zxid: Zxid, code: ErrorCode, out: &mut Vec<u8>) {
    let at = begin_frame(out);
    reply_header(xid, zxid, code, out);
    end_frame(out, at);
}

/// Appends a watch notification.
pub(crate) fn encode_event(kind: EventType, path: &[u8], zxid: Zxid, out: &mut Vec<u8>) {
    /// The only state a server ever reports: SyncConnected.
    const SYNC_CONNECTED: i32 = 3;
    let at = begin_frame(out);
    reply_header(Xid::NOTIFICATION, zxid, ErrorCode::Ok, out);
    kind.code().encode(out);
    SYNC_CONNECTED.encode(out);
    encode_bytes(path, out);
    end_frame(out, at);
}

fn body(request: &Request, caller: &Caller<'_>, side: &Side<'_>, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
    let input = || request.body.clone();
    match request.op {
        OpCode::Ping | OpCode::CloseSession => Ok(()),
        OpCode::GetData => get_data(&parse(input())?, caller, side, out),
        OpCode::Exists => exists(&parse(input())?, caller, side, out),
        OpCode::GetChildren => get_children(&parse(input())?, false, caller, side, out),
        OpCode::GetChildren2 => get_children(&parse(input())?, true, caller, side, out),
        OpCode::GetAcl => get_acl(&parse(input())?, caller, side, out),
        OpCode::GetAllChildrenNumber => all_children_number(&parse(input())?, caller, side, out),
        OpCode::GetEphemerals => {
            ephemerals(&parse(input())?, caller, side, out);
            Ok(())
        }
        OpCode::WhoAmI => who_am_i(caller, out),
        OpCode::AddWatch => add_watch(&parse(input())?, caller, side, out),
        OpCode::CheckWatches => check_watches(&parse(input())?, caller, side),
        OpCode::RemoveWatches => remove_watches(&parse(input())?, caller, side),
        OpCode::MultiRead => multi_read(input(), caller, side, out),
        _ => Err(ErrorCode::Unimplemented),
    }
}

fn parse<T: Jute>(body: Bytes) -> Result<T, ErrorCode> {
    T::from_bytes(body).map_err(|_| ErrorCode::MarshallingError)
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    i32::try_from(bytes.len()).expect("a path came in one frame").encode(out);
    out.extend_from_slice(bytes);
}

fn reader<'a>(caller: &Caller<'a>, side: &Side<'_>) -> read::Caller<'a> {
    read::Caller { ids: caller.ids, skip_acl: side.options.skip_acl }
}

fn watch(path: &[u8], wanted: bool, mode: WatchMode, caller: &Caller<'_>, side: &Side<'_>) {
    if wanted {
        side.watches.lock().add(path, caller.client, mode);
    }
}

/// Counts an answered read; `len` as [`namespace::read`] wants it.
fn count(path: &[u8], len: usize, side: &Side<'_>) {
    if let Some((name, len)) = namespace::read(path, len) {
        side.statistics.metrics.read_per_namespace.add(name, len);
    }
}

fn get_data(
    request: &GetDataRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    let len = read::encode_data(side.tree, request, reader(caller, side), out)?;
    count(&request.path, len, side);
    watch(&request.path, request.watch, WatchMode::Data, caller, side);
    Ok(())
}

/// A watch on a node that is not there waits for its creation.
fn exists(
    request: &ExistsRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    let found = read::exists(side.tree, request, reader(caller, side));
    if matches!(found, Ok(_) | Err(ErrorCode::NoNode)) {
        watch(&request.path, request.watch, WatchMode::Data, caller, side);
    }
    found?.encode(out);
    count(&request.path, 0, side);
    Ok(())
}

fn get_children(
    request: &GetChildren2Request,
    with_stat: bool,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    let len = read::encode_children(side.tree, &request.path, with_stat, reader(caller, side), out)?;
    count(&request.path, len, side);
    watch(&request.path, request.watch, WatchMode::Child, caller, side);
    Ok(())
}

fn get_acl(
    request: &GetACLRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    read::get_acl(side.tree, request, reader(caller, side))?.encode(out);
    Ok(())
}

fn all_children_number(
    request: &GetAllChildrenNumberRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    read::get_all_children_number(side.tree, request, reader(caller, side))?.encode(out);
    Ok(())
}

fn ephemerals(request: &GetEphemeralsRequest, caller: &Caller<'_>, side: &Side<'_>, out: &mut Vec<u8>) {
    let mut found = read::get_ephemerals(side.tree, request, caller.session);
    hash_order::sort(&mut found.ephemerals);
    found.encode(out);
}

fn who_am_i(caller: &Caller<'_>, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
    WhoAmIResponse { client_info: auth::client_infos(caller.ids) }.encode(out);
    Ok(())
}

// ---- watches

// Java: DataTree.addWatch, AddWatchMode.fromInt
fn add_watch(
    request: &AddWatchRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    let mode = match request.mode {
        0 => WatchMode::Persistent,
        1 => WatchMode::PersistentRecursive,
        _ => return Err(ErrorCode::MarshallingError),
    };
    watch(&request.path, true, mode, caller, side);
    ErrorCode::Ok.encode(out);
    Ok(())
}

fn watcher_kind(code: i32) -> Result<WatcherKind, ErrorCode> {
    WatcherKind::from_code(code).ok_or(ErrorCode::MarshallingError)
}

fn check_watches(
    request: &CheckWatchesRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
) -> Result<(), ErrorCode> {
    let kind = watcher_kind(request.kind)?;
    let found = side.watches.lock().contains(&request.path, caller.client, kind);
    if found { Ok(()) } else { Err(ErrorCode::NoWatcher) }
}

fn remove_watches(
    request: &CheckWatchesRequest,
    caller: &Caller<'_>,
    side: &Side<'_>,
) -> Result<(), ErrorCode> {
    let kind = watcher_kind(request.kind)?;
    let removed = side.watches.lock().remove(&request.path, caller.client, kind);
    if removed { Ok(()) } else { Err(ErrorCode::NoWatcher) }
}

/// Watches come back after a reconnect; what changed meanwhile is told at once.
// Java: DataTree.setWatches
fn set_watches(
    request: &Request,
    caller: &Caller<'_>,
    side: &Side<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    let all = if request.op == OpCode::SetWatches {
        let SetWatches { relative_zxid, data_watches, exist_watches, child_watches } =
            parse(request.body.clone())?;
        SetWatches2 { relative_zxid, data_watches, exist_watches, child_watches, ..SetWatches2::default() }
    } else {
        parse(request.body.clone())?
    };
    side.watches.lock().rearm(side.tree, caller.client, &all, &mut |kind, path| {
        encode_event(kind, path, Zxid(-1), out);
    });
    Ok(())
}

// ---- several reads at once

fn multi_read(body: Bytes, caller: &Caller<'_>, side: &Side<'_>, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
    let ops = decode_multi_read(body).map_err(|_| ErrorCode::MarshallingError)?;
    let results: Vec<MultiResult> =
        ops.iter().map(|op| read_one(op, caller, side).unwrap_or_else(MultiResult::Error)).collect();
    encode_multi_results(&results, out);
    Ok(())
}

/// A multi never sets a watch, whatever its flags say.
fn read_one(op: &MultiOp, caller: &Caller<'_>, side: &Side<'_>) -> Result<MultiResult, ErrorCode> {
    match op {
        MultiOp::GetData(request) => {
            let GetDataResponse { data, stat } = read::get_data(side.tree, request, reader(caller, side))?;
            count(&request.path, data.as_ref().map_or(0, Bytes::len), side);
            Ok(MultiResult::GetData(data, stat))
        }
        MultiOp::GetChildren(request) => {
            let found = read::get_children(side.tree, request, reader(caller, side))?;
            count(&request.path, found.children.iter().map(|name| namespace::text_len(name)).sum(), side);
            Ok(MultiResult::GetChildren(found.children))
        }
        _ => Err(ErrorCode::MarshallingError),
    }
}
