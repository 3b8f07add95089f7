//! Records a real ensemble of three in one process, with its sockets, threads and files, as the simulator records
//! its own: `real_run DIR NUMBER` writes a batch of one trace for `spec/ZabTrace.tla` into `DIR/batch-real-NUMBER`.
//!
//! Clients write while the leader goes and comes back, a follower goes and comes back behind a little (DIFF) and
//! behind a lot (SNAP), and at last the whole ensemble restarts.
#![allow(clippy::print_stderr, reason = "talks to the person at the terminal")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use oxherd_client::{Client, ClientError, ClientOptions, open_acl};
use oxherd_proto::{CreateMode, Epoch, ErrorCode, PacketType, QuorumPacket, ServerId, Zxid};
use oxherd_replica::{Input, Output};
use oxherd_server::{TestEnsemble, Witness};
use oxherd_sim::trace::{Event, Recorder, module};
use oxherd_zab::{Input as ZabInput, LinkId, LinkKind, Output as ZabOutput};
use parking_lot::Mutex;

/// Txns that a leader keeps for learners; with more behind, the tree is sent.
const COMMIT_LOG: i32 = 20;

/// Puts what three members tell into one list.
#[derive(Debug, Default)]
struct Scribe {
    recorder: Recorder,
    alive: BTreeSet<ServerId>,
    /// Links whose learner has not said who it is, by learner and leader.
    met: BTreeMap<(ServerId, ServerId), VecDeque<i64>>,
}

/// Each member numbers its links from 1.
fn link_of(member: ServerId, link: LinkId) -> LinkId {
    LinkId(member.0.cast_unsigned() << 40 | link.0)
}

/// Who calls: the first field of a FOLLOWERINFO's data.
fn caller(packet: &QuorumPacket) -> Option<ServerId> {
    let data = packet.data.as_ref()?;
    (packet.kind == PacketType::FollowerInfo)
        .then(|| Some(ServerId(i64::from_be_bytes(data.get(..8)?.try_into().ok()?))))?
}

impl Scribe {
    fn takes(&mut self, member: ServerId, input: &Input) {
        match input {
            Input::Storage(event) => self.recorder.stored(member, event),
            Input::Peer(ZabInput::LinkUp { link, kind: LinkKind::Leader(leader) }) => {
                let number = self.recorder.dialled(member, link_of(member, *link), *leader);
                self.met.entry((member, *leader)).or_default().push_back(number);
            }
            Input::Peer(ZabInput::LinkDown { link }) => {
                self.recorder.disconnected(member, link_of(member, *link));
            }
            Input::Peer(ZabInput::Packet { link, packet }) => {
                let link = link_of(member, *link);
                let number =
                    caller(packet).and_then(|learner| self.met.get_mut(&(learner, member))?.pop_front());
                if let Some(number) = number {
                    self.recorder.accepted(link, number);
                }
                self.recorder.received(member, link, packet);
            }
            _ => {}
        }
    }

    fn does(&mut self, member: ServerId, output: &Output) {
        match output {
            Output::Storage(command) => self.recorder.commanded(member, command),
            Output::Role(role) => self.recorder.role(member, *role),
            Output::Peer(ZabOutput::Notify { body, .. }) => self.recorder.voted(member, body),
            Output::Peer(ZabOutput::Send { link, packet }) => {
                self.recorder.sent(member, link_of(member, *link), packet);
            }
            Output::Peer(ZabOutput::Close { link, .. }) => {
                self.recorder.disconnected(member, link_of(member, *link));
            }
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Shared(Mutex<Scribe>);

impl Shared {
    fn of_the_living(&self, member: ServerId, act: impl FnOnce(&mut Scribe)) {
        let mut scribe = self.0.lock();
        if scribe.alive.contains(&member) {
            act(&mut scribe);
        }
    }
}

impl Witness for Shared {
    fn started(&self, member: ServerId, last: Zxid, accepted: Epoch, current: Epoch) {
        let mut scribe = self.0.lock();
        scribe.alive.insert(member);
        scribe.recorder.started(member, last, accepted, current);
    }

    fn takes(&self, member: ServerId, input: &Input) {
        self.of_the_living(member, |scribe| scribe.takes(member, input));
    }

    fn does(&self, member: ServerId, output: &Output) {
        self.of_the_living(member, |scribe| scribe.does(member, output));
    }

    fn shows(&self, member: ServerId, zxid: Zxid) {
        self.of_the_living(member, |scribe| scribe.recorder.shows(member, zxid));
    }

    fn ended(&self, member: ServerId) {
        self.of_the_living(member, |scribe| scribe.recorder.crashed(member));
        self.0.lock().alive.remove(&member);
    }
}

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// What users do.
struct Load {
    runtime: tokio::runtime::Runtime,
    client: Client,
    count: u32,
}

impl Load {
    fn on(servers: &str) -> Anyhow<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let client = runtime.block_on(async {
            let options = ClientOptions { timeout_ms: 10_000, ..ClientOptions::default() };
            Client::connect(servers, &options).map(|(client, _)| client)
        })?;
        Ok(Self { runtime, client, count: 0 })
    }

    /// So many creates, one after the other; one that is lost with its link is asked for again.
    fn write(&mut self, count: u32) -> Anyhow<()> {
        for number in self.count..self.count + count {
            let path = format!("/n{number}");
            while !self.runtime.block_on(self.create(&path))? {}
        }
        self.count += count;
        Ok(())
    }

    /// False when its link was lost.
    async fn create(&self, path: &str) -> Result<bool, ClientError> {
        self.client.connected().await;
        match self.client.create(path, None, open_acl(), CreateMode::Persistent).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(true),
            Err(error) if error.code() == Some(ErrorCode::ConnectionLoss) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn story(ensemble: &mut TestEnsemble) -> Anyhow<()> {
    let mut load = Load::on(&ensemble.connect_string())?;
    load.write(10)?;
    let leader = ensemble.leader().ok_or("nobody leads")?;
    ensemble.stop(leader);
    load.write(8)?;
    ensemble.start_again(leader)?;
    load.write(4)?;
    let leader = ensemble.leader().ok_or("nobody leads")?;
    let follower = (leader + 1) % 3;
    ensemble.stop(follower);
    load.write(2 * COMMIT_LOG.unsigned_abs())?;
    ensemble.start_again(follower)?;
    load.write(4)?;
    for member in 0..3 {
        ensemble.stop(member);
    }
    ensemble.start_all_again()?;
    load.write(4)
}

fn record() -> Anyhow<Vec<Event>> {
    let shared = Arc::new(Shared::default());
    shared.0.lock().recorder = Recorder::switched_on();
    let witness: Arc<dyn Witness> = shared.clone();
    let change = |_, config: &mut oxherd_server::Config| {
        config.quorum.commit_log_count = COMMIT_LOG;
        config.quorum.snapshot_size_factor = -1.0;
    };
    let mut ensemble = TestEnsemble::start_before(3, change, Some(witness))?;
    let ended = story(&mut ensemble);
    drop(ensemble);
    ended?;
    let events = std::mem::take(&mut shared.0.lock().recorder.events);
    Ok(events)
}

fn write(dir: &Path, number: &str) -> Anyhow<()> {
    let events = record()?;
    let batch = dir.join(format!("batch-real-{number}"));
    std::fs::create_dir_all(&batch)?;
    let lines: Result<Vec<String>, _> = events.iter().map(serde_json::to_string).collect();
    std::fs::write(dir.join(format!("real-{number}.jsonl")), lines?.join("\n") + "\n")?;
    std::fs::write(batch.join("Traces.tla"), module::module(&[events]))?;
    std::fs::write(batch.join("names"), format!("real run {number}\n"))?;
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, number] = args.as_slice() else {
        eprintln!("real_run DIR NUMBER");
        return ExitCode::from(2);
    };
    match write(Path::new(dir), number) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
