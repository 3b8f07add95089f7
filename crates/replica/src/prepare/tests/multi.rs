//! Several writes as one.

use oxherd_proto::{
    CheckVersionRequest, CreateMode, DeleteRequest, ErrorCode, MultiOp, OpCode, SetDataRequest, SubTxn,
    TxnRecord,
};

use super::*;

fn op_create(path: &str, mode: CreateMode) -> MultiOp {
    MultiOp::Create(OpCode::Create, create_request(path, mode, open()))
}

fn op_check(path: &str, version: i32) -> MultiOp {
    MultiOp::Check(CheckVersionRequest { path: path.into(), version })
}

fn op_delete(path: &str) -> MultiOp {
    MultiOp::Delete(DeleteRequest { path: path.into(), version: -1 })
}

fn op_set(path: &str, version: i32) -> MultiOp {
    MultiOp::SetData(SetDataRequest { path: path.into(), data: None, version })
}

fn codes(record: &TxnRecord) -> Vec<i32> {
    let TxnRecord::Multi(subs) = record else { panic!("{record:?} is no multi") };
    subs.iter()
        .map(|SubTxn { kind, record }| if let TxnRecord::Error(code) = record { code.code() } else { *kind })
        .collect()
}

#[test]
fn each_operation_sees_those_before_it() {
    let mut world = World::new();
    let done = world.submit(
        ALICE,
        OpCode::Multi,
        multi(&[
            op_create("/a", CreateMode::Persistent),
            op_create("/a/b", CreateMode::Persistent),
            op_set("/a", 0),
            op_check("/a", 1),
            op_delete("/a/b"),
            op_delete("/a"),
        ]),
    );
    assert_eq!(codes(&done.record), [1, 1, 5, 13, 2, 2]);
    world.apply_all();
    assert!(world.tree.node(b"/a").is_none());
}

#[test]
fn none_is_fine() {
    let mut world = World::new();
    let done = world.submit(ALICE, OpCode::Multi, multi(&[]));
    assert_eq!(done.record, TxnRecord::Multi(vec![]));
    assert_eq!(
        world.submit(STRANGER, OpCode::Multi, multi(&[])).error,
        None,
        "nothing in it asks for the session"
    );
    world.apply_all();
}

#[test]
fn an_operation_that_may_not_be_in_a_multi_breaks_it_as_a_whole() {
    let mut world = World::new();
    let read = MultiOp::GetData(oxherd_proto::GetDataRequest::default());
    let body = multi(&[op_create("/a", CreateMode::Persistent), read]);
    world.refused(ALICE, OpCode::Multi, body, ErrorCode::MarshallingError);
    assert!(!world.overlay.exists(&world.tree, b"/a"));
}

#[test]
fn one_failure_names_itself_and_takes_back_the_rest() {
    let mut world = World::new();
    world.given(ALICE, "/a", CreateMode::Persistent, open());
    let before = world.tree.digest();
    let failed = world.submit(
        ALICE,
        OpCode::Multi,
        multi(&[
            op_set("/a", 0),
            op_create("/a/x", CreateMode::Persistent),
            op_check("/a", 0),
            op_delete("/a"),
        ]),
    );
    assert_eq!(codes(&failed.record), [5, 1, -103, -2]);
    assert_eq!(failed.error, None, "the reply's header says success");
    assert_eq!(failed.digest.map(|digest| digest.tree_digest.cast_unsigned()), Some(before));
    assert_eq!(world.overlay.len(), 0);
    world.apply_all();
    assert_eq!(world.tree.node(b"/a").unwrap().persisted().version, 0);
}

#[test]
fn a_failure_brings_back_what_pended_before_it() {
    let mut world = World::new();
    world.given(ALICE, "/q", CreateMode::Persistent, open());
    let sequential = create("/q/n-", CreateMode::PersistentSequential, open());
    world.submit(ALICE, OpCode::Create, sequential.clone());
    world.submit(ALICE, OpCode::SetData, set_data("/q", "x", 0));
    let failed = world.submit(
        ALICE,
        OpCode::Multi,
        multi(&[
            op_create("/q/n-", CreateMode::PersistentSequential),
            op_set("/q", 1),
            op_set("/q", 2),
            op_delete("/q/n-0000000000"),
            op_delete("/none"),
        ]),
    );
    assert_eq!(codes(&failed.record), [1, 5, 5, 2, -101]);
    let next = world.submit(ALICE, OpCode::Create, sequential);
    assert_eq!(path_of(&next.record), "/q/n-0000000001".into(), "the parent's counter is as before");
    assert_eq!(world.submit(ALICE, OpCode::SetData, set_data("/q", "y", 1)).error, None);
    assert_eq!(world.submit(ALICE, OpCode::Delete, delete("/q/n-0000000000", 0)).error, None);
    world.apply_all();
}

#[test]
fn the_closing_of_a_session_stops_its_multi() {
    let mut world = World::new();
    world.submit(ALICE, OpCode::CloseSession, vec![]);
    let failed = world.submit(ALICE, OpCode::Multi, multi(&[op_create("/a", CreateMode::Ephemeral)]));
    assert_eq!(codes(&failed.record), [-112]);
}
