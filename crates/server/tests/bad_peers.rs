//! Whoever dials the ports for peers and talks nonsense loses the link, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use oxherd_client::{Client, ClientOptions, open_acl};
use oxherd_proto::{CreateMode, ElectionHello, Jute, LearnerInfo, PacketType, QuorumPacket, ServerId, Zxid};
use oxherd_server::TestEnsemble;

/// Bound of every wait; an idle link may be closed only after the time for a hello.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says something and tells whether the server then closes the link.
fn is_closed_after(address: SocketAddr, said: &[u8]) -> bool {
    let mut link = TcpStream::connect(address).unwrap();
    link.set_read_timeout(Some(PATIENCE)).unwrap();
    link.write_all(said).unwrap();
    let mut answer = Vec::new();
    match link.read_to_end(&mut answer) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn hello(server: i64) -> Vec<u8> {
    ElectionHello { server: ServerId(server), addresses: vec!["127.0.0.1:1".to_owned()] }
        .to_bytes(false)
        .to_vec()
}

fn with_frame(mut said: Vec<u8>, len: i32, body: &[u8]) -> Vec<u8> {
    said.extend_from_slice(&len.to_be_bytes());
    said.extend_from_slice(body);
    said
}

fn assert_serves(ensemble: &TestEnsemble, path: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, _) = Client::connect(&ensemble.connect_string(), &ClientOptions::default()).unwrap();
        let write = client.create(path, None, open_acl(), CreateMode::Persistent);
        tokio::time::timeout(PATIENCE, write).await.expect("an answer in time").unwrap();
    });
}

#[test]
fn nonsense_at_the_election_port_costs_its_link() {
    let ensemble = TestEnsemble::start(3).unwrap();
    for index in 0..3 {
        let (_, votes) = ensemble.peer_addrs(index).unwrap();
        let own = i64::try_from(index).unwrap() + 1;
        let cases = [
            ("no protocol version", (-7_i64).to_be_bytes().to_vec()),
            ("an address of many megabytes", {
                let mut said = ElectionHello::VERSION_ONE_ADDRESS.to_be_bytes().to_vec();
                said.extend_from_slice(&9_i64.to_be_bytes());
                said.extend_from_slice(&i32::MAX.to_be_bytes());
                said
            }),
            ("this server's own number", hello(own)),
            ("a frame of no length", with_frame(hello(9), 0, b"")),
            ("a frame of negative length", with_frame(hello(9), -1, b"")),
            ("a frame beyond the limit", with_frame(hello(9), 524_289, b"")),
            ("a torn notification", with_frame(hello(9), 5, b"\0\0\0\0\0")),
            ("a number below the others' that nobody has", hello(0)),
        ];
        for (what, said) in cases {
            assert!(is_closed_after(votes, &said), "server {own}: {what}");
        }
    }
    assert_serves(&ensemble, "/elections");
}

#[test]
fn nonsense_at_the_peer_port_costs_its_link() {
    let ensemble = TestEnsemble::start(3).unwrap();
    let leader = ensemble.leader().expect("one leads");
    let (learners, _) = ensemble.peer_addrs(leader).unwrap();
    let packet = |kind, data: Option<Bytes>| {
        let mut said = Vec::new();
        QuorumPacket { kind, zxid: Zxid(0), data, authinfo: None }.encode(&mut said);
        said
    };
    let newer = LearnerInfo { server: ServerId(1), protocol_version: 0x10000, config_version: i64::MAX };
    let mut long = vec![0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0];
    long.extend_from_slice(&i32::MAX.to_be_bytes());
    let cases = [
        ("no packet type", vec![0x7f; 64]),
        ("data of two gigabytes", long),
        ("an acknowledgement as first packet", packet(PacketType::Ack, None)),
        ("a hello without a learner", packet(PacketType::FollowerInfo, Some(Bytes::from_static(b"abc")))),
        ("a newer configuration", packet(PacketType::FollowerInfo, Some(newer.to_bytes()))),
    ];
    for (what, said) in cases {
        assert!(is_closed_after(learners, &said), "{what}");
    }
    assert_serves(&ensemble, "/learners");
    assert_eq!(ensemble.leader(), Some(leader), "the leader leads on");
}
