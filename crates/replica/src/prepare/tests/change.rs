//! Operations on nodes that exist.

use oxherd_proto::{CreateMode, ErrorCode, OpCode, ReconfigRequest, TxnRecord};

use super::*;
use crate::prepare::digest;

#[test]
fn delete_checks_in_order() {
    let mut world = World::new();
    world.given(ALICE, "/closed", CreateMode::Persistent, open());
    world.given(ALICE, "/closed/x", CreateMode::Persistent, open());
    world.submit(ALICE, OpCode::SetAcl, set_acl("/closed", closed(), -1));
    world.apply_all();
    world.given(ALICE, "/full", CreateMode::Persistent, open());
    world.given(ALICE, "/full/x", CreateMode::Persistent, open());
    let rows = [
        (STRANGER, vec![1], ErrorCode::MarshallingError),
        (STRANGER, delete("", -1), ErrorCode::SessionExpired),
        (ALICE, delete("", -1), ErrorCode::BadArguments),
        (ALICE, delete("/none/\0", -1), ErrorCode::BadArguments),
        (ALICE, delete("/", 9), ErrorCode::BadArguments),
        (ALICE, delete("/zookeeper", 9), ErrorCode::BadArguments),
        (ALICE, delete("/zookeeper/quota", 9), ErrorCode::BadArguments),
        (ALICE, delete("/zookeeper/config", 9), ErrorCode::BadArguments),
        (ALICE, delete("/none/x", 9), ErrorCode::NoNode),
        (ALICE, delete("/closed/none", 9), ErrorCode::NoAuth),
        (ALICE, delete("/none", 9), ErrorCode::NoNode),
        (ALICE, delete("/full/", 9), ErrorCode::NoNode),
        (ALICE, delete("/full", 9), ErrorCode::BadVersion),
        (ALICE, delete("/full", 0), ErrorCode::NotEmpty),
    ];
    for (session, body, code) in rows {
        world.refused(session, OpCode::Delete, body, code);
    }
}

#[test]
fn set_data_and_set_acl_check_in_order() {
    let mut world = World::new();
    world.given(ALICE, "/closed", CreateMode::Persistent, closed());
    world.given(ALICE, "/a", CreateMode::Persistent, open());
    let rows = [
        (STRANGER, set_data("a/", "", 9), ErrorCode::SessionExpired),
        (ALICE, set_data("a/", "", 9), ErrorCode::BadArguments),
        (ALICE, set_data("/a/", "", 9), ErrorCode::BadArguments),
        (ALICE, set_data("/none", "", 9), ErrorCode::NoNode),
        (ALICE, set_data("/closed", "", 9), ErrorCode::NoAuth),
        (ALICE, set_data("/a", "", 9), ErrorCode::BadVersion),
    ];
    for (session, body, code) in rows {
        world.refused(session, OpCode::SetData, body, code);
    }
    let rows = [
        (STRANGER, set_acl("a/", vec![], 9), ErrorCode::SessionExpired),
        (ALICE, set_acl("a/", vec![], 9), ErrorCode::BadArguments),
        (ALICE, set_acl("/none", vec![], 9), ErrorCode::InvalidAcl),
        (ALICE, set_acl("/none", open(), 9), ErrorCode::NoNode),
        (ALICE, set_acl("/closed", open(), 9), ErrorCode::NoAuth),
        (ALICE, set_acl("/a", open(), 9), ErrorCode::BadVersion),
    ];
    for (session, body, code) in rows {
        world.refused(session, OpCode::SetAcl, body, code);
    }
}

#[test]
fn versions_count_what_is_pending() {
    let mut world = World::new();
    world.given(ALICE, "/a", CreateMode::Persistent, open());
    for version in 0..3 {
        let set = world.submit(ALICE, OpCode::SetData, set_data("/a", "x", version));
        assert!(matches!(&set.record, TxnRecord::SetData(txn) if txn.version == version + 1));
    }
    world.refused(BOB, OpCode::SetData, set_data("/a", "x", 2), ErrorCode::BadVersion);
    let set = world.submit(ALICE, OpCode::SetAcl, set_acl("/a", closed(), 0));
    assert!(matches!(&set.record, TxnRecord::SetAcl(txn) if txn.version == 1));
    world.refused(ALICE, OpCode::SetData, set_data("/a", "x", 3), ErrorCode::NoAuth);
    world.apply_all();
}

#[test]
fn a_version_wraps_around() {
    assert_eq!(super::super::next_version(i32::MAX, i32::MAX), Ok(i32::MIN));
    assert_eq!(super::super::next_version(-5, -1), Ok(-4));
    assert_eq!(super::super::next_version(0, -2), Err(ErrorCode::BadVersion));
}

#[test]
fn with_checks_off_anybody_writes_but_an_acl_must_still_make_sense() {
    let mut world = World::with(PrepareOptions { skip_acl: true, ..PrepareOptions::default() });
    world.given(ALICE, "/a", CreateMode::Persistent, closed());
    assert_eq!(world.submit(BOB, OpCode::SetData, set_data("/a", "x", -1)).error, None);
    world.refused(BOB, OpCode::SetAcl, set_acl("/a", acl(1, "nowhere", "x"), -1), ErrorCode::InvalidAcl);
}

#[test]
fn only_the_server_itself_removes_containers() {
    let mut world = World::new();
    world.given(ALICE, "/c", CreateMode::Container, closed());
    world.given(ALICE, "/passing", CreateMode::Ephemeral, open());
    world.given(ALICE, "/full", CreateMode::Persistent, open());
    world.given(ALICE, "/full/x", CreateMode::Persistent, open());
    world.refused(ALICE, OpCode::DeleteContainer, delete("/c", -1), ErrorCode::Unimplemented);
    let rows = [
        ("/zookeeper", Some(ErrorCode::BadArguments)),
        ("/none", Some(ErrorCode::NoNode)),
        ("/full", Some(ErrorCode::NotEmpty)),
        ("/passing", Some(ErrorCode::BadVersion)),
        ("/c", None),
        ("/c", Some(ErrorCode::NoNode)),
    ];
    for (path, error) in rows {
        let session = SessionId(0);
        let removed = world.submit_from(Origin::Internal, session, OpCode::DeleteContainer, path.into());
        assert_eq!(removed.error, error, "{path}");
    }
    world.apply_all();
    assert!(world.tree.node(b"/c").is_none());
}

#[test]
fn a_server_alone_does_not_reconfigure() {
    let body = ReconfigRequest::default().to_vec();
    let mut world = World::new();
    world.refused(STRANGER, OpCode::Reconfig, vec![], ErrorCode::MarshallingError);
    world.refused(STRANGER, OpCode::Reconfig, body.clone(), ErrorCode::ReconfigDisabled);
    world.options.reconfig = true;
    world.refused(STRANGER, OpCode::Reconfig, body.clone(), ErrorCode::SessionExpired);
    world.refused(ALICE, OpCode::Reconfig, body, ErrorCode::Unimplemented);
}

#[test]
fn a_check_outside_a_multi_is_no_operation() {
    let mut world = World::new();
    world.refused(ALICE, OpCode::Check, delete("/zookeeper", -1), ErrorCode::Unimplemented);
}

#[test]
fn a_node_digest_is_the_trees() {
    let mut world = World::new();
    world.given(ALICE, "/a", CreateMode::Ephemeral, open());
    for path in ["/a", "/zookeeper", "/zookeeper/config", ""] {
        let node = world.tree.node(path.as_bytes()).unwrap();
        let content = digest::of_content(path.as_bytes(), node.data());
        let stat = node.persisted();
        let own = digest::of_node(path.as_bytes(), content, &stat);
        assert_eq!(own, oxherd_tree::node_digest(path.as_bytes(), node.data(), &stat), "{path}");
    }
}

#[test]
fn hard_quotas_refuse_growth_where_they_are_enforced() {
    let mut world = World::new();
    let limits = "count=-1,bytes=-1=;byteHardLimit=8;countHardLimit=2";
    for (path, data) in [
        ("/a", "1234"),
        ("/zookeeper/quota/a", ""),
        ("/zookeeper/quota/a/zookeeper_limits", limits),
        ("/zookeeper/quota/a/zookeeper_stats", "count=1,bytes=4"),
    ] {
        let request = create_request(path, CreateMode::Persistent, open());
        let body = CreateRequest { data: Some(data.into()), ..request }.to_vec();
        assert_eq!(world.submit(ALICE, OpCode::Create, body).error, None, "{path}");
        world.apply_all();
    }
    let child = |path: &str, data: &'static str| {
        let request = create_request(path, CreateMode::Persistent, open());
        CreateRequest { data: Some(data.into()), ..request }.to_vec()
    };
    world.options.enforce_quota = true;
    world.refused(ALICE, OpCode::Create, child("/a/x", "12345"), ErrorCode::QuotaExceeded);
    world.refused(ALICE, OpCode::SetData, set_data("/a", "123456789", 9), ErrorCode::QuotaExceeded);
    world.refused(ALICE, OpCode::SetData, set_data("/a", "12345678", 9), ErrorCode::BadVersion);
    assert_eq!(world.submit(ALICE, OpCode::Create, child("/a/x", "1234")).error, None, "up to the limit");
    world.apply_all();
    world.refused(ALICE, OpCode::Create, child("/a/y", ""), ErrorCode::QuotaExceeded);
    world.options.enforce_quota = false;
    assert_eq!(world.submit(ALICE, OpCode::Create, child("/a/y", "")).error, None);
    world.apply_all();
}
