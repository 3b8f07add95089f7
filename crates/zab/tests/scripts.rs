//! Whole conversations, one a case: the files in `scripts/` say what is done and all that follows.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p oxherd-zab --test scripts` writes them anew; read the diff.

#![allow(clippy::unwrap_used, reason = "a failing unwrap fails the test")]

mod cluster;

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use cluster::{Cluster, Message, judge};
use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use oxherd_proto::{Epoch, Notification, PacketType, PeerState, QuorumPacket, ServerId, SessionId, Zxid};
use oxherd_zab::{EnsembleConfig, Input, StorageEvent};

type Answer = Result<(), Box<dyn Error>>;

#[derive(Default)]
struct Script {
    cluster: Option<Cluster>,
}

/// The arguments of a command.
struct Args<'a>(ArgumentConsumer<'a>);

impl<'a> Args<'a> {
    fn lookup(&mut self, key: &str) -> Option<&'a str> {
        self.0.take_key(key)
    }

    fn lookup_parse<T: std::str::FromStr<Err: Error + 'static>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, Box<dyn Error>> {
        Ok(self.lookup(key).map(str::parse).transpose()?)
    }

    fn next_pos(&mut self) -> Option<&'a str> {
        self.0.next_pos()
    }

    fn rest_pos(&mut self) -> Vec<&'a str> {
        std::iter::from_fn(|| self.0.next_pos()).collect()
    }
}

impl Script {
    fn cluster(&mut self) -> Result<&mut Cluster, Box<dyn Error>> {
        Ok(self.cluster.as_mut().ok_or("no ensemble yet")?)
    }

    /// `ensemble servers=3 [observers=1] [line=group.1=1]… [commit_log=5] [reconfig=true] …`
    fn ensemble(&mut self, args: &mut Args<'_>) -> Answer {
        let servers: i64 = args.lookup_parse("servers")?.unwrap_or(3);
        let observers: i64 = args.lookup_parse("observers")?.unwrap_or(0);
        let mut text = String::new();
        for n in 1..=servers + observers {
            let kind = if n > servers { "observer" } else { "participant" };
            writeln!(text, "server.{n}=h{n}:1:2:{kind}")?;
        }
        for line in args.lookup("lines").unwrap_or_default().split(',') {
            writeln!(text, "{}", line.replacen('-', "=", 1))?;
        }
        let mut cluster = Cluster::new(&text);
        let joiners: i64 = args.lookup_parse("joiners")?.unwrap_or(0);
        for n in (1..=joiners).map(|n| servers + observers + n) {
            let text = format!("{text}server.{n}=h{n}:1:2:participant");
            cluster.add_server(ServerId(n), EnsembleConfig::parse(&text)?);
        }
        let reconfig = args.lookup_parse("reconfig")?.unwrap_or(false);
        let read_only = args.lookup_parse("read_only")?.unwrap_or(false);
        let master = args.lookup_parse("observer_master")?.unwrap_or(false);
        let observer_log = args.lookup_parse("observer_log")?.unwrap_or(true);
        let snap_syncs_max = args.lookup_parse("snap_syncs")?.unwrap_or(10);
        let force_snapshot = args.lookup_parse("force_snapshot")?.unwrap_or(false);
        let epoch_wait: Option<u64> = args.lookup_parse("epoch_wait")?;
        for server in cluster.servers.values_mut() {
            server.config.reconfig = reconfig;
            server.config.read_only = read_only;
            server.config.observer_master = master;
            server.config.observer_log = observer_log;
            server.config.snap_syncs_max = snap_syncs_max;
            server.config.force_snapshot = force_snapshot;
            server.config.epoch_wait = epoch_wait.map(Duration::from_millis);
        }
        if let Some(counter_max) = args.lookup_parse("counter_max")? {
            cluster.servers.values_mut().for_each(|server| server.config.counter_max = counter_max);
        }
        cluster.judge.is_off = args.lookup_parse("forged")?.unwrap_or(false);
        self.cluster = Some(cluster);
        Ok(())
    }

    /// `disk 1 epoch=3 log=3.1,3.2 [snapshot=3.0] [accepted=3] [wiped=true] [blank=true]`
    fn disk(&mut self, args: &mut Args<'_>) -> Answer {
        let id = ServerId(args.next_pos().ok_or("which server?")?.parse()?);
        let epoch: i64 = args.lookup_parse("epoch")?.unwrap_or(0);
        let accepted: i64 = args.lookup_parse("accepted")?.unwrap_or(epoch);
        let log = args.lookup("log").unwrap_or_default();
        let snapshot = args.lookup("snapshot");
        let wiped = args.lookup_parse("wiped")?.unwrap_or(false);
        let blank = args.lookup_parse("blank")?.unwrap_or(false);
        let disk = &mut self.cluster()?.servers.get_mut(&id).ok_or("no such server")?.disk;
        disk.current = Epoch(epoch);
        disk.accepted = Epoch(accepted);
        if let Some(zxid) = snapshot {
            let zxid = parse_zxid(zxid)?;
            disk.install(zxid, vec![(zxid, cluster::payload(zxid, 0))]);
        }
        for zxid in log.split(',').filter(|zxid| !zxid.is_empty()) {
            let zxid = parse_zxid(zxid)?;
            disk.append(zxid, cluster::payload(zxid, 0));
        }
        (disk.wiped, disk.blank) = (wiped, blank);
        Ok(())
    }

    /// Each server that is named does it, and what needs no time follows.
    fn each(&mut self, args: &mut Args<'_>, act: fn(&mut Cluster, ServerId)) -> Answer {
        for arg in args.rest_pos() {
            act(self.cluster()?, ServerId(arg.parse()?));
        }
        self.cluster()?.settle();
        Ok(())
    }

    fn propose(&mut self, args: &mut Args<'_>) -> Answer {
        let times: usize = args.lookup_parse("times")?.unwrap_or(1);
        let settle = args.lookup_parse("settle")?.unwrap_or(true);
        let cluster = self.cluster()?;
        for _ in 0..times {
            let leader = cluster.leader().ok_or("nobody may propose")?;
            cluster.propose(leader);
        }
        if settle {
            cluster.settle();
        }
        Ok(())
    }

    /// `reconfig 1 2 3-observer 4@elsewhere [settle=false]`: the leader proposes these members.
    fn reconfig(&mut self, args: &mut Args<'_>) -> Answer {
        let settle = args.lookup_parse("settle")?.unwrap_or(true);
        let mut text = String::new();
        for member in args.rest_pos() {
            let (member, kind) = member.split_once('-').unwrap_or((member, "participant"));
            let (id, host) = member.split_once('@').unwrap_or((member, member));
            writeln!(text, "server.{id}=h{host}:1:2:{kind}")?;
        }
        let cluster = self.cluster()?;
        let leader = cluster.leader().ok_or("nobody may propose")?;
        cluster
            .propose_payload(leader, |zxid| cluster::reconfig(zxid, &format!("{text}version={:x}", zxid.0)));
        if settle {
            cluster.settle();
        }
        Ok(())
    }

    /// `notify from=1 to=2 state=looking round=3 vote=1 epoch=0 zxid=0.0 [len=28|40]`: with a length the older form.
    fn notify(&mut self, args: &mut Args<'_>) -> Answer {
        let number = |args: &mut Args<'_>, key: &str| -> Result<i64, Box<dyn Error>> {
            Ok(args.lookup_parse(key)?.unwrap_or(0))
        };
        let (from, to) = (ServerId(number(args, "from")?), ServerId(number(args, "to")?));
        let text = args.lookup("state").unwrap_or_default();
        let unknown: Option<i32> = text.parse().ok();
        let state = match Some(text) {
            Some("following") => PeerState::Following,
            Some("leading") => PeerState::Leading,
            _ => PeerState::Looking,
        };
        let zxid = args.lookup("zxid").map(|zxid| parse_zxid(zxid)).transpose()?.unwrap_or_default();
        let config = args.lookup("config").map(|text| text.replace('/', "\n").into());
        let body = Notification {
            state,
            leader: ServerId(number(args, "vote")?),
            zxid,
            election_epoch: number(args, "round")?,
            peer_epoch: Epoch(number(args, "epoch")?),
            version: 2,
            config,
        };
        let mut bytes = body.to_bytes().to_vec();
        if let Some(code) = unknown {
            bytes[..4].copy_from_slice(&code.to_be_bytes());
        }
        bytes.truncate(args.lookup_parse("len")?.unwrap_or(bytes.len()));
        let cluster = self.cluster()?;
        let mut elections = cluster.is_election.iter().filter_map(|pipe| cluster.pipes.get(pipe));
        let ends = elections.find(|ends| ends.iter().all(|end| end.server == from || end.server == to));
        let link = ends.and_then(|ends| ends.iter().find(|end| end.server == to)).ok_or("no link")?.link;
        let input = Input::Notification { link, body: bytes.into() };
        cluster.handle(to, input);
        cluster.settle();
        Ok(())
    }

    /// `packet from=1 to=2 kind=COMMIT zxid=1.2`: as if the other side had sent it.
    fn packet(&mut self, args: &mut Args<'_>) -> Answer {
        let from = ServerId(args.lookup_parse("from")?.ok_or("from whom?")?);
        let to = ServerId(args.lookup_parse("to")?.ok_or("to whom?")?);
        let name = args.lookup("kind").ok_or("which kind?")?.to_lowercase();
        let kinds = (1..=19).filter_map(PacketType::from_code);
        let kind = kinds.into_iter().find(|kind| format!("{kind:?}").to_lowercase() == name);
        let zxid = args.lookup("zxid").map(|zxid| parse_zxid(zxid)).transpose()?.unwrap_or_default();
        let data = match args.lookup("txn").map(|zxid| parse_zxid(zxid)).transpose()? {
            Some(zxid) => Some(cluster::payload(zxid, 0)),
            None => args.lookup("config").map(|text| cluster::reconfig(zxid, &text.replace('/', "\n"))),
        };
        let data = match args.lookup_parse::<i64>("leader")? {
            Some(leader) => Some(Bytes::from(leader.to_be_bytes().to_vec())),
            None => data,
        };
        let kind = kind.ok_or("no such kind")?;
        let packet = QuorumPacket { kind, zxid, data, authinfo: None };
        let cluster = self.cluster()?;
        let is_peer = |pipe: &u64| !cluster.is_election.contains(pipe);
        let mut pipes = cluster.pipes.iter_mut().filter(|(pipe, _)| is_peer(pipe)).map(|(_, ends)| ends);
        let ends = pipes.find(|ends| ends.iter().all(|end| end.server == from || end.server == to));
        let end = ends.and_then(|ends| ends.iter_mut().find(|end| end.server == to)).ok_or("no link")?;
        end.queue.push_back(Message::Packet(packet));
        cluster.settle();
        Ok(())
    }

    fn sync(&mut self, args: &mut Args<'_>) -> Answer {
        let id = ServerId(args.next_pos().ok_or("which server?")?.parse()?);
        let mut request = vec![0; 16];
        request[12..16].copy_from_slice(&9i32.to_be_bytes());
        let cluster = self.cluster()?;
        cluster.sync(id, request.into());
        cluster.settle();
        Ok(())
    }

    /// `taken from=1 to=2`: 2 takes another part of the tree that 1 sends.
    fn taken(&mut self, args: &mut Args<'_>) -> Answer {
        let from = ServerId(args.lookup_parse("from")?.ok_or("from whom?")?);
        let to = ServerId(args.lookup_parse("to")?.ok_or("to whom?")?);
        let cluster = self.cluster()?;
        let is_peer = |pipe: &u64| !cluster.is_election.contains(pipe);
        let mut pipes = cluster.pipes.iter().filter(|(pipe, _)| is_peer(pipe)).map(|(_, ends)| ends);
        let ends = pipes.find(|ends| ends.iter().all(|end| end.server == from || end.server == to));
        let end = ends.and_then(|ends| ends.iter().find(|end| end.server == from)).ok_or("no link")?;
        let link = end.link;
        cluster.handle(from, Input::TreeTaken { link });
        Ok(())
    }

    fn state(&mut self) -> Result<String, Box<dyn Error>> {
        let mut text = String::new();
        for (id, server) in &self.cluster()?.servers {
            let disk = &server.disk;
            let tree = server.applied.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
            let (last, tree) = (judge::zxid_text(disk.last()), judge::zxid_text(tree));
            let (role, epoch) = (judge::role_text(server.role), disk.current.0);
            writeln!(text, "s{id} {role}; disk epoch {epoch} log to {last}; tree at {tree}")?;
        }
        Ok(text)
    }

    fn session(&mut self, name: &str, args: &mut Args<'_>) -> Answer {
        let id = ServerId(args.next_pos().ok_or("which server?")?.parse()?);
        let session = SessionId(args.next_pos().ok_or("which session?")?.parse()?);
        let touches = name == "touch";
        let cluster = self.cluster()?;
        cluster.ask(
            id,
            |peer| {
                if touches { peer.touch(session, 4000) } else { peer.revalidate(session, 4000) }
            },
        );
        cluster.settle();
        Ok(())
    }

    fn act(&mut self, command: &Command, args: &mut Args<'_>) -> Answer {
        match command.name.as_str() {
            "ensemble" => self.ensemble(args)?,
            "disk" => self.disk(args)?,
            "start" => self.each(args, Cluster::start)?,
            "crash" => self.each(args, Cluster::crash)?,
            "stop" => self.each(args, |cluster, id| cluster.handle(id, Input::Stop))?,
            "fail" => self.each(args, |cluster, id| {
                let event = StorageEvent::Failed("no space left".to_owned());
                cluster.handle(id, Input::Storage(event));
            })?,
            "full" => self.each(args, |cluster, id| cluster.handle(id, Input::Room(false)))?,
            "room" => self.each(args, |cluster, id| cluster.handle(id, Input::Room(true)))?,
            "stall" => self.each(args, |cluster, id| {
                cluster.stalled.insert(id);
            })?,
            "wake" => self.each(args, |cluster, id| {
                cluster.stalled.remove(&id);
            })?,
            "step" => self.each(args, |cluster, id| {
                cluster.stalled.remove(&id);
                cluster.store(id, 100);
                cluster.stalled.insert(id);
            })?,
            "hold" => self.each(args, |cluster, id| {
                cluster.held.insert(id);
            })?,
            "release" => self.each(args, |cluster, id| {
                cluster.held.remove(&id);
            })?,
            "compact" => self.each(args, |cluster, id| {
                let server = cluster.servers.get_mut(&id).unwrap();
                server.disk.compact(&server.applied);
            })?,
            "propose" => self.propose(args)?,
            "reconfig" => self.reconfig(args)?,
            "lead" => {
                let to = ServerId(args.next_pos().ok_or("which server?")?.parse()?);
                let cluster = self.cluster()?;
                let leader = cluster.leader().ok_or("nobody leads")?;
                cluster.hand_over(leader, to).then_some(()).ok_or("not now")?;
                cluster.settle();
            }
            "notify" => self.notify(args)?,
            "packet" => self.packet(args)?,
            "cut" => {
                let pair: Vec<i64> =
                    args.rest_pos().iter().map(|arg| arg.parse()).collect::<Result<_, _>>()?;
                self.cluster()?.cut(ServerId(pair[0]), ServerId(pair[1]));
                self.cluster()?.settle();
            }
            "heal" => self.cluster()?.heal(),
            "settle" => self.cluster()?.settle(),
            "pass" => {
                let ms = args.next_pos().ok_or("how long?")?.parse()?;
                self.cluster()?.pass(Duration::from_millis(ms));
            }
            "taken" => self.taken(args)?,
            "touch" | "revalidate" => self.session(&command.name, args)?,
            "sync" => self.sync(args)?,
            other => return Err(format!("unknown command {other}").into()),
        }
        Ok(())
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        if command.name == "state" {
            return self.state();
        }
        let mut args = Args(command.consume_args());
        let quiet: bool = args.lookup_parse("quiet")?.unwrap_or(false);
        self.act(command, &mut args)?;
        args.0.reject_next()?;
        let mut story = std::mem::take(&mut self.cluster()?.story);
        if quiet {
            story.clear();
        }
        Ok(story.into_iter().fold(String::new(), |text, line| text + &line + "\n"))
    }
}

fn parse_zxid(text: &str) -> Result<Zxid, Box<dyn Error>> {
    let (epoch, counter) = text.split_once('.').ok_or("a zxid is epoch.counter")?;
    Ok(Zxid::new(Epoch(epoch.parse()?), counter.parse()?))
}

fn run(directory: &str) {
    let path = format!("{}/tests/scripts/{directory}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        goldenscript::run(&mut Script::default(), file).unwrap();
    }
}

#[test]
fn elections() {
    run("election");
}

#[test]
fn synchronizations() {
    run("synchronization");
}

#[test]
fn broadcasts_and_role_changes() {
    run("broadcast");
}

#[test]
fn reconfigurations() {
    run("reconfiguration");
}
