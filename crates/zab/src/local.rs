//! What every phase of a server shares: settings, history, epochs, links of the election, outputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxherd_proto::{Epoch, Notification, PeerState, QuorumPacket, ServerId, Str, Zxid};

use crate::config::{DurableState, Past, PeerConfig};
use crate::dynamic_config::EnsembleConfig;
use crate::history::History;
use crate::io::{CloseReason, LinkId, Output, Role};
use crate::quorum::Members;
use crate::storage::{StorageCommand, StorageEvent};

/// A candidate as votes compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) leader: ServerId,
    pub(crate) zxid: Zxid,
    pub(crate) epoch: Epoch,
    /// The election round it was decided in.
    pub(crate) round: i64,
}

/// Whether a server can be reached for votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// There is a link.
    Up(LinkId),
    /// The link broke, or the dial failed.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) config: PeerConfig,
    pub(crate) members: Members,
    pub(crate) history: History,
    /// Durable.
    pub(crate) accepted_epoch: Epoch,
    /// The highest epoch that any voter was heard to have accepted; a new one must lie above.
    pub(crate) heard_epoch: Epoch,
    /// Durable.
    pub(crate) current_epoch: Epoch,
    /// Started with an empty disk that nobody explained, or with a log that could not be cut as the
    /// leader asked; and not synchronized since. Such a server does not vote, and gets a snapshot.
    pub(crate) unexplained: bool,
    /// Started with an empty disk that may be a new one, and not synchronized since.
    in_doubt: bool,
    /// The first epoch that this disk accepted, as far as it knows: of the start, or else the first one since.
    accepted_first: Option<Epoch>,
    /// Learned something as an observer that keeps no log.
    short_log: bool,
    /// Who elected the leader of the vote, as far as this server saw it elected.
    pub(crate) elected_by: BTreeSet<ServerId>,
    /// What is answered to those who look for a leader while this server has one.
    pub(crate) vote: Vote,
    pub(crate) round: i64,
    /// For whom a leader that made way votes, until a leader is found.
    pub(crate) successor: Option<Vote>,
    pub(crate) reach: BTreeMap<ServerId, Reach>,
    pub(crate) role: Role,
    pub(crate) out: VecDeque<Output>,
    /// Whether the log's disk has room.
    pub(crate) has_room: bool,
    now: Option<Instant>,
    /// Storage commands without an answer, appends apart.
    in_flight: usize,
    random: u64,
}

impl Local {
    pub(crate) fn new(config: PeerConfig, state: DurableState) -> Self {
        let members = Members::new(config.ensemble.clone(), config.ensemble_seen.clone());
        let nobody = Vote { leader: ServerId(-1), zxid: Zxid(-1), epoch: Epoch(-1), round: -1 };
        Self {
            members,
            accepted_epoch: state.accepted_epoch,
            heard_epoch: state.accepted_epoch,
            current_epoch: state.current_epoch,
            unexplained: state.past == Past::Unknown,
            in_doubt: state.past == Past::Empty,
            accepted_first: Some(state.accepted_epoch).filter(|epoch| *epoch > Epoch(0)),
            short_log: false,
            elected_by: BTreeSet::new(),
            history: History::recovered(state, config.commit_log_count),
            vote: nobody,
            round: 0,
            successor: None,
            reach: BTreeMap::new(),
            role: Role::Looking,
            out: VecDeque::new(),
            has_room: true,
            now: None,
            in_flight: 0,
            random: config.seed,
            config,
        }
    }

    pub(crate) fn set_now(&mut self, now: Instant) {
        self.now = Some(self.now.map_or(now, |before| before.max(now)));
    }

    /// The time of the input in hand; `None` before the first.
    pub(crate) fn maybe_now(&self) -> Option<Instant> {
        self.now
    }

    pub(crate) fn now(&self) -> Instant {
        self.now.expect("phases run only below handle, which sets the time")
    }

    pub(crate) fn me(&self) -> ServerId {
        self.config.server
    }

    pub(crate) fn is_voter(&self) -> bool {
        self.members.active().is_voter(self.me())
    }

    /// Whether it learns without acknowledging anything.
    pub(crate) fn is_observer(&self) -> bool {
        self.members.active().is_observer(self.me())
    }

    /// The zxid this server votes and synchronizes with: the end of its durable log, −1 when unexplained.
    // Java: QuorumPeer.getLastLoggedZxid, which asks the memory instead
    pub(crate) fn last_zxid(&self) -> Zxid {
        if self.unexplained { Zxid(-1) } else { self.history.logged() }
    }

    /// Whether all it ever knew is on its disk, as far as anybody can tell.
    pub(crate) fn knows_history(&self) -> bool {
        !self.unexplained && !self.in_doubt
    }

    /// The history of a leader is durable here, or is the one the ensemble agreed on.
    pub(crate) fn learned(&mut self) {
        self.unexplained = false;
        self.in_doubt = false;
    }

    /// Whether this vote of another server shows that the ensemble is older than this server's empty disk. An epoch
    /// that began after this disk had accepted one is none that it may have forgotten.
    // Java votes with an empty disk, whatever the others say
    pub(crate) fn is_belied_by(&self, server: ServerId, notification: &Notification) -> bool {
        let epoch = notification.peer_epoch;
        let is_older = epoch > Epoch(0) && self.accepted_first.is_none_or(|first| epoch < first);
        let voters = self.members.voters();
        let concerns = server != self.me() && voters.contains(&server) && voters.contains(&self.me());
        self.in_doubt && concerns && (notification.zxid > Zxid::ZERO || is_older)
    }

    /// Votes no more before it has learned.
    pub(crate) fn give_up_vote(&mut self, known_by: ServerId, has_leader: bool) {
        self.in_doubt = false;
        self.unexplained = true;
        self.out.push_back(Output::VoteGivenUp { known_by, has_leader });
    }

    /// Whether storage has answered everything.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight == 0 && self.history.is_settled()
    }

    pub(crate) fn command(&mut self, command: StorageCommand) {
        self.in_flight += 1;
        self.out.push_back(Output::Storage(command));
    }

    pub(crate) fn append(&mut self, zxid: Zxid, payload: Bytes) {
        if self.config.observer_log || !self.is_observer() {
            return self.history.append(zxid, payload, &mut self.out);
        }
        self.short_log = true;
        self.history.append_unlogged(zxid, payload);
    }

    pub(crate) fn commit(&mut self, zxid: Zxid) {
        self.history.commit(zxid, &mut self.out);
    }

    /// Takes over what is durable now; the phase is told afterwards.
    pub(crate) fn stored(&mut self, event: &StorageEvent) {
        match event {
            StorageEvent::Synced(zxid) => return self.history.synced(*zxid, &mut self.out),
            StorageEvent::Failed(_) => return,
            StorageEvent::Truncated(zxid) => self.history.truncated(*zxid),
            StorageEvent::SnapshotInstalled(zxid) => {
                self.short_log = false;
                self.history.installed(*zxid);
            }
            StorageEvent::AcceptedEpochStored(epoch) => {
                self.accepted_epoch = *epoch;
                self.accepted_first.get_or_insert(*epoch);
            }
            StorageEvent::CurrentEpochStored(epoch) => self.current_epoch = *epoch,
            StorageEvent::SnapshotRefused(_) | StorageEvent::LogRead { .. } => {}
        }
        assert!(self.in_flight > 0, "storage answered {event:?}, which was not asked");
        self.in_flight -= 1;
    }

    pub(crate) fn send(&mut self, link: LinkId, packet: QuorumPacket) {
        self.out.push_back(Output::Send { link, packet });
    }

    pub(crate) fn close(&mut self, link: LinkId, reason: CloseReason) {
        self.out.push_back(Output::Close { link, reason });
    }

    pub(crate) fn notify(&mut self, server: ServerId, state: PeerState, vote: Vote) {
        let notification = Notification {
            state,
            leader: vote.leader,
            zxid: vote.zxid,
            election_epoch: vote.round,
            peer_epoch: vote.epoch,
            version: Notification::VERSION,
            config: Some(Str::from(self.members.active().to_string())),
        };
        self.out.push_back(Output::Notify { server, body: notification.to_bytes() });
    }

    pub(crate) fn set_role(&mut self, role: Role) {
        if self.role != role {
            self.role = role;
            self.out.push_back(Output::Role(role));
        }
    }

    /// Voters of all configurations that are in play, this server not among them.
    pub(crate) fn other_voters(&self) -> BTreeSet<ServerId> {
        let mut voters = self.members.voters();
        voters.remove(&self.me());
        voters
    }

    /// A configuration that was proposed. Obeyed only where changes are enabled.
    // Java: QuorumPeer.setLastSeenQuorumVerifier
    pub(crate) fn see_config(&mut self, config: EnsembleConfig) {
        if self.config.reconfig {
            let text = config.to_string();
            if self.members.see(config) {
                self.out.push_back(Output::ConfigSeen { text });
            }
        }
    }

    /// Puts a configuration in force; whether this server's role or its leader is another one now. The leader is the
    /// one it voted for: an observer may have its link to another server.
    // Java: QuorumPeer.processReconfig, QuorumPeer.updateVote
    pub(crate) fn activate_config(&mut self, config: EnsembleConfig, designated: Option<ServerId>) -> bool {
        if !self.config.reconfig {
            return false;
        }
        let text = config.to_string();
        let was_observer = self.is_observer();
        let Some(former) = self.members.activate(config) else { return false };
        self.out.push_back(Output::ConfigActive { text });
        // What it knows is not on its disk: it gets a snapshot before it may vote.
        self.unexplained |= self.short_log && !self.is_observer();
        let active = self.members.active();
        if former.is_same_ensemble(active) {
            return false;
        }
        let leader = self.vote.leader;
        let moved = match designated {
            Some(designated) => designated != leader,
            None => {
                let place = former.voter_places(leader);
                place.is_none() || place != active.voter_places(leader)
            }
        };
        was_observer != self.is_observer() || moved
    }

    /// The follower an observer goes to in the leader's place, another one each time.
    // Java: QuorumPeer.findLearnerMaster
    pub(crate) fn pick_observer_master(&mut self, leader: ServerId) -> Option<ServerId> {
        if !self.is_observer() || !self.config.observer_master {
            return None;
        }
        let followers: Vec<_> = self.members.active().voters().filter(|server| *server != leader).collect();
        let count = u32::try_from(followers.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(self.share() % count).ok()?;
        followers.get(index).copied()
    }

    /// A pause in `0..max`, from the seed.
    pub(crate) fn pause(&mut self, max: Duration) -> Duration {
        max * self.share() / (1 << 24)
    }

    /// 24 random bits.
    fn share(&mut self) -> u32 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.random >> 40).expect("24 bits remain")
    }
}
