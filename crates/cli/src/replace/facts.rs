//! What was seen of an ensemble at one moment. Plain data: everything that is decided is decided from here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use oxherd_config::PeerAddress;
use oxherd_proto::Zxid;

/// Whose program a member runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Apache ZooKeeper.
    Java,
    /// This program.
    Oxherd,
}

impl Kind {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Java => Self::Oxherd,
            Self::Oxherd => Self::Java,
        }
    }

    /// The word for it in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Oxherd => "oxherd",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Java => "Java",
            Self::Oxherd => "Oxherd",
        })
    }
}

/// The ensemble, the configuration it was found by, and this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Every member of the configuration, by number.
    pub(crate) members: BTreeMap<i64, Member>,
    /// Group and weight of each voter, where the configuration has them.
    pub(crate) weights: BTreeMap<i64, (i64, i64)>,
    /// What `oxherd config check` says that matters.
    pub(crate) config: Vec<ConfigFact>,
    /// The disk of the member on whose machine this runs.
    pub(crate) disk: Option<Disk>,
}

/// One thing to be said about the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFact {
    /// How much it matters.
    pub(crate) weight: ConfigWeight,
    /// What, with its place.
    pub(crate) text: String,
}

/// How much something about a configuration matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigWeight {
    /// Oxherd does not start with it.
    Error,
    /// Java obeys it and Oxherd does not yet, and clients or peers would notice.
    Unserved,
    /// Oxherd starts; something has no effect.
    Harmless,
}

/// Space on the disk of the member on whose machine this runs, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Whose.
    pub(crate) member: i64,
    /// Where.
    pub(crate) dir: PathBuf,
    /// Free for the user who runs this.
    pub(crate) free: u64,
    /// Newest snapshot and logs.
    pub(crate) data: u64,
}

/// Addresses for peers, sorted.
pub(crate) type Peers = Vec<PeerAddress>;

pub(crate) fn sorted(mut peers: Peers) -> Peers {
    peers.sort();
    peers
}

/// One member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Whether the configuration lets it vote.
    pub(crate) votes: bool,
    /// Where the configuration says that its peers find it.
    pub(crate) peers: Peers,
    /// Where clients connect, when it is known.
    pub(crate) place: Option<String>,
    /// Names that do not resolve, each with the reason.
    pub(crate) unresolved: Vec<String>,
    /// What it says of itself.
    pub(crate) answer: Answer,
    /// Words it refuses to answer.
    pub(crate) closed: BTreeSet<&'static str>,
    /// Its clock against this machine's.
    pub(crate) clock: Option<Clock>,
    /// Its tree against the leader's.
    pub(crate) tree: Tree,
}

impl Member {
    /// What it says, when it serves.
    pub(crate) fn server(&self) -> Option<&Server> {
        match &self.answer {
            Answer::Serving(server) => Some(server),
            _ => None,
        }
    }
}

/// What came back from a client port.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Answer {
    /// It was not asked: nobody knows where.
    #[default]
    NotAsked,
    /// No connection, or no answer.
    Silent(String),
    /// A process without a quorum.
    NotServing,
    /// An answer that is not ZooKeeper's.
    Foreign(String),
    /// A member at work.
    Serving(Box<Server>),
}

/// What a member at work says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Server {
    /// Whose program.
    pub(crate) kind: Kind,
    /// Its version as it says it, up to the comma.
    pub(crate) version: String,
    /// The release of ZooKeeper that it is, or equals.
    pub(crate) release: Option<[u32; 3]>,
    /// What it does in the ensemble.
    pub(crate) mode: Mode,
    /// Last txn applied.
    pub(crate) zxid: Zxid,
    /// Nodes of its tree.
    pub(crate) nodes: u64,
    /// Open connections.
    pub(crate) connections: Option<u64>,
    /// Watches set on it.
    pub(crate) watches: Option<u64>,
    /// Voters in sync with it, when it leads.
    pub(crate) synced_followers: Option<u64>,
    /// Observers in sync with it, when it leads.
    pub(crate) synced_observers: Option<u64>,
    /// How often it found its digest unlike the leader's.
    pub(crate) digest_mismatches: Option<u64>,
    /// Digests of its tree by zxid.
    pub(crate) digests: BTreeMap<i64, String>,
    /// Sessions of the ensemble, when it leads.
    pub(crate) sessions: Option<BTreeSet<i64>>,
    /// Its number as it says it.
    pub(crate) number: Option<i64>,
    /// Members as it knows them.
    pub(crate) members: Option<BTreeMap<i64, Peers>>,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Orders the txns.
    Leader,
    /// Votes.
    Follower,
    /// Is informed.
    Observer,
    /// Alone, without an ensemble.
    Standalone,
    /// Without a quorum, for reading clients.
    ReadOnly,
}

impl Mode {
    /// The word that servers use for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::Standalone => "standalone",
            Self::ReadOnly => "read-only",
        }
    }
}

/// How far a member's clock is from this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Milliseconds it is ahead; negative when behind.
    pub(crate) ahead_ms: i64,
    /// How far off that figure may be, either way.
    pub(crate) precision_ms: i64,
}

/// How a member's tree compares with the leader's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tree {
    /// Nobody looked.
    #[default]
    NotCompared,
    /// It has more nodes than are compared.
    TooBig(u64),
    /// It could not be read to its end.
    Unreadable(String),
    /// It was read.
    Compared(Comparison),
}

/// What a comparison of two trees found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Nodes read on both.
    pub(crate) nodes: u64,
    /// Nodes the user may not read.
    pub(crate) hidden: u64,
    /// Nodes that changed at each look, so that nothing can be said about them.
    pub(crate) changing: u64,
    /// Paths of nodes that stay different, sorted; at most [`super::trees::DIFFERENT_MAX`].
    pub(crate) different: Vec<String>,
}

impl Facts {
    /// Members at work, by number.
    pub(crate) fn serving(&self) -> impl Iterator<Item = (i64, &Server)> {
        self.members.iter().filter_map(|(id, member)| Some((*id, member.server()?)))
    }

    /// Members that nobody hears, as those that are stopped.
    pub(crate) fn silent(&self) -> impl Iterator<Item = i64> {
        let is_silent = |member: &Member| matches!(member.answer, Answer::Silent(_));
        self.members.iter().filter(move |(_, member)| is_silent(member)).map(|(id, _)| *id)
    }

    /// The leader, when there is exactly one.
    pub(crate) fn leader(&self) -> Option<(i64, &Server)> {
        let mut leaders = self.serving().filter(|(_, server)| server.mode == Mode::Leader);
        let first = leaders.next()?;
        leaders.next().is_none().then_some(first)
    }

    /// Whether the others are a quorum while these are stopped.
    // Java: QuorumMaj.containsQuorum, QuorumHierarchical.containsQuorum
    pub(crate) fn spares(&self, stopped: &[i64]) -> bool {
        if self.weights.is_empty() {
            let voters = self.members.iter().filter(|(_, member)| member.votes);
            return voters.filter(|(id, _)| !stopped.contains(id)).count() > self.voters() / 2;
        }
        let mut groups: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for (id, (group, weight)) in &self.weights {
            let (all, left) = groups.entry(*group).or_default();
            *all += weight;
            *left += if stopped.contains(id) { 0 } else { *weight };
        }
        groups.retain(|_, (all, _)| *all > 0);
        groups.values().filter(|(all, left)| *left > all / 2).count() > groups.len() / 2
    }

    /// Members of the configuration that vote.
    pub(crate) fn voters(&self) -> usize {
        self.members.values().filter(|member| member.votes).count()
    }
}
