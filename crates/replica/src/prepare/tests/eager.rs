//! What the server of a client refuses before the ensemble hears of it.

use oxherd_proto::{CreateMode, ErrorCode, OpCode};

use super::super::eager;
use super::*;

fn refusal(world: &World, op: OpCode, body: Vec<u8>) -> Option<ErrorCode> {
    let (ids, origin) = (Arc::clone(&world.ids), Origin::Client);
    let request = WriteRequest { session: ALICE, xid: Xid(7), op, body: body.into(), ids, origin };
    eager::refusal(&world.tree, &request, &world.options)
}

#[test]
fn what_an_acl_forbids_goes_no_further() {
    let mut world = World::new();
    world.given(ALICE, "/shut", CreateMode::Persistent, closed());
    world.given(ALICE, "/open", CreateMode::Persistent, open());
    let plain = CreateMode::Persistent;
    let rows = [
        (OpCode::Create, create("/shut/a", plain, open()), Some(ErrorCode::NoAuth)),
        (OpCode::Create2, create("/shut/a", plain, open()), Some(ErrorCode::NoAuth)),
        (OpCode::Delete, delete("/shut/a", -1), Some(ErrorCode::NoAuth)),
        (OpCode::SetData, set_data("/shut", "x", -1), Some(ErrorCode::NoAuth)),
        (OpCode::SetAcl, set_acl("/shut", open(), -1), Some(ErrorCode::NoAuth)),
        (OpCode::Create, create("/open/a", plain, acl(1, "nowhere", "x")), Some(ErrorCode::InvalidAcl)),
        (OpCode::SetAcl, set_acl("/open", Vec::new(), -1), Some(ErrorCode::InvalidAcl)),
        // Its parent's ACL decides; the root's is open.
        (OpCode::Delete, delete("/shut", -1), None),
        (OpCode::Create, create("/top", plain, open()), None),
    ];
    for (op, body, code) in rows {
        assert_eq!(refusal(&world, op, body), code, "{op:?}");
    }
    world.options.skip_acl = true;
    assert_eq!(refusal(&world, OpCode::SetData, set_data("/shut", "x", -1)), None);
}

#[test]
fn whatever_else_is_wrong_is_for_the_leader_to_say() {
    let mut world = World::new();
    world.given(ALICE, "/shut", CreateMode::Persistent, closed());
    // On its way, and so not looked at.
    world.submit(ALICE, OpCode::Create, create("/new", CreateMode::Persistent, closed()));
    let mode = CreateMode::Persistent;
    let rows = [
        (OpCode::Create, create("/none/a", mode, open())),
        (OpCode::Create, create("nothing", mode, open())),
        (OpCode::Create, vec![1]),
        (OpCode::CreateContainer, create("/shut/a", CreateMode::Container, open())),
        (OpCode::Delete, delete("/zookeeper/config", -1)),
        (OpCode::SetData, set_data("/new", "x", 9)),
        (OpCode::SetData, set_data("/none", "x", 9)),
        (OpCode::Multi, multi(&[])),
        (OpCode::CloseSession, Vec::new()),
    ];
    for (op, body) in rows {
        assert_eq!(refusal(&world, op, body), None, "{op:?}");
    }
}
