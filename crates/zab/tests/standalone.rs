//! A server alone: no ensemble, no timeouts, and the same order of log and tree.

#![allow(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

use std::time::Instant;

use bytes::Bytes;
use oxherd_proto::{Epoch, ServerId, Zxid};
use oxherd_zab::{Input, Output, Peer, Role, StorageCommand, StorageEvent};

fn outputs(peer: &mut Peer) -> Vec<Output> {
    std::iter::from_fn(|| peer.poll_output()).collect()
}

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn synced(peer: &mut Peer, zxid: Zxid) -> Vec<Output> {
    peer.handle(Instant::now(), Input::Storage(StorageEvent::Synced(zxid)));
    outputs(peer)
}

fn propose(peer: &mut Peer) -> Zxid {
    let zxid = peer.next_zxid().unwrap();
    peer.propose(zxid, Bytes::from_static(b"txn"));
    zxid
}

#[test]
fn a_txn_is_delivered_when_it_is_durable_and_not_before() {
    let mut peer = Peer::standalone(ServerId(1), Zxid(7));
    assert_eq!(outputs(&mut peer), [Output::Role(Role::Leading { epoch: Epoch(0) })]);
    let (first, second) = (propose(&mut peer), propose(&mut peer));
    assert_eq!((first, second), (Zxid(8), Zxid(9)));
    let append = |zxid| Output::Storage(StorageCommand::Append { zxid, payload: Bytes::from_static(b"txn") });
    assert_eq!(outputs(&mut peer), [append(first), append(second)]);
    let deliver = |zxid| Output::Deliver { zxid, payload: Bytes::from_static(b"txn") };
    assert_eq!(synced(&mut peer, first), [deliver(first)]);
    assert_eq!(synced(&mut peer, second), [deliver(second)]);
    assert_eq!(peer.poll_timeout(), None);
}

#[test]
fn a_sync_waits_for_what_was_proposed_before_it() {
    let mut peer = Peer::standalone(ServerId(1), Zxid(0));
    peer.sync(1, Bytes::new(), Vec::new());
    let zxid = propose(&mut peer);
    peer.sync(2, Bytes::new(), Vec::new());
    let reached = |outputs: &[Output]| -> Vec<u64> {
        outputs
            .iter()
            .filter_map(|o| if let Output::SyncReached { token } = o { Some(*token) } else { None })
            .collect()
    };
    assert_eq!(reached(&outputs(&mut peer)), [1]);
    let after = synced(&mut peer, zxid);
    assert!(matches!(after[0], Output::Deliver { .. }), "the txn comes before the sync behind it");
    assert_eq!(reached(&after), [2]);
}

#[test]
fn the_counter_goes_on_in_the_next_epoch() {
    let mut peer = Peer::standalone(ServerId(1), Zxid::new(Epoch(3), u32::MAX - 2));
    assert_eq!(propose(&mut peer), Zxid::new(Epoch(3), u32::MAX - 1));
    assert_eq!(propose(&mut peer), Zxid::new(Epoch(4), 1));
}

#[test]
fn a_failed_disk_ends_everything() {
    let mut peer = Peer::standalone(ServerId(1), Zxid(0));
    let zxid = propose(&mut peer);
    outputs(&mut peer);
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    peer.handle(Instant::now(), Input::Storage(StorageEvent::Failed("full".to_owned())));
    assert_eq!(outputs(&mut peer), [Output::Role(Role::Stopped { failed: true })]);
    assert_eq!(peer.next_zxid(), None);
    assert_eq!(synced(&mut peer, zxid), [], "nothing is delivered any more");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn a_stop_waits_for_the_log() {
    let mut peer = Peer::standalone(ServerId(1), Zxid(0));
    let zxid = propose(&mut peer);
    peer.handle(Instant::now(), Input::Stop);
    assert_eq!(peer.next_zxid(), None, "no more proposals");
    assert!(!outputs(&mut peer).contains(&Output::Role(Role::Stopped { failed: false })));
    let last = synced(&mut peer, zxid);
    assert_eq!(last.last(), Some(&Output::Role(Role::Stopped { failed: false })));
}
