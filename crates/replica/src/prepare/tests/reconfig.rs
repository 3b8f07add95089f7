//! Changes of the membership: every refusal in its place, and the txns that come out.

use oxherd_proto::{ErrorCode, Jute, OpCode, ReconfigRequest, ServerId, TxnRecord};
use oxherd_zab::EnsembleConfig;

use super::*;

/// A leader's view, with the servers that are up with it.
pub(super) struct Ensemble {
    active: EnsembleConfig,
    newest: EnsembleConfig,
    synced: BTreeSet<ServerId>,
}

impl Membership for Ensemble {
    fn active(&self) -> &EnsembleConfig {
        &self.active
    }

    fn newest(&self) -> &EnsembleConfig {
        &self.newest
    }

    fn may_lead(&self, server: ServerId) -> bool {
        server != ServerId(1) && self.synced.contains(&server)
    }

    fn is_synced(&self, config: &EnsembleConfig) -> bool {
        config.is_quorum(&self.synced)
    }
}

const THREE: &str = "server.1=h1:2888:3888:participant;0.0.0.0:2181
server.2=h2:2888:3888:participant;0.0.0.0:2181
server.3=h3:2888:3888:participant;0.0.0.0:2181
";

/// Three servers, of which all are up, and two more that learn.
fn leader() -> World {
    let options = PrepareOptions { reconfig: true, skip_acl: true, ..PrepareOptions::default() };
    let mut world = World::with(options);
    let config = EnsembleConfig::parse(&format!("{THREE}version=a")).unwrap();
    let synced = (1..=5).map(ServerId).collect();
    world.ensemble = Some(Ensemble { active: config.clone(), newest: config, synced });
    world
}

fn bulk(members: &str) -> Vec<u8> {
    let new_members = Some(members.into());
    ReconfigRequest { new_members, cur_config_id: -1, ..ReconfigRequest::default() }.to_vec()
}

fn change(joining: &str, leaving: &str) -> Vec<u8> {
    let (joining_servers, leaving_servers) = (Some(joining.into()), Some(leaving.into()));
    ReconfigRequest { joining_servers, leaving_servers, new_members: None, cur_config_id: -1 }.to_vec()
}

/// The members of the txn that comes out, a line each.
fn accepted(world: &mut World, body: Vec<u8>) -> String {
    let prepared = world.submit(ALICE, OpCode::Reconfig, body);
    let TxnRecord::SetData(txn) = prepared.record else { panic!("{:?}", prepared.record) };
    assert_eq!((&txn.path[..], txn.version), (&b"/zookeeper/config"[..], -1));
    let text = String::from_utf8(txn.data.unwrap().to_vec()).unwrap();
    text.strip_suffix(&format!("version={:x}", prepared.header.zxid.0)).unwrap().to_owned()
}

#[test]
fn reconfig_checks_in_order() {
    let mut world = leader();
    let body = change("", "");
    world.options.reconfig = false;
    world.refused(STRANGER, OpCode::Reconfig, vec![], ErrorCode::MarshallingError);
    world.refused(STRANGER, OpCode::Reconfig, body.clone(), ErrorCode::ReconfigDisabled);
    world.options.reconfig = true;
    world.refused(STRANGER, OpCode::Reconfig, body.clone(), ErrorCode::SessionExpired);

    let pending = EnsembleConfig::parse(&format!("{THREE}version=b")).unwrap();
    let ensemble = world.ensemble.as_mut().unwrap();
    let settled = std::mem::replace(&mut ensemble.newest, pending);
    let old = ReconfigRequest { cur_config_id: 9, new_members: Some("x".into()), ..Default::default() };
    world.refused(ALICE, OpCode::Reconfig, old.to_vec(), ErrorCode::ReconfigInProgress);
    world.ensemble.as_mut().unwrap().newest = settled;
    world.refused(ALICE, OpCode::Reconfig, old.to_vec(), ErrorCode::BadVersion);
    let right = ReconfigRequest { cur_config_id: 10, ..old };
    world.refused(ALICE, OpCode::Reconfig, right.to_vec(), ErrorCode::BadArguments);

    world.options.skip_acl = false;
    world.ensemble.as_mut().unwrap().synced = BTreeSet::from([ServerId(1)]);
    world.refused(ALICE, OpCode::Reconfig, change("", "1,2"), ErrorCode::BadArguments);
    world.refused(ALICE, OpCode::Reconfig, body.clone(), ErrorCode::NewConfigNoQuorum);
    world.ensemble.as_mut().unwrap().synced.insert(ServerId(2));
    world.refused(ALICE, OpCode::Reconfig, body, ErrorCode::NoAuth);
}

#[test]
fn some_join_and_some_leave() {
    let mut world = leader();
    let four = "server.4=h4:2888:3888:observer;0.0.0.0:2184\n";
    assert_eq!(
        accepted(&mut world, change("server.4=h4:2888:3888:observer;2184", "")),
        THREE.to_owned() + four
    );
    let without_one = THREE.split_once('\n').unwrap().1;
    assert_eq!(accepted(&mut world, change("", " 1 , 9,")), without_one);
    let moved = THREE.replace("h2:2888:3888:participant;0.0.0.0", "h9:1:2:observer;h9");
    assert_eq!(accepted(&mut world, change("2=h9:1:2:Observer;h9:2181", "")), moved);
    assert_eq!(accepted(&mut world, change("", "")), THREE, "nothing changes but the version");
    world.apply_all();
    let node = world.tree.node(b"/zookeeper/config").unwrap();
    assert_eq!((node.persisted().version, node.persisted().mzxid), (-1, Zxid(4)));
}

#[test]
fn a_change_that_makes_no_sense_is_refused() {
    let mut world = leader();
    let rows = [
        (change("server.4", ""), ErrorCode::BadArguments),
        (change("server.4=h4:1:2", ""), ErrorCode::BadArguments),
        (change("server.4=h4:1:2;2181;2182", ""), ErrorCode::BadArguments),
        (change("server.4=h4:1:1;2181", ""), ErrorCode::BadArguments),
        (change("server.4=h4:1:2:leader;2181", ""), ErrorCode::BadArguments),
        (change("server.4=h4:1:2|h5:1:2;2181", ""), ErrorCode::BadArguments),
        (change("server.4=h3:2888:2;2181", ""), ErrorCode::BadArguments),
        (change("server.4=h3:1:2;h1:3888", ""), ErrorCode::BadArguments),
        (change("server.x=h4:1:2;2181", ""), ErrorCode::MarshallingError),
        (change("", "one"), ErrorCode::MarshallingError),
        (change("", "1,2"), ErrorCode::BadArguments),
        (change("server.6=h6:1:2;2181,server.7=h7:1:2;2181", "2,3"), ErrorCode::NewConfigNoQuorum),
    ];
    for (body, code) in rows {
        world.refused(ALICE, OpCode::Reconfig, body, code);
    }
    world.options.multi_address = true;
    assert!(accepted(&mut world, change("server.4=h4:1:2|h5:1:2;2181", "")).contains("h4:1:2|h5:1:2"));
    world.options.standalone_enabled = false;
    assert!(accepted(&mut world, change("", "1,2")).starts_with("server.3="));
    world.refused(ALICE, OpCode::Reconfig, change("", "1,2,3"), ErrorCode::BadArguments);
}

#[test]
fn the_whole_membership_is_replaced() {
    let mut world = leader();
    let members = "server.1=h1:1:2,server.4=h4:1:2:participant;2181\nserver.5=h5:1:2:observer";
    let text = "server.1=h1:1:2:participant\nserver.4=h4:1:2:participant;0.0.0.0:2181\n\
                server.5=h5:1:2:observer\n";
    assert_eq!(accepted(&mut world, bulk(members)), text);
    let groups = "server.1=a:1:2,server.2=b:1:2,group.1=1,group.2=2,weight.1=1,weight.2=0";
    assert!(accepted(&mut world, bulk(groups)).contains("group.2=2\nweight.1=1\nweight.2=0"));
    let rows = [
        ("", ErrorCode::BadArguments),
        ("peerType=observer", ErrorCode::BadArguments),
        ("server.1=h1:1", ErrorCode::BadArguments),
        ("server.1=h1:1:2", ErrorCode::BadArguments),
        ("server.one=h1:1:2", ErrorCode::MarshallingError),
        ("server.1=h1:1:2:observer", ErrorCode::MarshallingError),
        ("server.1=h1:1:2,server.2=h2:1:2:observer", ErrorCode::MarshallingError),
        ("server.1=h1:1:2,server.2=h2:1:2,group.1=1", ErrorCode::BadArguments),
        ("server.6=h6:1:2,server.7=h7:1:2", ErrorCode::NewConfigNoQuorum),
        ("leader=2", ErrorCode::BadArguments),
    ];
    for (members, code) in rows {
        world.refused(ALICE, OpCode::Reconfig, bulk(members), code);
    }
}

#[test]
fn weighed_quorums_change_only_as_a_whole() {
    let mut world = leader();
    let text = "server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\nversion=a";
    let config = EnsembleConfig::parse(text).unwrap();
    let ensemble = world.ensemble.as_mut().unwrap();
    (ensemble.active, ensemble.newest) = (config.clone(), config);
    world.refused(ALICE, OpCode::Reconfig, change("", ""), ErrorCode::BadArguments);
    assert_eq!(accepted(&mut world, bulk(&THREE.replace('\n', ","))), THREE);
}

#[test]
fn who_may_change_the_ensemble_may_say_who_leads_it() {
    let mut world = leader();
    world.options.reconfig = false;
    world.ensemble.as_mut().unwrap().synced.remove(&ServerId(3));
    let check = |world: &World, session: SessionId, to: i64| {
        let ctx = PrepareContext {
            tree: &world.tree,
            zxid: Zxid(1),
            unix_ms: 0,
            sessions: &world.sessions,
            options: &world.options,
            membership: world.ensemble.as_ref().map(|ensemble| ensemble as &dyn Membership),
        };
        let body = bulk(&format!("leader={to}")).into();
        let ids = Arc::clone(&world.ids);
        let origin = Origin::Client;
        let request = WriteRequest { session, xid: Xid(1), op: OpCode::Reconfig, body, ids, origin };
        let wanted = crate::prepare::reconfig::wanted_leader(&request).unwrap();
        world.overlay.check_hand_over(&ctx, &request, wanted)
    };
    assert_eq!(check(&world, ALICE, 2), Ok(()));
    assert_eq!(check(&world, STRANGER, 2), Err(ErrorCode::SessionExpired));
    assert_eq!(check(&world, ALICE, 4), Err(ErrorCode::BadArguments), "it does not vote");
    assert_eq!(check(&world, ALICE, 1), Err(ErrorCode::NewConfigNoQuorum), "it leads already");
    assert_eq!(check(&world, ALICE, 3), Err(ErrorCode::NewConfigNoQuorum), "it is not up with the leader");
    world.options.skip_acl = false;
    assert_eq!(check(&world, ALICE, 2), Err(ErrorCode::NoAuth));
}
