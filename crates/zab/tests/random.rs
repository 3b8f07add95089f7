//! Random schedules over an ensemble in memory: messages late, links cut, disks slow, servers dying and
//! coming back. The judge in `cluster` checks every output; at the end all heals and all must agree.

#![allow(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

mod cluster;

use std::time::Duration;

use cluster::Cluster;
use oxherd_proto::ServerId;

/// A small generator whose whole state is the seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % sides as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.roll(of.len())]) }
    }
}

const THREE: &str = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2";
const FIVE: &str = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\nserver.4=h4:1:2\nserver.5=h5:1:2";
const OBSERVED: &str = "server.1=h1:1:2\nserver.2=h2:1:2\nserver.3=h3:1:2\nserver.4=h4:1:2:observer";

/// How often, of 10 000 steps, what goes wrong.
struct Faults {
    crash: usize,
    cut: usize,
    break_pipe: usize,
    time: usize,
    propose: usize,
}

fn step(cluster: &mut Cluster, dice: &mut Dice, faults: &Faults) {
    let ids = cluster.ids();
    let one = dice.pick(&ids).unwrap();
    let roll = dice.roll(10_000);
    let mut below = 0;
    let mut falls = |share: usize| {
        below += share;
        roll < below
    };
    if falls(faults.crash) {
        cluster.crash(one);
    } else if falls(faults.crash * 4) {
        cluster.start(one);
    } else if falls(faults.cut) {
        let other = dice.pick(&ids).unwrap();
        if one != other {
            cluster.cut(one, other);
        }
    } else if falls(faults.cut) {
        cluster.heal();
    } else if falls(faults.break_pipe) {
        let pipes: Vec<u64> = cluster.pipes.keys().copied().collect();
        if let Some(pipe) = dice.pick(&pipes) {
            cluster.lose_suffix(pipe, 0, dice.roll(6));
            cluster.lose_suffix(pipe, 1, dice.roll(6));
            cluster.break_pipe(pipe);
        }
    } else if falls(20) {
        let server = cluster.servers.get_mut(&one).unwrap();
        if server.peer.is_some() {
            server.disk.compact(&server.applied);
        }
    } else if falls(faults.time) {
        cluster.advance();
    } else if falls(faults.propose) {
        if let Some(leader) = cluster.leader() {
            cluster.propose(leader);
        }
    } else {
        work(cluster, dice);
    }
}

/// Delivers a message or lets a disk do something.
fn work(cluster: &mut Cluster, dice: &mut Dice) {
    let links = cluster.deliverable();
    let disks: Vec<ServerId> = cluster.ids().into_iter().filter(|id| cluster.can_store(*id)).collect();
    if !disks.is_empty() && (links.is_empty() || dice.roll(3) == 0) {
        let id = dice.pick(&disks).unwrap();
        let batch = 1 + dice.roll(4);
        cluster.store(id, batch);
    } else if let Some(link) = dice.pick(&links) {
        cluster.deliver(link);
    } else {
        cluster.advance();
    }
}

fn heal_and_agree(cluster: &mut Cluster, seed: u64) {
    cluster.heal();
    for id in cluster.ids() {
        cluster.start(id);
    }
    for _ in 0..600 {
        cluster.pass(Duration::from_millis(100));
        let Some(leader) = cluster.leader() else { continue };
        let end = cluster.servers[&leader].applied.clone();
        if cluster.servers.values().all(|server| server.applied == end && is_serving(server)) {
            let Some(zxid) = cluster.propose(leader) else { continue };
            cluster.settle();
            let all = cluster.servers.values().all(|server| server.applied.last().unwrap().0 == zxid);
            assert!(all, "seed {seed}: {zxid} reaches all");
            cluster.judge.survives(&cluster.servers);
            return;
        }
    }
    let roles: Vec<_> = cluster.servers.values().map(|server| server.role).collect();
    let story = cluster.story[cluster.story.len().saturating_sub(60)..].join("\n");
    panic!("seed {seed}: no agreement after healing, {roles:?}\n{story}");
}

fn is_serving(server: &cluster::Server) -> bool {
    use oxherd_zab::Role;
    matches!(server.role, Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. })
}

fn run(config: &str, seed: u64, steps: usize, faults: &Faults) -> usize {
    let mut cluster = Cluster::new(config);
    if seed.is_multiple_of(4) {
        cluster.servers.values_mut().for_each(|server| server.config.counter_max = 9);
    }
    let mut dice = Dice(seed);
    for id in cluster.ids() {
        cluster.start(id);
    }
    for _ in 0..steps {
        step(&mut cluster, &mut dice, faults);
    }
    heal_and_agree(&mut cluster, seed);
    cluster.judge.history.len()
}

fn seeds() -> std::ops::Range<u64> {
    let text = std::env::var("ZAB_SEEDS").unwrap_or_else(|_| "0..30".to_owned());
    let (from, to) = text.split_once("..").expect("ZAB_SEEDS=from..to");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn three_servers_agree_whatever_dies() {
    let faults = Faults { crash: 20, cut: 20, break_pipe: 40, time: 600, propose: 900 };
    let served: usize = seeds().map(|seed| run(THREE, seed, 4000, &faults)).sum();
    assert!(served > 10 * seeds().count(), "the schedules must let txns through, {served} did");
}

#[test]
fn three_servers_agree_under_constant_crashes() {
    let faults = Faults { crash: 120, cut: 10, break_pipe: 60, time: 900, propose: 900 };
    for seed in seeds() {
        run(THREE, seed, 4000, &faults);
    }
}

#[test]
fn five_servers_agree_whatever_dies() {
    let faults = Faults { crash: 20, cut: 60, break_pipe: 60, time: 500, propose: 700 };
    for seed in seeds() {
        run(FIVE, seed, 5000, &faults);
    }
}

#[test]
fn an_observer_sees_the_same_history() {
    let faults = Faults { crash: 30, cut: 30, break_pipe: 80, time: 600, propose: 900 };
    for seed in seeds() {
        run(OBSERVED, seed, 4000, &faults);
    }
}
