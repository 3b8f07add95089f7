//! What readers are shown, and what is kept from them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use oxherd_proto::{
    Acl, CreateTxn, ErrorCode, ExistsRequest, GetACLRequest, GetChildren2Request, GetDataRequest,
    GetEphemeralsRequest, Id, Jute, SessionId, TxnHeader, TxnRecord, Zxid,
};
use oxherd_tree::read::{self, Caller};
use oxherd_tree::{Tree, TreeOptions};

const NOBODY: Caller<'static> = Caller { ids: &[], skip_acl: false };

fn id(name: &str) -> Id {
    Id { scheme: "digest".into(), id: name.into() }
}

fn tree() -> Tree {
    let mut tree = Tree::new(TreeOptions::default());
    let acl = vec![Acl { perms: 1, id: id("reader:r") }, Acl { perms: 31, id: id("owner:secret:s") }];
    let nodes = [("/a", acl, false), ("/e1", Vec::new(), true), ("/e10", Vec::new(), true)];
    for ((path, acl, ephemeral), zxid) in nodes.into_iter().zip(1..) {
        let data = Some("x".into());
        let txn = CreateTxn { path: path.into(), data, acl, ephemeral, parent_c_version: -1 };
        let header = TxnHeader { client_id: SessionId(5), zxid: Zxid(zxid), ..TxnHeader::default() };
        tree.apply(&header, &TxnRecord::Create(txn), &mut Vec::new());
    }
    tree
}

#[test]
fn read_permission_guards_every_read() {
    let tree = tree();
    let exists = |path: &str| read::exists(&tree, &ExistsRequest { path: path.into(), watch: false }, NOBODY);
    assert_eq!(exists("/a"), Err(ErrorCode::NoAuth));
    assert_eq!(exists("/b"), Err(ErrorCode::NoNode));
    assert_eq!(exists("/b\0"), Err(ErrorCode::BadArguments));
    assert_eq!(exists("/a/"), Err(ErrorCode::NoNode));
    let request = GetDataRequest { path: "/a".into(), watch: false };
    assert_eq!(read::get_data(&tree, &request, NOBODY), Err(ErrorCode::NoAuth));
    assert!(read::get_data(&tree, &request, Caller { ids: &[], skip_acl: true }).is_ok());
    let mut encoded = Vec::new();
    let reader = Caller { ids: &[id("reader:r")], skip_acl: false };
    read::encode_data(&tree, &request, reader, &mut encoded).unwrap();
    assert_eq!(encoded, read::get_data(&tree, &request, reader).unwrap().to_vec());
}

#[test]
fn only_an_admin_sees_secrets() {
    let tree = tree();
    let acl_for = |ids: &[Id]| {
        let request = GetACLRequest { path: "/a".into() };
        let reply = read::get_acl(&tree, &request, Caller { ids, skip_acl: false });
        reply.map(|reply| reply.acl.iter().map(|acl| acl.id.id.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(acl_for(&[]), Err(ErrorCode::NoAuth));
    assert_eq!(acl_for(&[id("reader:r")]).unwrap(), ["reader:x", "owner:x"]);
    assert_eq!(acl_for(&[id("owner:secret:s")]).unwrap(), ["reader:r", "owner:secret:s"]);
}

#[test]
fn children_come_with_metadata_and_count() {
    let tree = tree();
    let path = || "/".into();
    let reply =
        read::get_children2(&tree, &GetChildren2Request { path: path(), watch: false }, NOBODY).unwrap();
    assert_eq!(reply.stat.num_children, 4);
    let mut encoded = Vec::new();
    read::encode_children(&tree, &path(), true, NOBODY, &mut encoded).unwrap();
    assert_eq!(encoded, reply.to_vec());
    assert_eq!(tree.descendant_count(b"/"), Some(6));
    assert_eq!(tree.descendant_count(b"/zookeeper"), Some(2));
}

#[test]
fn ephemerals_are_filtered_by_plain_text() {
    let tree = tree();
    let listed = |prefix: Option<&str>| {
        let request = GetEphemeralsRequest { prefix_path: prefix.map(Into::into) };
        read::get_ephemerals(&tree, &request, SessionId(5)).ephemerals.len()
    };
    assert_eq!(
        [None, Some(" "), Some("/"), Some("/e1"), Some("/e10"), Some("/x")].map(listed),
        [2, 2, 2, 2, 1, 0]
    );
}
