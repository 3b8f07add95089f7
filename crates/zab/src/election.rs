//! Fast leader election: one server that looks for a leader.
//!
//! Votes are compared by epoch, then zxid, then server. A round ends when a quorum gave the same vote
//! and nobody can be expected to bring a better one; or when a quorum that has a leader already, the
//! leader among it, says so. Safety does not rest on any of this: discovery has its own quorum.
// Java: FastLeaderElection.lookForLeader

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use oxherd_proto::{Epoch, Notification, PeerState, ServerId, Zxid};

use crate::local::{Local, Reach, Vote};

/// A server that looks.
#[derive(Debug)]
pub(crate) struct Looking {
    /// The best vote so far.
    proposal: Vote,
    /// Votes of this round.
    votes: BTreeMap<ServerId, Ballot>,
    /// Votes of those that follow or lead, of any round.
    outside: BTreeMap<ServerId, Ballot>,
    again_at: Instant,
    again_after: Duration,
    /// When a quorum stops waiting for better votes.
    final_at: Option<Instant>,
    read_only_at: Option<Instant>,
    /// Servers without a vote that were answered since the last sending to all.
    answered: BTreeSet<ServerId>,
}

/// A vote as it was received.
#[derive(Clone, Copy, Debug)]
struct Ballot {
    vote: Vote,
    state: PeerState,
    version: i32,
}

/// Whom a server votes for that stands for nothing.
const NOBODY: ServerId = ServerId(i64::MIN);
/// Shortest time without a leader before read-only clients are taken.
const READ_ONLY_AFTER_MIN: Duration = Duration::from_millis(2000);

impl Looking {
    /// Opens a round with a vote for this server. The vote, if it decides at once.
    pub(crate) fn start(local: &mut Local) -> (Self, Option<Vote>) {
        local.round = local.round.saturating_add(1);
        local.elected_by.clear();
        let now = local.now();
        let again_after = local.config.notify_again_min;
        let read_only = READ_ONLY_AFTER_MIN.max(local.config.tick);
        let mut looking = Self {
            proposal: own_vote(local),
            votes: BTreeMap::new(),
            outside: BTreeMap::new(),
            again_at: now + again_after,
            again_after,
            final_at: None,
            read_only_at: local.config.read_only.then(|| now + read_only),
            answered: BTreeSet::new(),
        };
        looking.propose(looking.proposal, local);
        let decided = looking.decide(local);
        (looking, decided)
    }

    pub(crate) fn timeout(&self) -> Instant {
        let times = [Some(self.again_at), self.final_at, self.read_only_at];
        times.into_iter().flatten().min().unwrap_or(self.again_at)
    }

    /// Whether read-only clients may come, from now on.
    pub(crate) fn is_read_only_due(&self, now: Instant) -> bool {
        self.read_only_at.is_some_and(|at| now >= at)
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, local: &mut Local) -> Option<Vote> {
        let now = local.now();
        if self.is_read_only_due(now) {
            self.read_only_at = None;
        }
        if let Some(vote) = self.decide(local) {
            return Some(vote);
        }
        if now >= self.again_at {
            self.send_all(local);
            self.again_after = (self.again_after * 2).min(local.config.notify_again_max);
            self.again_at = now + self.again_after;
        }
        None
    }

    /// A link came up: the server at its other end may never have heard this vote.
    pub(crate) fn link_up(&mut self, server: ServerId, local: &mut Local) {
        if local.members.voters().contains(&server) {
            local.notify(server, PeerState::Looking, self.proposal);
            self.again_after = local.config.notify_again_min;
            self.again_at = self.again_at.min(local.now() + self.again_after);
        }
    }

    /// A link broke: maybe nobody is left to wait for.
    pub(crate) fn link_down(&mut self, local: &mut Local) -> Option<Vote> {
        self.decide(local)
    }

    /// What a server that is no voter is told. Once for each sending to all: a Java observer in a later
    /// round answers every answer, and two that answer each other never stop.
    pub(crate) fn answer_stranger(&mut self, server: ServerId, local: &mut Local) {
        if self.answered.insert(server) {
            local.notify(server, PeerState::Looking, self.proposal);
        }
    }

    /// A voter's notification.
    pub(crate) fn notification(
        &mut self,
        from: ServerId,
        notification: &Notification,
        local: &mut Local,
    ) -> Option<Vote> {
        let n = notification;
        let vote = Vote { leader: n.leader, zxid: n.zxid, epoch: n.peer_epoch, round: n.election_epoch };
        let is_late = n.state == PeerState::Looking && vote.round < local.round;
        let voters = local.members.voters();
        if is_late && voters.contains(&local.me()) {
            local.notify(from, PeerState::Looking, self.proposal);
        }
        if !voters.contains(&n.leader) {
            // One that votes in the proposed ensemble alone stands for nothing, but waits for votes of its round.
            if n.state == PeerState::Looking && n.leader == NOBODY && vote.round > local.round {
                self.enter_round(vote.round, local);
                return self.decide(local);
            }
            return None;
        }
        let ballot = Ballot { vote, state: n.state, version: n.version };
        match n.state {
            PeerState::Looking => self.looking_vote(from, ballot, local),
            PeerState::Following | PeerState::Leading => self.settled_vote(from, ballot, local),
            PeerState::Observing => None,
        }
    }

    /// A later round, without a vote to compare with.
    fn enter_round(&mut self, round: i64, local: &mut Local) {
        local.round = round;
        self.votes.clear();
        let own = own_vote(local);
        self.propose(own, local);
    }

    fn looking_vote(&mut self, from: ServerId, ballot: Ballot, local: &mut Local) -> Option<Vote> {
        let vote = ballot.vote;
        let without_history = local.unexplained || vote.zxid == Zxid(-1);
        if without_history || vote.round < local.round {
            return None;
        }
        if overstates(&vote, &own_vote(local)) {
            self.enter_round(vote.round.saturating_add(1), local);
            return self.decide(local);
        }
        if vote.round > local.round {
            local.round = vote.round;
            self.votes.clear();
            let own = own_vote(local);
            let better = if beats(&vote, &own, local) { vote } else { own };
            self.propose(better, local);
        } else if beats(&vote, &self.proposal, local) {
            self.propose(vote, local);
        } else if beats(&self.proposal, &vote, local) {
            // It may have had a leader when this vote was sent to all. Java lets it wait for the next time.
            local.notify(from, PeerState::Looking, self.proposal);
        }
        self.votes.insert(from, ballot);
        self.decide(local)
    }

    fn settled_vote(&mut self, from: ServerId, ballot: Ballot, local: &mut Local) -> Option<Vote> {
        let vote = ballot.vote;
        if vote.round == local.round {
            self.votes.insert(from, ballot);
            if Self::is_led(&self.votes, &ballot, local) {
                return Some(vote);
            }
        }
        self.outside.insert(from, ballot);
        let led = Self::is_led(&self.outside, &ballot, local);
        if led {
            local.round = vote.round;
        }
        led.then_some(vote)
    }

    /// Whether a quorum gives this vote and its leader leads, or is this server in this very round.
    fn is_led(ballots: &BTreeMap<ServerId, Ballot>, ballot: &Ballot, local: &Local) -> bool {
        let agreeing = ballots.iter().filter(|(_, other)| same(ballot, other)).map(|(server, _)| *server);
        let leader = ballot.vote.leader;
        let confirmed = if leader == local.me() {
            // One without a vote may be elected by who has not heard that it gave its vote up.
            local.round == ballot.vote.round && !local.unexplained
        } else {
            ballots.get(&leader).is_some_and(|ballot| ballot.state == PeerState::Leading)
        };
        // A proposed configuration that this leader's ensemble gave up must not keep the server out.
        confirmed && local.members.active().is_quorum(&agreeing.collect())
    }

    fn propose(&mut self, vote: Vote, local: &mut Local) {
        self.proposal = Vote { round: local.round, ..vote };
        if local.members.voters().contains(&local.me()) && !local.unexplained {
            let own =
                Ballot { vote: self.proposal, state: PeerState::Looking, version: Notification::VERSION };
            self.votes.insert(local.me(), own);
        }
        self.send_all(local);
    }

    fn send_all(&mut self, local: &mut Local) {
        self.answered.clear();
        for server in local.other_voters() {
            local.notify(server, PeerState::Looking, self.proposal);
        }
    }

    fn decide(&mut self, local: &mut Local) -> Option<Vote> {
        let wanted =
            Ballot { vote: self.proposal, state: PeerState::Looking, version: Notification::VERSION };
        let agreeing: BTreeSet<ServerId> = self
            .votes
            .iter()
            .filter(|(_, ballot)| same(&wanted, ballot))
            .map(|(server, _)| *server)
            .collect();
        if !local.members.is_quorum(&agreeing) {
            self.final_at = None;
            return None;
        }
        let now = local.now();
        let until = *self.final_at.get_or_insert(now + local.config.finalize_wait);
        let decided = now >= until || self.has_everyone_spoken(local);
        if decided {
            local.elected_by = agreeing;
        }
        decided.then_some(self.proposal)
    }

    /// Whether each other voter has voted in this round or cannot be reached.
    fn has_everyone_spoken(&self, local: &Local) -> bool {
        let spoken = |server: &ServerId| {
            self.votes.contains_key(server) || local.reach.get(server) == Some(&Reach::Dead)
        };
        local.other_voters().iter().all(spoken)
    }
}

/// What this server votes before it has heard anybody. One that does not vote names nobody.
fn own_vote(local: &Local) -> Vote {
    let round = local.round;
    if let Some(successor) = local.successor {
        return Vote { round, ..successor };
    }
    if !local.is_voter() {
        return Vote { leader: NOBODY, zxid: Zxid(i64::MIN), epoch: Epoch(i64::MIN), round };
    }
    assert!(local.is_settled(), "a vote rests on the durable log");
    Vote { leader: local.me(), zxid: local.last_zxid(), epoch: local.current_epoch, round }
}

/// Whether a vote for this server tells of more than it has: of txns that were cut off since it was cast, which a
/// server that stood still meanwhile goes on telling. Only a later round makes such a vote forgotten; the original
/// takes it for its own.
fn overstates(vote: &Vote, own: &Vote) -> bool {
    vote.leader == own.leader && (vote.epoch, vote.zxid) > (own.epoch, own.zxid)
}

// Java: FastLeaderElection.totalOrderPredicate
fn beats(new: &Vote, old: &Vote, local: &Local) -> bool {
    let weight = local.members.active().weight(new.leader).max(local.members.newest().weight(new.leader));
    weight > 0 && (new.epoch, new.zxid, new.leader) > (old.epoch, old.zxid, old.leader)
}

/// Whether two ballots count for the same leader. Servers that have a leader need only agree on who and
/// in which epoch, as zxid and round are those of the time they elected it.
// Java: Vote.equals
fn same(a: &Ballot, b: &Ballot) -> bool {
    if a.state == PeerState::Looking || b.state == PeerState::Looking {
        return a.vote == b.vote;
    }
    let one_is_old = (a.version > 0) != (b.version > 0);
    a.vote.leader == b.vote.leader && (one_is_old || a.vote.epoch == b.vote.epoch)
}
