//! What passes between clients and servers.

use bytes::Bytes;
use oxherd_proto::ServerId;
use oxherd_tree::ClientId;

use super::{ClientLink, Event, World};
use crate::bug::Bug;
use crate::client::Phase;
use crate::verdict::Check;

impl World {
    /// A client's next step.
    pub(super) fn think(&mut self, number: usize) -> Check {
        if self.quiet {
            return Ok(());
        }
        let pause_us = 1000 + self.dice.below(self.plan.think_ms * 1000);
        self.at(self.now_us + pause_us, Event::Think(number));
        if self.clients[number].silent_until_us > self.now_us && !self.healing {
            return Ok(());
        }
        match self.clients[number].phase {
            Phase::Down => self.connect(number),
            Phase::Connecting => {}
            Phase::Open => self.speak(number),
        }
        Ok(())
    }

    fn speak(&mut self, number: usize) {
        let timeout_ms = self.plan.tick_ms * 4;
        match self.dice.below(400) {
            0 if !self.healing => {
                self.clients[number].silent_until_us =
                    self.now_us + timeout_ms * 1000 * self.dice.between(1, 4)
            }
            1 | 2 if !self.healing => {
                if let Some(link) = self.clients[number].link {
                    self.hang_up(link);
                }
            }
            _ if number == self.plan.clients && !self.healing => self.operate(number),
            _ => {
                let (client, dice) = (&mut self.clients[number], &mut self.dice);
                let bytes = if self.healing && client.patient_until_us > self.now_us {
                    Some(client.ping())
                } else {
                    client.patient_until_us = self.now_us + self.plan.healing_pause_us();
                    if self.healing && dice.chance(30) { Some(client.probe()) } else { client.ask(dice) }
                };
                if let (Some(bytes), Some(link)) = (bytes, client.link) {
                    let words = client.last_request();
                    self.story.tell(self.now_us, || format!("c{number} asks over {} {words}", link.0));
                    self.send_to_server(link, bytes);
                }
            }
        }
    }

    fn connect(&mut self, number: usize) {
        let ids = self.ids();
        let Some(server) = self.dice.pick(&ids) else { return };
        let link = ClientId(u32::try_from(self.tally.events % u64::from(u32::MAX)).unwrap_or(0));
        let now = self.now_of(server);
        if self.machine(server).stalled_until_us > self.now_us {
            return;
        }
        let taken = self.machine(server).host.as_mut().is_some_and(|host| host.accept(link, now));
        if !taken {
            return;
        }
        let open = ClientLink { client: number, server, to_server_us: 0, to_client_us: 0, open: true };
        self.links.insert(link.0, open);
        let timeout_ms = i32::try_from(self.plan.tick_ms * 4).unwrap_or(i32::MAX);
        let bytes = self.clients[number].connect(link, timeout_ms);
        let session = self.clients[number].session;
        self.story
            .tell(self.now_us, || format!("c{number} connects to s{server} over {} with {session}", link.0));
        self.send_to_server(link, bytes);
    }

    pub(super) fn send_to_server(&mut self, link: ClientId, bytes: Vec<u8>) {
        let at_us = self.latency_us();
        let Some(open) = self.links.get_mut(&link.0) else { return };
        open.to_server_us = at_us.max(open.to_server_us + 1);
        let at_us = open.to_server_us;
        self.at(at_us, Event::ToServer(link, bytes.into()));
    }

    pub(super) fn send_to_client(&mut self, link: ClientId, bytes: Vec<u8>) {
        let at_us = self.latency_us();
        let bytes = match self.bug {
            Some(Bug::EventAfterReply) => reorder(bytes, true),
            Some(Bug::RepliesSwapped) => reorder(bytes, false),
            _ => bytes,
        };
        let Some(open) = self.links.get_mut(&link.0) else { return };
        open.to_client_us = at_us.max(open.to_client_us + 1);
        let at_us = open.to_client_us;
        self.at(at_us, Event::ToClient(link, bytes.into()));
    }

    pub(super) fn client_bytes(&mut self, link: ClientId, bytes: &[u8]) -> Check {
        let Some(open) = self.links.get(&link.0).filter(|open| open.open) else { return Ok(()) };
        let (server, client) = (open.server, &self.clients[open.client]);
        let session = (client.link == Some(link) && client.phase == Phase::Open).then_some(client.session);
        let now = self.now_of(server);
        let mut effects = Vec::new();
        let Some(host) = &mut self.machine(server).host else { return Ok(()) };
        host.client_bytes(link, bytes, now, &mut effects);
        if let Some(session) = session {
            self.judge.heard.insert(session, self.now_us);
        }
        self.carry_out(server, effects)
    }

    pub(super) fn answer(&mut self, link: ClientId, bytes: &Bytes) -> Check {
        let Some(open) = self.links.get(&link.0) else { return Ok(()) };
        let number = open.client;
        if self.clients[number].link != Some(link) {
            return Ok(());
        }
        let goes_on = self.clients[number].receive(bytes, &self.judge.model)?;
        let waits = self.clients[number].oldest();
        self.story
            .tell(self.now_us, || format!("c{number} is answered over {}, waits for {waits:?}", link.0));
        if !goes_on {
            self.hang_up(link);
        }
        Ok(())
    }

    /// The client ends the link; the server sees it later.
    fn hang_up(&mut self, link: ClientId) {
        let Some(open) = self.links.get(&link.0) else { return };
        let number = open.client;
        if self.clients[number].link == Some(link) {
            self.clients[number].disconnect();
        }
        let behind_us = open.to_server_us + 1;
        let at_us = self.latency_us().max(behind_us);
        self.at(at_us, Event::GoneAtServer(link));
    }

    pub(super) fn gone_at_server(&mut self, link: ClientId) -> Check {
        let Some(open) = self.links.remove(&link.0) else { return Ok(()) };
        self.forget_link(open.server, link)
    }

    /// The server forgets a link it has closed.
    pub(super) fn forget_link(&mut self, server: ServerId, link: ClientId) -> Check {
        let now = self.now_of(server);
        let mut effects = Vec::new();
        if let Some(host) = &mut self.machine(server).host {
            host.client_gone(link, now, &mut effects);
        }
        self.carry_out(server, effects)
    }

    pub(super) fn gone_at_client(&mut self, link: ClientId) {
        let number = self.clients.iter().position(|client| client.link == Some(link));
        if let Some(number) = number {
            self.clients[number].disconnect();
        }
        self.links.remove(&link.0);
    }

    /// The server ends the link, behind what it sent.
    pub(super) fn close_client(&mut self, link: ClientId) {
        let at_us = self.latency_us();
        let Some(open) = self.links.get_mut(&link.0).filter(|open| open.open) else { return };
        open.open = false;
        let (server, at_us) = (open.server, at_us.max(open.to_client_us + 1));
        self.at(at_us, Event::GoneAtClient(link));
        self.at(self.now_us, Event::Forget(server, link));
    }

    pub(super) fn cut_clients_off(&mut self, id: ServerId) {
        let links: Vec<u32> =
            self.links.iter().filter(|(_, open)| open.server == id).map(|(link, _)| *link).collect();
        for link in links {
            self.hang_up(ClientId(link));
        }
    }

    /// The server is gone: its clients see it, some of what it sent is lost.
    pub(super) fn part_from_clients(&mut self, id: ServerId) {
        let links: Vec<u32> =
            self.links.iter().filter(|(_, open)| open.server == id).map(|(link, _)| *link).collect();
        for link in links {
            let at_us = self.latency_us();
            self.at(at_us, Event::GoneAtClient(ClientId(link)));
        }
    }
}

/// Frames in another order: events last, or the last two replies exchanged.
fn reorder(bytes: Vec<u8>, events_last: bool) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while rest.len() >= 8 {
        let len = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize + 4;
        frames.push(&rest[..len.min(rest.len())]);
        rest = &rest[len.min(rest.len())..];
    }
    if events_last {
        frames.sort_by_key(|frame| frame[4..8] == (-1i32).to_be_bytes());
    } else if frames.len() >= 2 {
        let end = frames.len();
        frames.swap(end - 1, end - 2);
    }
    frames.concat()
}
