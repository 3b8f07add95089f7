//! The reads, one function each; watches are the caller's affair.

use bytes::Bytes;
use oxherd_proto::{
    Acl, ErrorCode, ExistsRequest, ExistsResponse, GetACLRequest, GetACLResponse,
    GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request, GetChildren2Response,
    GetChildrenRequest, GetChildrenResponse, GetDataRequest, GetDataResponse, GetEphemeralsRequest,
    GetEphemeralsResponse, Id, Jute, SessionId, Str,
};

use crate::acl::permits;
use crate::namespace::text_len;
use crate::node::NodeView;
use crate::tree::Tree;

const READ: i32 = 1;
const ADMIN: i32 = 16;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The identities of the connection.
    pub ids: &'a [Id],
    /// ACLs are not looked at. Original key: `skipACL`.
    pub skip_acl: bool,
}

impl Caller<'_> {
    fn may(&self, node: &NodeView<'_>, perms: i32) -> Result<(), ErrorCode> {
        let may = self.skip_acl || permits(node.acl(), perms, self.ids);
        if may { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }
}

fn readable<'a>(tree: &'a Tree, path: &Str, caller: Caller<'_>) -> Result<NodeView<'a>, ErrorCode> {
    let node = tree.node(path).ok_or(ErrorCode::NoNode)?;
    caller.may(&node, READ)?;
    Ok(node)
}

/// Answers exists; a watch is registered on success and on [`ErrorCode::NoNode`].
pub fn exists(tree: &Tree, request: &ExistsRequest, caller: Caller<'_>) -> Result<ExistsResponse, ErrorCode> {
    if request.path.contains(&0) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(ExistsResponse { stat: readable(tree, &request.path, caller)?.stat() })
}

/// Answers getData.
pub fn get_data(
    tree: &Tree,
    request: &GetDataRequest,
    caller: Caller<'_>,
) -> Result<GetDataResponse, ErrorCode> {
    let node = readable(tree, &request.path, caller)?;
    Ok(GetDataResponse { data: node.data().map(Bytes::copy_from_slice), stat: node.stat() })
}

/// Answers getData by appending the encoded response, with one copy of the data; nothing on an error. Returns how
/// many bytes of data there are.
pub fn encode_data(
    tree: &Tree,
    request: &GetDataRequest,
    caller: Caller<'_>,
    out: &mut Vec<u8>,
) -> Result<usize, ErrorCode> {
    let node = readable(tree, &request.path, caller)?;
    let data = node.data();
    match data {
        None => (-1i32).encode(out),
        Some(data) => encode_bytes(data, out),
    }
    node.stat().encode(out);
    Ok(data.map_or(0, <[u8]>::len))
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_len(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn encode_len(len: usize, out: &mut Vec<u8>) {
    i32::try_from(len).expect("a frame bounds a field, and memory the nodes").encode(out);
}

fn children(node: &NodeView<'_>) -> Vec<Str> {
    node.children().map(|name| Bytes::copy_from_slice(name).into()).collect()
}

/// Answers getChildren.
pub fn get_children(
    tree: &Tree,
    request: &GetChildrenRequest,
    caller: Caller<'_>,
) -> Result<GetChildrenResponse, ErrorCode> {
    Ok(GetChildrenResponse { children: children(&readable(tree, &request.path, caller)?) })
}

/// Answers getChildren2.
pub fn get_children2(
    tree: &Tree,
    request: &GetChildren2Request,
    caller: Caller<'_>,
) -> Result<GetChildren2Response, ErrorCode> {
    let node = readable(tree, &request.path, caller)?;
    Ok(GetChildren2Response { children: children(&node), stat: node.stat() })
}

/// Answers getChildren, or getChildren2 `with_stat`, by appending the encoded response. Returns the length of all
/// names in UTF-16 units.
pub fn encode_children(
    tree: &Tree,
    path: &Str,
    with_stat: bool,
    caller: Caller<'_>,
    out: &mut Vec<u8>,
) -> Result<usize, ErrorCode> {
    let node = readable(tree, path, caller)?;
    encode_len(node.child_count(), out);
    let mut names_len = 0;
    for name in node.children() {
        encode_bytes(name, out);
        names_len += text_len(name);
    }
    if with_stat {
        node.stat().encode(out);
    }
    Ok(names_len)
}

/// Answers getACL; without ADMIN the secrets of digest ids are hidden.
pub fn get_acl(
    tree: &Tree,
    request: &GetACLRequest,
    caller: Caller<'_>,
) -> Result<GetACLResponse, ErrorCode> {
    let node = tree.node(&request.path).ok_or(ErrorCode::NoNode)?;
    caller.may(&node, READ | ADMIN)?;
    let admin = caller.may(&node, ADMIN).is_ok();
    let acl = node.acl().iter().map(|entry| if admin { entry.clone() } else { without_secret(entry) });
    Ok(GetACLResponse { acl: acl.collect(), stat: node.stat() })
}

fn without_secret(entry: &Acl) -> Acl {
    let colon = entry.id.id.iter().position(|byte| *byte == b':');
    match colon {
        Some(colon) if entry.id.scheme.as_bytes() == b"digest" => {
            let id = [&entry.id.id[..colon], b":x"].concat().into();
            Acl { perms: entry.perms, id: Id { scheme: entry.id.scheme.clone(), id } }
        }
        _ => entry.clone(),
    }
}

/// Answers getAllChildrenNumber; takes time in proportion to the nodes counted, except for the root.
pub fn get_all_children_number(
    tree: &Tree,
    request: &GetAllChildrenNumberRequest,
    caller: Caller<'_>,
) -> Result<GetAllChildrenNumberResponse, ErrorCode> {
    readable(tree, &request.path, caller)?;
    let count = tree.descendant_count(&request.path).ok_or(ErrorCode::NoNode)?;
    let total_number = i32::try_from(count).expect("there are fewer nodes than 2^31");
    Ok(GetAllChildrenNumberResponse { total_number })
}

/// Answers getEphemerals: the session's own, by a prefix of the text; blank or "/" is all.
pub fn get_ephemerals(
    tree: &Tree,
    request: &GetEphemeralsRequest,
    session: SessionId,
) -> GetEphemeralsResponse {
    let prefix = request.prefix_path.as_ref().map_or(&b""[..], Str::as_bytes);
    let blank = prefix.iter().all(|byte| *byte <= b' ');
    let root = str::from_utf8(prefix).is_ok_and(|text| text.trim_matches(|c| c <= ' ') == "/");
    let wanted = |path: &Str| blank || root || path.starts_with(prefix);
    GetEphemeralsResponse { ephemerals: tree.ephemerals(session).filter(wanted).collect() }
}
