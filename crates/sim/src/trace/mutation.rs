//! Traces of servers that do what they must not: each a small change of a trace that was recorded.

use super::Event;

/// A way to spoil a trace: its name, what the servers now do wrong, and the change; `None` where the trace
/// has nothing of the kind.
pub type Mutation = (&'static str, &'static str, fn(&[Event]) -> Option<Vec<Event>>);

/// Every one of them must be rejected.
pub const MUTATIONS: [Mutation; 18] = [
    ("ack-before-disk", "a txn is acknowledged before it is durable", ack_before_disk),
    ("ack-never-durable", "a txn is acknowledged and never becomes durable", ack_never_durable),
    ("commit-without-quorum", "a txn is committed before any learner acknowledged it", commit_without_quorum),
    ("commits-reordered", "two commits on a link change places", commits_reordered),
    ("proposal-left-out", "a learner never gets one of the proposals", proposal_left_out),
    ("delivered-early", "a follower shows a txn whose COMMIT has not come", delivered_early),
    ("second-leader", "a server that nobody elected is established too", second_leader),
    ("epoch-used-twice", "a leader founds an epoch that is not above the accepted ones", epoch_used_twice),
    (
        "epoch-without-quorum",
        "a leader takes its epoch before a quorum has accepted it",
        epoch_without_quorum,
    ),
    ("accepted-not-stored", "ACKEPOCH goes out before the accepted epoch is durable", accepted_not_stored),
    (
        "epoch-before-txns",
        "the current epoch goes to the disk before the txns that precede it",
        epoch_before_txns,
    ),
    (
        "newleader-ack-early",
        "NEWLEADER is acknowledged before the current epoch is durable",
        newleader_ack_early,
    ),
    ("uptodate-early", "a leader opens the broadcast before a quorum acknowledged NEWLEADER", uptodate_early),
    ("diff-for-trunc", "a learner with txns that the leader lacks gets DIFF", diff_for_trunc),
    ("sync-ends-early", "NEWLEADER comes before the end of the leader's history", sync_ends_early),
    ("txn-lost", "a durable txn is gone after a restart", txn_lost),
    ("epoch-lost", "a durable current epoch is gone after a restart", epoch_lost),
    ("vote-ahead-of-disk", "a server votes with a zxid it does not have", vote_ahead_of_disk),
];

fn is(event: &Event, ev: &str, m: &str) -> bool {
    event.ev == ev && event.m == m
}

fn zxid(event: &Event) -> (i64, i64) {
    (event.e, event.c)
}

/// The last place before `end` where this holds.
fn last_before(events: &[Event], end: usize, test: impl Fn(&Event) -> bool) -> Option<usize> {
    events[..end].iter().rposition(test)
}

/// The event at `from` comes just before the one at `to`.
fn hasten(events: &[Event], from: usize, to: usize) -> Vec<Event> {
    let mut changed = events.to_vec();
    let event = changed.remove(from);
    changed.insert(to, event);
    changed
}

fn without(events: &[Event], drop: impl Fn(usize, &Event) -> bool) -> Vec<Event> {
    events
        .iter()
        .enumerate()
        .filter(|(at, event)| !drop(*at, event))
        .map(|(_, event)| event.clone())
        .collect()
}

/// The first event of the kind that `cause` precedes at the same server, hastened before the cause.
fn hasten_first(
    events: &[Event],
    (ev, m): (&str, &str),
    cause: impl Fn(&Event, &Event) -> bool,
) -> Option<Vec<Event>> {
    events.iter().enumerate().filter(|(_, event)| is(event, ev, m)).find_map(|(from, event)| {
        let to = last_before(events, from, |each| each.s == event.s && cause(each, event))?;
        // Nothing of this server's life may lie between but what follows from the cause.
        let same_life = !events[to..from].iter().any(|each| each.s == event.s && each.ev == "crash");
        same_life.then(|| hasten(events, from, to))
    })
}

fn ack_before_disk(events: &[Event]) -> Option<Vec<Event>> {
    hasten_first(events, ("send", "ACK"), |each, ack| is(each, "disk", "APPEND") && zxid(each) >= zxid(ack))
}

fn ack_never_durable(events: &[Event]) -> Option<Vec<Event>> {
    let (sent, ack) = events.iter().enumerate().find(|(_, event)| is(event, "send", "ACK"))?;
    let disk = last_before(events, sent, |each| each.s == ack.s && is(each, "disk", "APPEND"))?;
    Some(without(events, |at, _| at == disk))
}

fn commit_without_quorum(events: &[Event]) -> Option<Vec<Event>> {
    let first_ack = |each: &Event, commit: &Event| is(each, "send", "PROPOSAL") && zxid(each) == zxid(commit);
    events.iter().enumerate().filter(|(_, event)| is(event, "send", "COMMIT")).find_map(|(from, commit)| {
        let acked =
            |each: &Event| is(each, "recv", "ACK") && each.s == commit.s && zxid(each) == zxid(commit);
        let ack = last_before(events, from, acked)?;
        let to = last_before(events, ack, |each| first_ack(each, commit) && each.l == commit.l)? + 1;
        let none_before =
            !events[..to].iter().any(|each| is(each, "recv", "ACK") && zxid(each) == zxid(commit));
        none_before.then(|| hasten(events, from, to))
    })
}

fn commits_reordered(events: &[Event]) -> Option<Vec<Event>> {
    let commits = |at: usize| is(&events[at], "send", "COMMIT");
    let first = (0..events.len()).find(|at| {
        let next = |to: usize| {
            commits(to) && events[to].l == events[*at].l && zxid(&events[to]) != zxid(&events[*at])
        };
        commits(*at) && (at + 1..events.len()).any(next)
    })?;
    let next = |at: &usize| commits(*at) && events[*at].l == events[first].l;
    let second = (first + 1..events.len()).find(next)?;
    let mut changed = events.to_vec();
    (changed[first].e, changed[first].c) = zxid(&events[second]);
    (changed[second].e, changed[second].c) = zxid(&events[first]);
    Some(changed)
}

fn proposal_left_out(events: &[Event]) -> Option<Vec<Event>> {
    let proposed = events.iter().position(|event| event.ev == "propose")?;
    let out = |event: &Event| is(event, "send", "PROPOSAL") && zxid(event) == zxid(&events[proposed]);
    let sent = proposed + events[proposed..].iter().position(out)?;
    let gone = |event: &Event| {
        event.m == "PROPOSAL" && event.l == events[sent].l && zxid(event) == zxid(&events[sent])
    };
    Some(without(events, |_, event| gone(event)))
}

fn delivered_early(events: &[Event]) -> Option<Vec<Event>> {
    hasten_first(events, ("deliver", ""), |each, shown| {
        is(each, "recv", "COMMIT") && zxid(each) == zxid(shown)
    })
}

fn second_leader(events: &[Event]) -> Option<Vec<Event>> {
    let at = events.iter().position(|event| event.ev == "lead")?;
    let mut changed = events.to_vec();
    let other = Event { s: events[at].s % 3 + 1, ..events[at].clone() };
    changed.insert(at + 1, other);
    Some(changed)
}

/// The place where a leader gives a new epoch to its disk.
fn founding(events: &[Event]) -> Option<usize> {
    let leads = |at: usize| {
        let role = events[..at]
            .iter()
            .rfind(|each| each.s == events[at].s && matches!(each.ev.as_str(), "elect" | "look"));
        role.is_some_and(|role| role.ev == "elect" && role.l == role.s)
    };
    (0..events.len()).find(|at| is(&events[*at], "queue", "ACCEPTED") && events[*at].e > 1 && leads(*at))
}

fn epoch_used_twice(events: &[Event]) -> Option<Vec<Event>> {
    let at = founding(events)?;
    let mut changed = events.to_vec();
    changed[at].e -= 1;
    Some(changed)
}

fn epoch_without_quorum(events: &[Event]) -> Option<Vec<Event>> {
    hasten_first(events, ("queue", "CURRENT"), |each, _| is(each, "recv", "ACKEPOCH"))
}

fn accepted_not_stored(events: &[Event]) -> Option<Vec<Event>> {
    hasten_first(events, ("send", "ACKEPOCH"), |each, _| is(each, "disk", "ACCEPTED"))
}

fn epoch_before_txns(events: &[Event]) -> Option<Vec<Event>> {
    // Only a learner that got txns in this synchronization.
    let starts = events.iter().enumerate().filter(|(_, event)| is(event, "queue", "CURRENT"));
    starts.rev().find_map(|(from, event)| {
        let own = |each: &Event| each.s == event.s;
        let begun = last_before(events, from, |each| own(each) && each.ev == "elect")?;
        let to = last_before(events, from, |each| own(each) && is(each, "disk", "APPEND"))
            .filter(|to| *to > begun)?;
        Some(hasten(events, from, to))
    })
}

fn newleader_ack_early(events: &[Event]) -> Option<Vec<Event>> {
    hasten_first(events, ("send", "ACKLD"), |each, _| is(each, "disk", "CURRENT"))
}

fn uptodate_early(events: &[Event]) -> Option<Vec<Event>> {
    let lead = events.iter().position(|event| event.ev == "lead")?;
    let ack = last_before(events, lead, |each| is(each, "recv", "ACKLD") && each.s == events[lead].s)?;
    Some(hasten(events, lead, ack))
}

fn diff_for_trunc(events: &[Event]) -> Option<Vec<Event>> {
    let cut = events.iter().find(|event| is(event, "send", "TRUNC"))?.l;
    let mut changed =
        without(events, |_, event| event.m == "CUT" && event.s != 0 && is_on(events, cut, event));
    changed
        .iter_mut()
        .filter(|event| event.m == "TRUNC" && event.l == cut)
        .for_each(|event| event.m = "DIFF".to_owned());
    Some(changed)
}

/// Whether the server of an event is the learner of this link.
fn is_on(events: &[Event], link: i64, event: &Event) -> bool {
    events.iter().any(|each| each.ev == "up" && each.l == link && each.s == event.s)
}

fn sync_ends_early(events: &[Event]) -> Option<Vec<Event>> {
    let ends = events.iter().enumerate().filter(|(_, event)| is(event, "send", "NEWLEADER"));
    ends.rev().find_map(|(from, end)| {
        let to = last_before(events, from, |each| is(each, "send", "PROPOSAL") && each.l == end.l)?;
        Some(hasten(events, from, to))
    })
}

/// A later start of a server that had something on its disk.
fn restart(events: &[Event], test: impl Fn(&Event) -> bool) -> Option<usize> {
    events.iter().position(|event| event.ev == "start" && test(event))
}

fn txn_lost(events: &[Event]) -> Option<Vec<Event>> {
    let durable = |event: &Event, at: usize| {
        let before = events[..at].iter().filter(|each| each.s == event.s && is(each, "disk", "APPEND"));
        before.map(zxid).max() == Some(zxid(event))
    };
    let at = events
        .iter()
        .enumerate()
        .position(|(at, event)| event.ev == "start" && event.c > 1 && durable(event, at))?;
    let mut changed = events.to_vec();
    changed[at].c -= 1;
    Some(changed)
}

fn epoch_lost(events: &[Event]) -> Option<Vec<Event>> {
    let at = restart(events, |event| event.x > 0)?;
    let mut changed = events.to_vec();
    changed[at].x -= 1;
    Some(changed)
}

fn vote_ahead_of_disk(events: &[Event]) -> Option<Vec<Event>> {
    let at = events.iter().position(|event| event.ev == "vote" && event.l == event.s && event.c > 0)?;
    let mut changed = events.to_vec();
    changed[at].c += 1;
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::runs::record;

    #[test]
    fn every_mutation_changes_some_trace_and_names_differ() {
        let traces: Vec<_> = (0..40).map(|seed| record(&Plan::of_trace(seed), None).1).collect();
        for (name, _, change) in MUTATIONS {
            let found = traces.iter().any(|trace| change(trace).is_some_and(|changed| changed != *trace));
            assert!(found, "{name} changes no trace");
        }
        let mut names: Vec<_> = MUTATIONS.iter().map(|row| row.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MUTATIONS.len());
    }
}
