//! The four operations that make a node.

use oxherd_proto::{CreateMode, CreateTxn, ErrorCode, OpCode, SessionId, TxnRecord};

use super::*;

#[test]
fn the_first_check_that_fails_names_the_error() {
    let mut world = World::new();
    world.given(ALICE, "/closed", CreateMode::Persistent, closed());
    world.given(ALICE, "/passing", CreateMode::Ephemeral, open());
    world.given(ALICE, "/there", CreateMode::Persistent, open());
    let persistent = CreateMode::Persistent;
    // Each row breaks one rule and all that are checked after it, where the request can.
    let rows = [
        (STRANGER, vec![0, 0, 0, 9, b'/'], ErrorCode::MarshallingError, "body"),
        (STRANGER, create_flags("closed\0", 7), ErrorCode::BadArguments, "mode"),
        (STRANGER, create_flags("closed\0", 5), ErrorCode::BadArguments, "a time to live, and none given"),
        (STRANGER, create("closed\0", persistent, vec![]), ErrorCode::SessionExpired, "session"),
        (
            LOCAL,
            create("x", CreateMode::Ephemeral, vec![]),
            ErrorCode::EphemeralOnLocalSession,
            "local session",
        ),
        (ALICE, create("no-slash", persistent, vec![]), ErrorCode::BadArguments, "slash"),
        (ALICE, create("/closed/\0", persistent, vec![]), ErrorCode::BadArguments, "NUL"),
        (ALICE, create("/none/x", persistent, vec![]), ErrorCode::InvalidAcl, "ACL"),
        (ALICE, create("/none/", persistent, open()), ErrorCode::NoNode, "parent"),
        (ALICE, create("/closed/", persistent, open()), ErrorCode::NoAuth, "permission"),
        (ALICE, create("/there/", persistent, open()), ErrorCode::BadArguments, "path"),
        (ALICE, create("/", persistent, open()), ErrorCode::NodeExists, "the root exists"),
        (ALICE, create("/there", persistent, open()), ErrorCode::NodeExists, "node"),
        (
            ALICE,
            create("/passing/x", persistent, open()),
            ErrorCode::NoChildrenForEphemerals,
            "ephemeral parent",
        ),
    ];
    for (session, body, code, rule) in rows {
        eprintln!("{rule}");
        world.refused(session, OpCode::Create2, body, code);
    }
}

#[test]
fn times_to_live_need_their_operation_mode_switch_and_range() {
    let mut world = World::new();
    let max = CreateMode::TTL_MS_MAX;
    for (flags, ttl) in [(5, 0), (5, -1), (6, max + 1), (0, 5), (0, -1), (4, -1), (1, i64::MIN)] {
        world.refused(ALICE, OpCode::CreateTtl, create_ttl("/t", flags, ttl), ErrorCode::BadArguments);
    }
    let made = world.submit(ALICE, OpCode::CreateTtl, create_ttl("/t", 6, max));
    assert_eq!(path_of(&made.record), "/t0000000000".into());
    world.apply_all();
    let owner = world.tree.node(b"/t0000000000").unwrap().persisted().ephemeral_owner;
    assert_eq!(owner, SessionId((0xff << 56) | max));

    let mut plain = World::with(PrepareOptions::default());
    plain.refused(STRANGER, OpCode::CreateTtl, create_ttl("t", 5, -1), ErrorCode::Unimplemented);
    plain.refused(STRANGER, OpCode::Create, create_flags("t", 5), ErrorCode::Unimplemented);
}

#[test]
fn sequence_numbers_count_what_is_pending() {
    let mut world = World::new();
    world.given(ALICE, "/q", CreateMode::Persistent, open());
    let sequential = |world: &mut World| {
        let made =
            world.submit(ALICE, OpCode::Create, create("/q/n-", CreateMode::PersistentSequential, open()));
        path_of(&made.record).to_text().into_owned()
    };
    assert_eq!(sequential(&mut world), "/q/n-0000000000");
    assert_eq!(sequential(&mut world), "/q/n-0000000001");
    world.submit(ALICE, OpCode::Delete, delete("/q/n-0000000001", -1));
    assert_eq!(sequential(&mut world), "/q/n-0000000002", "a delete gives no number back");
    world.apply_all();
    assert_eq!(sequential(&mut world), "/q/n-0000000003");
}

#[test]
fn a_number_beyond_31_bits_keeps_its_sign() {
    assert_eq!(
        super::super::create::final_path(&"/q".into(), CreateMode::PersistentSequential, -1),
        "/q-000000001".into()
    );
    let lowest = super::super::create::final_path(&"/q".into(), CreateMode::EphemeralSequential, i32::MIN);
    assert_eq!(lowest, "/q-2147483648".into());
}

#[test]
fn the_operation_decides_the_kind_of_node_and_the_mode_the_rest() {
    let owner_after = |op: OpCode, flags: i32| {
        let mut world = World::new();
        let made = world.submit(ALICE, op, create_flags("/n", flags));
        assert_eq!(made.error, None);
        let pending = world.overlay.find(&world.tree, &path_of(&made.record)).unwrap().stat.ephemeral_owner;
        world.apply_all();
        let applied = world.tree.node(&path_of(&made.record)).unwrap().persisted().ephemeral_owner;
        assert_eq!(pending, applied, "what pends is what comes");
        applied
    };
    assert_eq!(owner_after(OpCode::Create, 4), SessionId(0), "a container only by name");
    assert_eq!(owner_after(OpCode::Create2, 3), ALICE);
    assert_eq!(owner_after(OpCode::CreateContainer, 4), SessionId::CONTAINER);
    assert_eq!(owner_after(OpCode::CreateContainer, 0), SessionId::CONTAINER);
    assert_eq!(owner_after(OpCode::CreateContainer, 1), SessionId::CONTAINER);
}

#[test]
fn the_txn_holds_final_values() {
    let mut world = World::new();
    let made = world.submit(
        ALICE,
        OpCode::Create,
        create("/e-", CreateMode::EphemeralSequential, acl(3, "auth", "")),
    );
    let cversion = world.overlay.find(&world.tree, b"/").unwrap().stat.cversion;
    let expected = CreateTxn {
        path: format!("/e-{:010}", cversion - 1).into(),
        data: Some("data".into()),
        acl: acl(3, "digest", "u:h"),
        ephemeral: true,
        parent_c_version: cversion,
    };
    assert_eq!(made.record, TxnRecord::Create(expected));
    assert_eq!((made.header.cxid, made.header.time), (Xid(7), 1_000_001));
}

#[test]
fn the_root_is_one_node_under_both_its_names() {
    let mut world = World::new();
    world.submit(ALICE, OpCode::SetAcl, set_acl("/", closed(), -1));
    world.refused(ALICE, OpCode::Create, create("/a", CreateMode::Persistent, open()), ErrorCode::NoAuth);
    world.apply_all();
}
