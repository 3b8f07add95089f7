//! Which member is next, and whether a step is over.

use super::facts::{Answer, Facts, Kind, Mode};
use super::rules;

/// Members that are behind by less are taken as equal: the words are asked one after the other, under load.
const LAG_NOISE: i64 = 2_000;

/// Ends the reason while the member whose turn it is runs nothing.
pub(crate) const STOPPED: &str = "is stopped";

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Every member is what it is to be.
    Done,
    /// Swap this one.
    Swap(Swap),
}

/// One member to be swapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    /// Which.
    pub(crate) member: i64,
    /// What it runs now.
    pub(crate) from: Kind,
    /// What it does now.
    pub(crate) mode: Mode,
    /// Members that are left after this one.
    pub(crate) left: usize,
    /// Who should lead before this one is stopped; only an Oxherd makes way on command.
    pub(crate) lead_to: Option<i64>,
}

/// The next step: observers, then followers, then the leader.
///
/// Among equals the one least behind comes first, then the lowest number: with equal logs the highest number is elected,
/// so this order moves the leader least.
pub(crate) fn next(facts: &Facts, to: Kind) -> Step {
    let Some((_, leader)) = facts.leader() else {
        return Step::Done;
    };
    let mut waiting: Vec<_> = facts.serving().filter(|(_, server)| server.kind != to).collect();
    waiting.sort_by_key(|(id, server)| {
        let lag = rules::lag(leader, server).unwrap_or(i64::MAX);
        (rank(server.mode), lag / LAG_NOISE, *id)
    });
    let Some((member, server)) = waiting.first() else {
        return Step::Done;
    };
    let makes_way = server.mode == Mode::Leader && server.kind == Kind::Oxherd;
    let lead_to = makes_way.then(|| successor(facts, *member)).flatten();
    Step::Swap(Swap {
        member: *member,
        from: server.kind,
        mode: server.mode,
        left: waiting.len() - 1,
        lead_to,
    })
}

fn rank(mode: Mode) -> u8 {
    match mode {
        Mode::Observer => 0,
        Mode::Follower => 1,
        Mode::Leader | Mode::Standalone | Mode::ReadOnly => 2,
    }
}

/// The voter that is furthest, and of equals the one that an election would take.
fn successor(facts: &Facts, leader: i64) -> Option<i64> {
    let voters = facts.serving().filter(|(id, server)| *id != leader && server.mode == Mode::Follower);
    voters.max_by_key(|(id, server)| (server.zxid, *id)).map(|(id, _)| id)
}

/// How a step that is followed stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This member was swapped, and every member is in sync.
    Over(i64),
    /// Why it is not over yet.
    Waits(String),
}

/// How a step stands that was given on the facts before. Whoever was swapped in place of the one that was next is as good.
pub(crate) fn standing(before: &Facts, now: &Facts, swap: &Swap) -> Standing {
    let (id, to) = (swap.member, swap.from.other());
    let runs = |facts: &Facts, id: i64| Some(facts.members.get(&id)?.server()?.kind);
    let Some(member) = now.members.get(&id) else {
        return Standing::Over(id);
    };
    let waits = match &member.answer {
        Answer::Serving(server) if server.kind != to => {
            let mut others = now.members.keys().copied().filter(|other| *other != id);
            let other =
                others.find(|other| runs(before, *other) == Some(swap.from) && runs(now, *other) == Some(to));
            match other.filter(|_| self::others(now).is_none()) {
                Some(other) => return Standing::Over(other),
                None => format!("server {id} is still {}", server.kind),
            }
        }
        Answer::Serving(_) => match others(now) {
            Some(missing) => missing,
            None => return Standing::Over(id),
        },
        Answer::NotServing => format!("server {id} runs, and looks for the leader"),
        Answer::Silent(_) | Answer::NotAsked | Answer::Foreign(_) => format!("server {id} {STOPPED}"),
    };
    Standing::Waits(waits + &out_of_turn(now, id))
}

/// Members that are stopped beside the one whose turn it is, and what that means; empty when there are none.
fn out_of_turn(facts: &Facts, turn: i64) -> String {
    let is_stopped = |id: &i64| !matches!(facts.members[id].answer, Answer::Serving(_) | Answer::NotServing);
    let stopped: Vec<i64> = facts.members.keys().copied().filter(is_stopped).collect();
    let strays: Vec<String> = stopped.iter().filter(|id| **id != turn).map(i64::to_string).collect();
    if strays.is_empty() {
        return String::new();
    }
    let what = match facts.spares(&stopped) {
        true => "start it before anything else is stopped",
        false => "there is no quorum, and clients wait: start a server at once",
    };
    format!("; out of turn, server {} does not answer: {what}", strays.join(" and "))
}

/// What is missing until every member is in sync again.
fn others(facts: &Facts) -> Option<String> {
    for (id, member) in &facts.members {
        if member.server().is_none() {
            return Some(format!("server {id} does not serve"));
        }
    }
    let Some((leader, server)) = facts.leader() else {
        return Some("no member leads".to_owned());
    };
    let followers = facts.voters().saturating_sub(1) as u64;
    let observers = (facts.members.len() - facts.voters()) as u64;
    let missing = |synced: Option<u64>, all: u64| synced.is_none_or(|synced| synced < all);
    if missing(server.synced_followers, followers)
        || server.synced_observers.is_some_and(|synced| synced < observers)
    {
        return Some(format!("the leader, server {leader}, waits for learners to be in sync"));
    }
    let behind =
        facts.serving().find(|(_, other)| rules::lag(server, other).is_none_or(|lag| lag > rules::LAG_MAX));
    behind.map(|(id, _)| format!("server {id} is still behind the leader"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replace::rules::tests::{ensemble, server_mut};

    fn member_of(facts: &Facts, to: Kind) -> Option<(i64, Option<i64>)> {
        match next(facts, to) {
            Step::Done => None,
            Step::Swap(swap) => Some((swap.member, swap.lead_to)),
        }
    }

    #[test]
    fn observers_come_first_and_the_leader_comes_last() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Leader, Mode::Follower, Mode::Observer]);
        let mut order = Vec::new();
        while let Some((member, lead_to)) = member_of(&facts, Kind::Oxherd) {
            assert_eq!(lead_to, None, "a Java leader does not make way");
            order.push(member);
            server_mut(&mut facts, member).kind = Kind::Oxherd;
        }
        assert_eq!(order, [4, 1, 3, 2]);
        assert_eq!(next(&facts, Kind::Oxherd), Step::Done);
    }

    #[test]
    fn a_follower_that_is_behind_waits() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Follower, Mode::Leader]);
        server_mut(&mut facts, 1).zxid.0 -= LAG_NOISE - 1;
        assert_eq!(member_of(&facts, Kind::Oxherd), Some((1, None)), "that little is noise");
        server_mut(&mut facts, 1).zxid.0 -= 1;
        assert_eq!(member_of(&facts, Kind::Oxherd), Some((2, None)));
    }

    #[test]
    fn on_the_way_back_the_leader_makes_way_first() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Follower, Mode::Leader]);
        server_mut(&mut facts, 3).kind = Kind::Oxherd;
        assert_eq!(member_of(&facts, Kind::Java), Some((3, Some(2))));
        server_mut(&mut facts, 1).zxid.0 += 1;
        assert_eq!(member_of(&facts, Kind::Java), Some((3, Some(1))));
    }

    #[test]
    fn a_step_is_over_when_the_member_is_back_and_all_are_in_sync() {
        let mut facts = ensemble(&[Mode::Follower, Mode::Follower, Mode::Leader]);
        let Step::Swap(swap) = next(&facts, Kind::Oxherd) else { panic!("nothing to do") };
        let before = facts.clone();
        let told = |facts: &Facts| match standing(&before, facts, &swap) {
            Standing::Waits(reason) => reason,
            Standing::Over(id) => panic!("over with {id}"),
        };
        assert_eq!(told(&facts), "server 1 is still Java");
        let answer = facts.members[&1].answer.clone();
        facts.members.get_mut(&1).unwrap().answer = Answer::Silent("refused".to_owned());
        assert_eq!(told(&facts), "server 1 is stopped");
        facts.members.get_mut(&1).unwrap().answer = Answer::NotServing;
        assert_eq!(told(&facts), "server 1 runs, and looks for the leader");
        facts.members.get_mut(&1).unwrap().answer = answer;
        server_mut(&mut facts, 1).kind = Kind::Oxherd;
        server_mut(&mut facts, 3).synced_followers = Some(1);
        assert_eq!(told(&facts), "the leader, server 3, waits for learners to be in sync");
        server_mut(&mut facts, 3).synced_followers = Some(2);
        assert_eq!(standing(&before, &facts, &swap), Standing::Over(1));
    }

    #[test]
    fn a_server_stopped_out_of_turn_is_named_and_one_swapped_out_of_turn_is_a_step() {
        let before = ensemble(&[Mode::Follower, Mode::Follower, Mode::Leader]);
        let Step::Swap(swap) = next(&before, Kind::Oxherd) else { panic!("nothing to do") };
        let silent = Answer::Silent("refused".to_owned());
        let mut facts = before.clone();
        facts.members.get_mut(&2).unwrap().answer = silent.clone();
        let waits = |text: &str| Standing::Waits(text.to_owned());
        assert_eq!(
            standing(&before, &facts, &swap),
            waits(
                "server 1 is still Java; out of turn, server 2 does not answer: \
                 start it before anything else is stopped"
            )
        );
        facts.members.get_mut(&1).unwrap().answer = silent;
        facts.members.get_mut(&3).unwrap().answer = Answer::NotServing;
        assert_eq!(
            standing(&before, &facts, &swap),
            waits(
                "server 1 is stopped; out of turn, server 2 does not answer: \
                 there is no quorum, and clients wait: start a server at once"
            )
        );
        let mut facts = before.clone();
        server_mut(&mut facts, 2).kind = Kind::Oxherd;
        server_mut(&mut facts, 3).synced_followers = Some(1);
        assert_eq!(standing(&before, &facts, &swap), waits("server 1 is still Java"));
        server_mut(&mut facts, 3).synced_followers = Some(2);
        assert_eq!(standing(&before, &facts, &swap), Standing::Over(2));
    }
}
