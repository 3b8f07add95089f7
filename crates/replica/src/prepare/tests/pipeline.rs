//! Pipelining shows nowhere: a write prepared behind others that are still on their way becomes the same
//! txn as one prepared after they were applied, and its digest is that of the tree once it is applied.

use oxherd_proto::{CheckVersionRequest, CreateMode, MultiOp, OpCode};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write(SessionId, OpCode, Vec<u8>),
    /// Applies so many of the txns on their way.
    Apply(usize),
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..4_usize).prop_map(|at| ["/a", "/b", "/c", "/d"][at].to_owned()),
        6 => (0..3_usize, 0..3_usize).prop_map(|(at, below)| format!("/{}/{}", ["a", "b", "c"][at], ["x", "y", "z"][below])),
        2 => (0..3_usize).prop_map(|at| format!("/a/n-000000000{at}")),
        1 => Just("/".to_owned()),
        1 => Just("/zookeeper/quota/a".to_owned()),
        1 => Just("/a//".to_owned()),
    ]
}

fn mode() -> impl Strategy<Value = CreateMode> {
    (0..5).prop_map(|flags| CreateMode::from_flags(flags).unwrap())
}

fn any_acl() -> impl Strategy<Value = Vec<Acl>> {
    prop_oneof![
        20 => Just(open()),
        3 => Just(acl(31, "auth", "")),
        2 => Just(acl(9, "world", "anyone")),
        1 => Just(closed()),
        1 => Just(vec![]),
    ]
}

fn session() -> impl Strategy<Value = SessionId> {
    (0..6_i64).prop_map(|at| SessionId(0x1000 + at))
}

fn version() -> impl Strategy<Value = i32> {
    prop_oneof![3 => Just(-1), 1 => 0..3]
}

fn member() -> impl Strategy<Value = MultiOp> {
    prop_oneof![
        4 => (path(), mode(), any_acl()).prop_map(|(path, mode, acl)| {
            let op = if mode == CreateMode::Container { OpCode::CreateContainer } else { OpCode::Create2 };
            MultiOp::Create(op, create_request(&path, mode, acl))
        }),
        2 => (path(), version()).prop_map(|(path, version)| MultiOp::Delete(DeleteRequest { path: path.into(), version })),
        2 => (path(), version()).prop_map(|(path, version)| {
            MultiOp::SetData(SetDataRequest { path: path.into(), data: Some("multi".into()), version })
        }),
        1 => (path(), version()).prop_map(|(path, version)| {
            MultiOp::Check(CheckVersionRequest { path: path.into(), version })
        }),
    ]
}

fn create_op() -> impl Strategy<Value = OpCode> {
    (0..3_usize).prop_map(|at| [OpCode::Create, OpCode::Create2, OpCode::CreateContainer][at])
}

fn write() -> impl Strategy<Value = Step> {
    let body = prop_oneof![
        8 => (create_op(), path(), mode(), any_acl()).prop_map(|(op, path, mode, acl)| (op, create(&path, mode, acl))),
        1 => (path(), 5..7, 1..9_i64).prop_map(|(path, flags, ttl)| (OpCode::CreateTtl, create_ttl(&path, flags, ttl))),
        4 => (path(), version()).prop_map(|(path, version)| (OpCode::Delete, delete(&path, version))),
        4 => (path(), version()).prop_map(|(path, version)| (OpCode::SetData, set_data(&path, "set", version))),
        2 => (path(), any_acl(), version()).prop_map(|(path, acl, version)| (OpCode::SetAcl, set_acl(&path, acl, version))),
        4 => prop::collection::vec(member(), 0..5).prop_map(|ops| (OpCode::Multi, multi(&ops))),
        1 => Just((OpCode::CloseSession, vec![])),
        1 => Just((OpCode::Create, vec![0])),
    ];
    (session(), body).prop_map(|(session, (op, body))| Step::Write(session, op, body))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![5 => write(), 1 => (1..8_usize).prop_map(Step::Apply)], 1..80)
}

fn run(steps: Vec<Step>, options: &PrepareOptions) {
    let mut piped = World::with(options.clone());
    let mut prompt = World::with(options.clone());
    for step in steps {
        match step {
            Step::Write(session, op, body) => {
                let expected = prompt.submit(session, op, body.clone());
                prompt.apply_all();
                assert_eq!(piped.submit(session, op, body), expected);
            }
            Step::Apply(count) => {
                for _ in 0..count {
                    piped.apply_one();
                }
            }
        }
    }
    piped.apply_all();
    assert_eq!(piped.tree.digest(), prompt.tree.digest());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pipelined_history_is_the_prompt_one(steps in steps(), close_session_paths: bool, digest: bool) {
        let options =
            PrepareOptions { extended_types: true, close_session_paths, digest, ..PrepareOptions::default() };
        run(steps, &options);
    }
}
