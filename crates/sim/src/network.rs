//! Links between servers: ordered both ways, late, cut one way or both, and broken with a loss.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use oxherd_proto::{QuorumPacket, ServerId};
use oxherd_zab::LinkId;

/// Something on its way over a link.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// On an election link.
    Notification(Bytes),
    /// On a link of a learner.
    Packet(QuorumPacket),
    /// A tree behind a SNAP packet; `None` until its walk has begun.
    Tree(Option<Bytes>),
    /// The end of the link.
    Closed,
}

/// One end of a link: what is on its way to it.
#[derive(Debug)]
pub(crate) struct End {
    /// Whose end it is.
    pub(crate) server: ServerId,
    /// Its number there.
    pub(crate) link: LinkId,
    /// Whether it has not seen the end of the link.
    pub(crate) open: bool,
    /// With the time of arrival, in µs.
    pub(crate) queue: VecDeque<(u64, Message)>,
    /// Arrival of the last message put here.
    last_us: u64,
}

impl End {
    fn is_ending(&self) -> bool {
        self.queue.iter().any(|(_, message)| matches!(message, Message::Closed))
    }
}

/// All links.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pipes: BTreeMap<u64, [End; 2]>,
    elections: BTreeMap<(ServerId, ServerId), u64>,
    cuts: BTreeMap<(ServerId, ServerId), u64>,
    next: u64,
}

fn place(link: LinkId) -> (u64, usize) {
    (link.0 / 2, usize::from(link.0 % 2 == 1))
}

fn pair(a: ServerId, b: ServerId) -> (ServerId, ServerId) {
    (a.min(b), a.max(b))
}

impl Network {
    /// A new link between two servers; its number at each.
    pub(crate) fn connect(&mut self, from: ServerId, to: ServerId, election: bool) -> (LinkId, LinkId) {
        let pipe = self.next;
        self.next += 1;
        let end =
            |server, link| End { server, link: LinkId(link), open: true, queue: VecDeque::new(), last_us: 0 };
        self.pipes.insert(pipe, [end(from, pipe * 2), end(to, pipe * 2 + 1)]);
        if election {
            self.elections.insert(pair(from, to), pipe);
        }
        (LinkId(pipe * 2), LinkId(pipe * 2 + 1))
    }

    /// The number at `from` of the election link to that server, if there is one.
    pub(crate) fn election_link(&self, from: ServerId, to: ServerId) -> Option<LinkId> {
        let pipe = self.elections.get(&pair(from, to))?;
        let ends = self.pipes.get(pipe)?;
        let usable = ends.iter().all(|end| end.open && !end.is_ending());
        ends.iter().find(|end| usable && end.server == from).map(|end| end.link)
    }

    /// Whose end a link is.
    pub(crate) fn owner(&self, link: LinkId) -> Option<ServerId> {
        let (pipe, side) = place(link);
        Some(self.pipes.get(&pipe)?[side].server)
    }

    /// Who is at the other end.
    pub(crate) fn other_end(&self, link: LinkId) -> Option<ServerId> {
        let (pipe, side) = place(link);
        Some(self.pipes.get(&pipe)?[1 - side].server)
    }

    /// Sends; the receiving link and the time of arrival, unless the link is ending.
    pub(crate) fn send(&mut self, link: LinkId, message: Message, arrives_us: u64) -> Option<(LinkId, u64)> {
        let (pipe, side) = place(link);
        let ends = self.pipes.get_mut(&pipe)?;
        let blocked = self.cuts.get(&(ends[side].server, ends[1 - side].server)).copied().unwrap_or(0);
        if !ends[side].open {
            return None;
        }
        let end = &mut ends[1 - side];
        if end.is_ending() {
            return None;
        }
        let at = arrives_us.max(end.last_us + 1).max(blocked);
        end.last_us = at;
        end.queue.push_back((at, message));
        Some((end.link, at))
    }

    /// The tree that a message of this link waits for.
    pub(crate) fn fill_tree(&mut self, link: LinkId, body: Bytes) {
        let (pipe, side) = place(link);
        let Some(ends) = self.pipes.get_mut(&pipe) else { return };
        for (_, message) in &mut ends[1 - side].queue {
            if let Message::Tree(tree @ None) = message {
                *tree = Some(body);
                return;
            }
        }
    }

    /// What has arrived at the front of a link; whether the end takes it, which it does not once closed.
    pub(crate) fn receive(&mut self, link: LinkId, now_us: u64) -> Option<(ServerId, Message)> {
        let (pipe, side) = place(link);
        let end = &mut self.pipes.get_mut(&pipe)?[side];
        if end.queue.front().is_none_or(|(at, _)| *at > now_us) {
            return None;
        }
        let (_, message) = end.queue.pop_front()?;
        let (server, was_open) = (end.server, end.open);
        if matches!(message, Message::Closed) {
            end.open = false;
        }
        self.forget(pipe);
        was_open.then_some((server, message))
    }

    /// One end closes; the other sees it behind what was sent before.
    pub(crate) fn close(&mut self, link: LinkId, arrives_us: u64) -> Option<(LinkId, u64)> {
        let told = self.send(link, Message::Closed, arrives_us);
        let (pipe, side) = place(link);
        if let Some(ends) = self.pipes.get_mut(&pipe) {
            ends[side].open = false;
        }
        self.forget(pipe);
        told
    }

    fn forget(&mut self, pipe: u64) {
        let dead = self.pipes.get(&pipe).is_some_and(|ends| ends.iter().all(|end| !end.open));
        if dead {
            self.pipes.remove(&pipe);
        }
    }

    /// Breaks a link: of each direction a prefix arrives, then the end. The links and times of the ends.
    pub(crate) fn break_link(&mut self, pipe: u64, kept: [usize; 2], arrives_us: u64) -> Vec<(LinkId, u64)> {
        let Some(ends) = self.pipes.get_mut(&pipe) else { return Vec::new() };
        let mut told = Vec::new();
        for (end, kept) in ends.iter_mut().zip(kept) {
            if !end.open || end.is_ending() {
                continue;
            }
            end.queue.truncate(kept);
            let at = arrives_us.max(end.queue.back().map_or(0, |(at, _)| *at) + 1);
            end.last_us = at;
            end.queue.push_back((at, Message::Closed));
            told.push((end.link, at));
        }
        told
    }

    /// The links of a server, by number.
    pub(crate) fn pipes_of(&self, server: ServerId) -> Vec<(u64, [usize; 2])> {
        let of = |ends: &[End; 2]| ends.iter().any(|end| end.server == server);
        let lens = |ends: &[End; 2]| [ends[0].queue.len(), ends[1].queue.len()];
        self.pipes.iter().filter(|(_, ends)| of(ends)).map(|(pipe, ends)| (*pipe, lens(ends))).collect()
    }

    /// A process is gone: its ends see nothing any more.
    pub(crate) fn abandon(&mut self, server: ServerId) {
        for ends in self.pipes.values_mut() {
            for end in ends.iter_mut().filter(|end| end.server == server) {
                end.open = false;
                end.queue.clear();
            }
        }
        self.pipes.retain(|_, ends| ends.iter().any(|end| end.open));
    }

    /// Nothing passes in this direction until then.
    pub(crate) fn cut(&mut self, from: ServerId, to: ServerId, until_us: u64) {
        let until = self.cuts.entry((from, to)).or_default();
        *until = until_us.max(*until);
    }

    /// Whether servers reach each other at the moment, both ways.
    pub(crate) fn reaches(&self, a: ServerId, b: ServerId, now_us: u64) -> bool {
        let open = |from, to| self.cuts.get(&(from, to)).is_none_or(|until| *until <= now_us);
        open(a, b) && open(b, a)
    }

    /// Lifts all cuts.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &'static str) -> Message {
        Message::Notification(Bytes::from_static(text.as_bytes()))
    }

    fn text(message: Option<(ServerId, Message)>) -> String {
        match message {
            Some((_, Message::Notification(body))) => String::from_utf8_lossy(&body).into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_link_keeps_its_order_and_loses_only_a_suffix_when_it_breaks() {
        let mut network = Network::default();
        let (a, b) = network.connect(ServerId(1), ServerId(2), false);
        network.send(a, note("first"), 50);
        network.send(a, note("second"), 10);
        network.send(a, note("third"), 10);
        network.break_link(0, [0, 2], 0);
        assert_eq!(text(network.receive(b, 100)), "first");
        assert_eq!(text(network.receive(b, 100)), "second");
        assert!(matches!(network.receive(b, 100), Some((_, Message::Closed))));
        assert!(network.send(b, note("too late"), 0).is_none());
    }

    #[test]
    fn a_one_way_cut_holds_one_direction_back() {
        let mut network = Network::default();
        let (a, b) = network.connect(ServerId(1), ServerId(2), true);
        network.cut(ServerId(1), ServerId(2), 1000);
        assert_eq!(network.send(a, note("held"), 5), Some((b, 1000)));
        assert_eq!(network.send(b, note("free"), 5), Some((a, 5)));
        assert!(!network.reaches(ServerId(2), ServerId(1), 999), "a handshake needs both ways");
        assert!(network.reaches(ServerId(2), ServerId(1), 1000));
    }
}
