//! The beginning and the end of a session.

use oxherd_proto::{CloseSessionTxn, CreateMode, CreateSessionTxn, ErrorCode, OpCode, TxnRecord};

use super::*;

fn closed_paths(record: &TxnRecord) -> Vec<String> {
    let TxnRecord::CloseSession(Some(CloseSessionTxn { paths_to_delete })) = record else {
        panic!("{record:?} lists no paths")
    };
    paths_to_delete.iter().map(|path| path.to_text().into_owned()).collect()
}

#[test]
fn a_session_begins_with_its_timeout() {
    let mut world = World::new();
    let begun = world.submit(ALICE, OpCode::CreateSession, 30_000_i32.to_vec());
    assert_eq!(begun.record, TxnRecord::CreateSession(CreateSessionTxn { time_out: 30_000 }));
    assert!(begun.digest.is_some());
    world.refused(ALICE, OpCode::CreateSession, vec![], ErrorCode::MarshallingError);
    world.apply_all();
}

#[test]
fn closing_removes_what_the_session_has_and_is_about_to_have() {
    let mut world = World::new();
    for path in ["/kept", "/gone", "/taken"] {
        world.given(ALICE, path, CreateMode::Ephemeral, open());
    }
    world.submit(ALICE, OpCode::Delete, delete("/gone", -1));
    world.submit(ALICE, OpCode::Delete, delete("/taken", -1));
    world.submit(BOB, OpCode::Create, create("/taken", CreateMode::Ephemeral, open()));
    world.submit(ALICE, OpCode::Create, create("/new", CreateMode::Ephemeral, open()));
    world.submit(ALICE, OpCode::SetData, set_data("/new", "changed", 0));
    let closed = world.submit(ALICE, OpCode::CloseSession, vec![]);
    assert_eq!(closed_paths(&closed.record), ["/kept", "/new"]);
    world.refused(
        ALICE,
        OpCode::Create,
        create("/late", CreateMode::Ephemeral, open()),
        ErrorCode::SessionExpired,
    );
    world.apply_all();
    assert_eq!(world.tree.ephemerals(ALICE).count(), 0);
    assert!(world.tree.node(b"/taken").is_some());
}

#[test]
fn a_parent_left_empty_by_a_closing_session_can_go_at_once() {
    let mut world = World::new();
    world.given(ALICE, "/p", CreateMode::Persistent, open());
    world.given(ALICE, "/p/e", CreateMode::Ephemeral, open());
    world.submit_from(Origin::Internal, ALICE, OpCode::CloseSession, vec![]);
    assert_eq!(world.submit(BOB, OpCode::Delete, delete("/p", -1)).error, None);
    world.apply_all();
}

#[test]
fn without_the_list_the_tree_finds_the_nodes_itself() {
    let mut world = World::with(PrepareOptions { close_session_paths: false, ..PrepareOptions::default() });
    world.given(ALICE, "/e", CreateMode::Ephemeral, open());
    let closed = world.submit(ALICE, OpCode::CloseSession, vec![]);
    assert_eq!(closed.record, TxnRecord::CloseSession(None));
    world.refused(BOB, OpCode::SetData, set_data("/e", "x", -1), ErrorCode::NoNode);
    world.apply_all();
    assert!(world.tree.node(b"/e").is_none());
}

#[test]
fn session_zero_owns_nothing() {
    let mut world = World::new();
    world.submit(ALICE, OpCode::Create, create("/a", CreateMode::Persistent, open()));
    let closed = world.submit(SessionId(0), OpCode::CloseSession, vec![]);
    assert_eq!(closed_paths(&closed.record), [""; 0]);
}

#[test]
fn given_up_proposals_leave_no_trace() {
    let mut world = World::new();
    world.submit(ALICE, OpCode::Create, create("/a", CreateMode::Persistent, open()));
    world.overlay.clear();
    assert!(!world.overlay.exists(&world.tree, b"/a"));
    assert_eq!(world.overlay.pending_digest(&world.tree), world.tree.digest());
}
