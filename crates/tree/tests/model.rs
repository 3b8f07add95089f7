//! The tree against a naive model, its walks and loads, and replay over a snapshot.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use oxherd_proto::{
    Acl, CloseSessionTxn, CreateContainerTxn, CreateTTLTxn, CreateTxn, DeleteTxn, ErrorCode, Id, MultiResult,
    OpCode, SessionId, SetACLTxn, SetDataTxn, StatPersisted, SubTxn, TxnHeader, TxnRecord, Xid, Zxid,
};
use oxherd_tree::{
    LoadProgress, Loader, Outcome, QuotaKind, Tree, TreeOptions, WalkState, node_digest, open_acl, parent,
};
use proptest::prelude::*;

const OPTIONS: TreeOptions =
    TreeOptions { extended_types: true, emulate_353_ttl: false, digest: true, hash_seed: 3 };

/// The original's own arithmetic on a map from path to node.
#[derive(Clone)]
struct Model {
    nodes: BTreeMap<String, ModelNode>,
}

#[derive(Clone, Debug, PartialEq)]
struct ModelNode {
    data: Option<Vec<u8>>,
    stat: StatPersisted,
    acl: Vec<Acl>,
}

fn acl(choice: u8) -> Vec<Acl> {
    let id = |id: &str| Id { scheme: "digest".into(), id: id.into() };
    match choice % 3 {
        0 => open_acl().to_vec(),
        1 => vec![Acl { perms: 1, id: id("a:x") }],
        _ => vec![Acl { perms: 1, id: id("a:x") }, Acl { perms: 31, id: id("b:y") }],
    }
}

fn model_of(tree: &Tree) -> Model {
    let mut nodes = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        let node = tree.node(path.as_bytes()).unwrap();
        for name in node.children() {
            open.push(format!("{path}/{}", str::from_utf8(name).unwrap()));
        }
        let data = node.data().map(<[u8]>::to_vec);
        nodes.insert(path, ModelNode { data, stat: node.persisted(), acl: node.acl().to_vec() });
    }
    Model { nodes }
}

impl Model {
    fn create(&mut self, path: &str, node: ModelNode, cversion: i32) -> bool {
        let Some(up) = self.parent(path) else { return false };
        let zxid = node.stat.czxid;
        let stat = &mut self.nodes.get_mut(&up).unwrap().stat;
        let cversion = if cversion == -1 { stat.cversion + 1 } else { cversion };
        if cversion > stat.cversion {
            (stat.cversion, stat.pzxid) = (cversion, zxid);
        }
        if let Some(existing) = self.nodes.get_mut(path) {
            existing.acl = node.acl;
            return false;
        }
        self.nodes.insert(path.to_owned(), node);
        true
    }

    fn parent(&self, path: &str) -> Option<String> {
        let up = path.rsplit_once('/').unwrap().0.to_owned();
        self.nodes.contains_key(&up).then_some(up)
    }

    fn delete(&mut self, path: &str, zxid: Zxid) -> bool {
        let Some(up) = self.parent(path) else { return false };
        let stat = &mut self.nodes.get_mut(&up).unwrap().stat;
        stat.pzxid = stat.pzxid.max(zxid);
        let existed = self.nodes.remove(path).is_some();
        self.nodes.retain(|other, _| !other.starts_with(&format!("{path}/")));
        existed
    }

    fn digest(&self) -> u64 {
        let shares = self
            .nodes
            .iter()
            .map(|(path, node)| node_digest(path.as_bytes(), node.data.as_deref(), &node.stat));
        shares.fold(0, u64::wrapping_add)
    }

    fn children(&self, path: &str) -> BTreeSet<&str> {
        let below = self.nodes.keys().filter_map(|other| other.strip_prefix(&format!("{path}/")));
        below.filter(|name| !name.contains('/')).collect()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Create { path: String, data: Option<Vec<u8>>, acl: u8, kind: u8, cversion: i32 },
    Delete(String),
    SetData(String, Option<Vec<u8>>),
    SetAcl(String, u8),
    Close(i64),
    Error,
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
        .prop_map(|names| format!("/{}", names.join("/")))
}

fn data() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..6))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (path(), data(), any::<u8>(), 0u8..6, prop_oneof![Just(-1), 0..20i32])
            .prop_map(|(path, data, acl, kind, cversion)| Op::Create { path, data, acl, kind, cversion }),
        2 => path().prop_map(Op::Delete),
        3 => (path(), data()).prop_map(|(path, data)| Op::SetData(path, data)),
        1 => (path(), any::<u8>()).prop_map(|(path, acl)| Op::SetAcl(path, acl)),
        1 => (1i64..3).prop_map(Op::Close),
        1 => Just(Op::Error),
    ]
}

fn owner(kind: u8) -> i64 {
    match kind {
        1 | 2 => i64::from(kind),
        3 => i64::MIN,
        4 => (0xff_i64 << 56) | 50,
        _ => 0,
    }
}

fn txn(op: &Op, zxid: i64) -> (TxnHeader, TxnRecord) {
    let mut header =
        TxnHeader { client_id: SessionId(9), cxid: Xid(1), zxid: Zxid(zxid), time: zxid * 10, kind: 0 };
    let record = match op {
        Op::Create { path, data, acl: choice, kind, cversion } => {
            let (path, data, acl) = (path.as_str().into(), data.clone().map(Into::into), acl(*choice));
            let parent_c_version = *cversion;
            match kind {
                3 => TxnRecord::CreateContainer(CreateContainerTxn { path, data, acl, parent_c_version }),
                4 => TxnRecord::CreateTtl(CreateTTLTxn { path, data, acl, parent_c_version, ttl: 50 }),
                _ => {
                    header.client_id = SessionId(i64::from(*kind));
                    let ephemeral = matches!(kind, 1 | 2);
                    TxnRecord::Create(CreateTxn { path, data, acl, ephemeral, parent_c_version })
                }
            }
        }
        Op::Delete(path) => TxnRecord::Delete(DeleteTxn { path: path.as_str().into() }),
        Op::SetData(path, data) => TxnRecord::SetData(SetDataTxn {
            path: path.as_str().into(),
            data: data.clone().map(Into::into),
            version: i32::try_from(zxid).unwrap(),
        }),
        Op::SetAcl(path, choice) => TxnRecord::SetAcl(SetACLTxn {
            path: path.as_str().into(),
            acl: acl(*choice),
            version: i32::try_from(zxid).unwrap(),
        }),
        Op::Close(session) => {
            header.client_id = SessionId(*session);
            TxnRecord::CloseSession(Some(CloseSessionTxn { paths_to_delete: Vec::new() }))
        }
        Op::Error => TxnRecord::Error(ErrorCode::NoNode),
    };
    header.kind = OpCode::Create.code();
    (header, record)
}

fn apply(tree: &mut Tree, op: &Op, zxid: i64) -> Outcome {
    let (header, record) = txn(op, zxid);
    tree.apply(&header, &record, &mut Vec::new())
}

fn apply_to_model(model: &mut Model, op: &Op, zxid: i64) -> bool {
    let time = zxid * 10;
    match op {
        Op::Create { path, data, acl: choice, kind, cversion } => {
            let at = Zxid(zxid);
            let stat = StatPersisted {
                czxid: at,
                mzxid: at,
                pzxid: at,
                ctime: time,
                mtime: time,
                ephemeral_owner: SessionId(owner(*kind)),
                ..StatPersisted::default()
            };
            model.create(path, ModelNode { data: data.clone(), stat, acl: acl(*choice) }, *cversion)
        }
        Op::Delete(path) => model.delete(path, Zxid(zxid)),
        Op::SetData(path, data) => model.nodes.get_mut(path).is_some_and(|node| {
            node.data.clone_from(data);
            (node.stat.mzxid, node.stat.mtime) = (Zxid(zxid), time);
            node.stat.version = i32::try_from(zxid).unwrap();
            true
        }),
        Op::SetAcl(path, choice) => model.nodes.get_mut(path).is_some_and(|node| {
            node.acl = acl(*choice);
            node.stat.aversion = i32::try_from(zxid).unwrap();
            true
        }),
        Op::Close(session) => {
            let owned = model.nodes.iter().filter(|(_, node)| node.stat.ephemeral_owner.0 == *session);
            for path in owned.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
                model.delete(&path, Zxid(zxid));
            }
            true
        }
        Op::Error => false,
    }
}

fn assert_same(tree: &Tree, model: &Model) {
    assert_eq!(model_of(tree).nodes, model.nodes);
    assert_eq!(tree.digest(), model.digest());
    assert_eq!(tree.node_count(), model.nodes.len() + 1);
    let size: usize =
        model.nodes.iter().map(|(path, node)| path.len() + node.data.as_ref().map_or(0, Vec::len)).sum();
    let root_again = 1 + i64::try_from(model.nodes[""].data.as_ref().map_or(0, Vec::len)).unwrap();
    assert_eq!(tree.data_size(), i64::try_from(size).unwrap() + root_again);
    for (path, node) in &model.nodes {
        let (view, children) = (tree.node(path.as_bytes()).unwrap(), model.children(path));
        let names: BTreeSet<_> = view.children().map(|name| str::from_utf8(name).unwrap()).collect();
        assert_eq!(names, children);
        let stat = view.stat();
        let count = i32::try_from(children.len()).unwrap();
        assert_eq!((stat.num_children, stat.cversion), (count, node.stat.cversion * 2 - count));
        let owner = node.stat.ephemeral_owner;
        assert_eq!(stat.ephemeral_owner, if owner.0 < 0 { SessionId(0) } else { owner });
    }
    for session in [1, 2] {
        let owned = model.nodes.iter().filter(|(_, node)| node.stat.ephemeral_owner.0 == session);
        let owned: Vec<_> = owned.map(|(path, _)| path.as_str().into()).collect();
        assert_eq!(tree.ephemerals(SessionId(session)).collect::<Vec<_>>(), owned);
    }
}

fn walk(tree: &mut Tree, bytes_max: usize) -> Vec<u8> {
    let id = tree.begin_walk(vec![(SessionId(5), 4000)]);
    let mut body = Vec::new();
    while tree.walk_slice(id, &mut body, bytes_max) == WalkState::More {}
    tree.end_walk(id);
    body
}

fn load(body: &[u8], piece: usize) -> Tree {
    let mut loader = Loader::new(OPTIONS);
    let mut progress = LoadProgress::More;
    for bytes in body.chunks(piece) {
        progress = loader.push(bytes).unwrap();
    }
    assert!(matches!(progress, LoadProgress::Done { .. }));
    let (tree, sessions) = loader.finish().unwrap();
    assert_eq!(sessions, [(SessionId(5), 4000)]);
    tree
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_the_model(ops in prop::collection::vec(op(), 1..60)) {
        let mut tree = Tree::new(OPTIONS);
        let mut model = model_of(&tree);
        for (op, zxid) in ops.iter().zip(1..) {
            let outcome = apply(&mut tree, op, zxid);
            let done = apply_to_model(&mut model, op, zxid);
            prop_assert_eq!(!matches!(outcome, Outcome::Error(_)), done, "{:?}", op);
            assert_same(&tree, &model);
        }
    }

    /// Two walks at once, each with its own pace, while txns go on.
    #[test]
    fn a_walk_is_the_tree_at_its_beginning(
        before in prop::collection::vec(op(), 1..60),
        after in prop::collection::vec((op(), 0usize..200), 1..60),
        piece in 1usize..100,
    ) {
        let mut tree = Tree::new(OPTIONS);
        let mut zxid = 0;
        for op in &before {
            zxid += 1;
            apply(&mut tree, op, zxid);
        }
        let (model, digest, acls) = (model_of(&tree), tree.digest(), tree.acl_count());
        let walks = [(), ()].map(|()| tree.begin_walk(vec![(SessionId(5), 4000)]));
        let mut bodies = [Vec::new(), Vec::new()];
        for (op, slice) in &after {
            zxid += 1;
            apply(&mut tree, op, zxid);
            tree.walk_slice(walks[0], &mut bodies[0], *slice);
            if slice % 3 == 0 {
                tree.walk_slice(walks[1], &mut bodies[1], slice / 2);
            }
        }
        for (id, body) in walks.into_iter().zip(&mut bodies) {
            while tree.walk_slice(id, body, 64) == WalkState::More {}
            prop_assert_eq!(tree.walk_point(id).unwrap().digest, digest);
            tree.end_walk(id);
            let loaded = load(body, piece);
            assert_same(&loaded, &model);
            prop_assert_eq!(loaded.acl_count(), acls);
        }
    }

    /// Every txn after the snapshot's point has a final value, so a second time changes nothing.
    #[test]
    fn a_replay_over_a_snapshot_ends_in_the_same_tree(
        ops in prop::collection::vec(op(), 1..60), from in 0usize..60, at in 0usize..60,
    ) {
        let mut tree = Tree::new(OPTIONS);
        let ops = sound_history(&ops);
        let (from, at) = (from.min(ops.len()), at.min(ops.len()));
        let mut fuzzy = None;
        for (index, (op, zxid)) in ops.iter().zip(1..).enumerate() {
            if index == at {
                fuzzy = Some(walk(&mut tree, 50));
            }
            apply(&mut tree, op, zxid);
        }
        let mut again = load(&fuzzy.unwrap_or_else(|| walk(&mut tree, 50)), 64);
        for (op, zxid) in ops.iter().zip(1..).skip(from.min(at)) {
            apply(&mut again, op, zxid);
        }
        assert_same(&again, &model_of(&tree));
    }
}

/// What a leader would have logged: only what succeeds, with final cversions, leaves deleted only.
fn sound_history(ops: &[Op]) -> Vec<Op> {
    let mut model = model_of(&Tree::new(OPTIONS));
    let mut kept = Vec::new();
    for op in ops {
        let mut op = op.clone();
        let sound = match &mut op {
            Op::Create { path, cversion, .. } => match model.parent(path) {
                Some(up) if !model.nodes.contains_key(path) => {
                    let stat = &model.nodes[&up].stat;
                    *cversion = stat.cversion + 1;
                    !matches!(stat.ephemeral_owner.0, 1 | 2)
                }
                _ => false,
            },
            Op::Delete(path) => model.nodes.contains_key(path) && model.children(path).is_empty(),
            Op::SetData(path, _) | Op::SetAcl(path, _) => model.nodes.contains_key(path),
            Op::Close(_) | Op::Error => true,
        };
        if sound {
            let zxid = i64::try_from(kept.len()).unwrap() + 1;
            apply_to_model(&mut model, &op, zxid);
            kept.push(op);
        }
    }
    kept
}

#[test]
fn a_fresh_tree_has_the_digest_of_a_fresh_original() {
    let tree = Tree::new(TreeOptions::default());
    assert_eq!(tree.digest(), 0x51c6_d660);
    assert_eq!((tree.node_count(), tree.data_size()), (5, 44));
    let config = tree.node(b"/zookeeper/config").unwrap();
    assert_eq!((config.data(), config.acl()[0].perms, config.stat().aversion), (Some(&b""[..]), 1, -1));
    assert_eq!(tree.node(b"").unwrap().stat(), tree.node(b"/").unwrap().stat());
    assert_eq!(parent(b"/zookeeper"), Some(&b"/"[..]));
}

fn create(path: &str, data: &str) -> Op {
    let data = Some(data.as_bytes().to_vec());
    Op::Create { path: path.to_owned(), data, acl: 0, kind: 0, cversion: -1 }
}

#[test]
fn usage_follows_the_deepest_quota() {
    let mut tree = Tree::new(TreeOptions::default());
    let script = [
        create("/q", "12345"),
        create("/zookeeper/quota/q", ""),
        create("/zookeeper/quota/q/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=9;countHardLimit=3"),
        create("/zookeeper/quota/q/zookeeper_stats", "count=0,bytes=0"),
        create("/q/a", "12"),
        Op::SetData("/q/a".to_owned(), Some(b"1".to_vec())),
    ];
    for (op, zxid) in script.iter().zip(1..) {
        assert!(!matches!(apply(&mut tree, op, zxid), Outcome::Error(_)));
    }
    let usage =
        |tree: &Tree| tree.node(b"/zookeeper/quota/q/zookeeper_stats").unwrap().data().unwrap().to_vec();
    assert_eq!(usage(&tree), b"count=2,bytes=6");
    assert!(tree.quota_breaches(b"/q/b", 0, 3, 1).is_empty());
    assert!(tree.quota_breaches(b"/q/b", 0, 4, 1)[0].hard, "10 bytes are more than 9");
    apply(&mut tree, &create("/q/b", ""), 7);
    assert_eq!(tree.quota_breaches(b"/q/c", 0, 0, 1)[0].limit, 3);
    let used: Vec<_> =
        tree.quotas().map(|quota| (quota.count_limit, quota.bytes_limit, quota.count, quota.bytes)).collect();
    assert_eq!(used, [(3, 9, 3, 6)]);
    assert_eq!(usage(&load(&walk(&mut tree, 10), 7)), b"count=3,bytes=6");
    apply(&mut tree, &Op::SetData("/zookeeper/quota/q/zookeeper_stats".to_owned(), Some(b"?".to_vec())), 8);
    assert!(!matches!(apply(&mut tree, &create("/q/c", ""), 9), Outcome::Error(_)), "garbage stops nobody");
    apply(&mut tree, &Op::Delete("/zookeeper/quota/q/zookeeper_limits".to_owned()), 10);
    assert!(tree.quota_breaches(b"/q/d", 0, 100, 1).is_empty());
    assert_eq!(tree.quotas().count(), 0);
}

#[test]
fn soft_quotas_are_told_until_a_hard_one_stops_the_write() {
    let mut tree = Tree::new(TreeOptions::default());
    let limits = "count=1,bytes=-1=;byteHardLimit=3";
    let script = [
        create("/q", ""),
        create("/zookeeper/quota/q", ""),
        create("/zookeeper/quota/q/zookeeper_limits", limits),
        create("/zookeeper/quota/q/zookeeper_stats", "count=0,bytes=0"),
    ];
    for (op, zxid) in script.iter().zip(1..) {
        assert!(!matches!(apply(&mut tree, op, zxid), Outcome::Error(_)));
    }
    let told = |len, nodes| -> Vec<_> {
        let breaches = tree.quota_breaches(b"/q/a", 0, len, nodes);
        breaches.into_iter().map(|breach| (breach.kind, breach.usage, breach.limit, breach.hard)).collect()
    };
    assert_eq!(told(3, 1), [(QuotaKind::Count, 2, 1, false)]);
    assert_eq!(told(4, 1), [(QuotaKind::Count, 2, 1, false), (QuotaKind::Bytes, 4, 3, true)]);
    assert_eq!(told(3, 0), []);
}

#[test]
fn senseless_txns_change_nothing() {
    let mut tree = Tree::new(OPTIONS);
    let header = txn(&Op::Error, 1).0;
    let senseless = [
        TxnRecord::CreateTtl(CreateTTLTxn { path: "/t".into(), ttl: -1, ..CreateTTLTxn::default() }),
        TxnRecord::Check(oxherd_proto::CheckVersionTxn { path: "/".into(), version: 1 }),
        TxnRecord::Create(CreateTxn { path: "x".into(), ..CreateTxn::default() }),
        TxnRecord::Create(CreateTxn { path: "/".into(), ..CreateTxn::default() }),
        TxnRecord::Delete(DeleteTxn { path: "/".into() }),
        TxnRecord::Delete(DeleteTxn { path: "".into() }),
        TxnRecord::Multi(vec![SubTxn { kind: 14, record: TxnRecord::Multi(Vec::new()) }]),
    ];
    let before = tree.digest();
    for record in senseless {
        let outcome = tree.apply(&header, &record, &mut Vec::new());
        assert!(matches!(outcome, Outcome::Error(_) | Outcome::Multi(_)), "{record:?}");
    }
    assert_eq!((tree.digest(), tree.node_count()), (before, 5));
}

#[test]
fn a_cut_or_damaged_snapshot_is_no_tree() {
    let mut tree = Tree::new(OPTIONS);
    let body = walk(&mut tree, 1000);
    for len in 0..body.len() {
        let mut loader = Loader::new(OPTIONS);
        assert_eq!(loader.push(&body[..len]), Ok(LoadProgress::More), "{len}");
        assert!(loader.finish().is_err());
    }
    let mut longer = body.clone();
    longer.extend_from_slice(b"seal");
    let progress = Loader::new(OPTIONS).push(&longer).unwrap();
    assert_eq!(progress, LoadProgress::Done { consumed: body.len() });
    let mut damaged = body;
    damaged[16..20].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    assert!(!matches!(Loader::new(OPTIONS).push(&damaged), Ok(LoadProgress::Done { .. })));
}

#[test]
fn a_failed_multi_is_errors_only() {
    let mut tree = Tree::new(OPTIONS);
    let (header, create) =
        txn(&Op::Create { path: "/m".to_owned(), data: None, acl: 0, kind: 0, cversion: -1 }, 1);
    let sub = |kind: i32, record: TxnRecord| SubTxn { kind, record };
    let failed = TxnRecord::Multi(vec![
        sub(1, create.clone()),
        sub(-1, TxnRecord::Error(ErrorCode::BadVersion)),
        sub(1, create.clone()),
    ]);
    let codes = [ErrorCode::Ok, ErrorCode::BadVersion, ErrorCode::RuntimeInconsistency];
    let mut changes = Vec::new();
    let expected = codes.map(MultiResult::Error).to_vec();
    assert_eq!(tree.apply(&header, &failed, &mut changes), Outcome::Multi(expected));
    assert!(tree.node(b"/m").is_none() && changes.is_empty());
    let set = TxnRecord::SetData(SetDataTxn { path: "/m".into(), data: None, version: 1 });
    let good = TxnRecord::Multi(vec![sub(15, create), sub(5, set)]);
    let Outcome::Multi(results) = tree.apply(&header, &good, &mut changes) else { panic!("not a multi") };
    let [MultiResult::Create2(_, first), MultiResult::SetData(second)] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!((first.version, second.version), (0, 1), "each result shows its own moment");
    assert_eq!((changes.len(), tree.last_zxid()), (2, Zxid(1)));
}

#[test]
fn the_membership_is_written_in_place() {
    let mut tree = Tree::new(OPTIONS);
    let digest = tree.digest();
    let change = tree.set_config_node(b"version=7", Zxid(7), 99).unwrap();
    let node = tree.node(&change.path).unwrap();
    assert_eq!((node.data(), node.stat().version, node.stat().mtime), (Some(&b"version=7"[..]), -1, 99));
    assert_eq!((node.stat().mzxid, tree.last_zxid(), tree.digest()), (Zxid(7), Zxid(0), digest));
}

#[test]
fn containers_and_ttl_nodes_are_found_when_their_time_comes() {
    let mut tree = Tree::new(OPTIONS);
    let create =
        |path: &str, kind| Op::Create { path: path.to_owned(), data: None, acl: 0, kind, cversion: -1 };
    let script = [create("/c", 3), create("/t", 4), create("/c/x", 0), create("/d", 3)];
    for (op, zxid) in script.iter().zip(1..) {
        apply(&mut tree, op, zxid);
    }
    assert!(tree.removable_containers(1_000, 0).is_empty(), "one has a child, one was never used");
    assert_eq!(tree.removable_containers(1_000, 500), ["/d".into()]);
    apply(&mut tree, &Op::Delete("/c/x".to_owned()), 5);
    assert_eq!(tree.removable_containers(0, 0), ["/c".into()]);
    assert!(tree.expired_ttl(70).is_empty(), "made at 20 with 50 to live");
    assert_eq!(tree.expired_ttl(71), ["/t".into()]);
}
