//! What passes between servers.

use bytes::Bytes;
use oxherd_proto::{PacketType, QuorumPacket, ServerId, Zxid};
use oxherd_replica::Input;
use oxherd_zab::{CloseReason, Input as ZabInput, LinkId, LinkKind, Output as ZabOutput, Role};

use super::{Event, World};
use crate::bug::Bug;
use crate::invariants::should_not_be_triggered;
use crate::network::Message;
use crate::verdict::Check;

impl World {
    pub(super) fn peer_output(&mut self, id: ServerId, output: ZabOutput) -> Check {
        self.tell(id, &output);
        match output {
            ZabOutput::Notify { server, body } => {
                self.recorder.voted(id, &body);
                self.look_at_vote(id, &body)?;
                self.judge.output(id, &ZabOutput::Notify { server, body: body.clone() })?;
                self.notify(id, server, body)
            }
            ZabOutput::DialLeader { server, observer_master, .. } => self.dial(id, server, observer_master),
            ZabOutput::Send { link, packet } => self.send_packet(id, link, packet),
            ZabOutput::SendSnapshot { link, .. } => {
                self.transmit(link, Message::Tree(None));
                Ok(())
            }
            ZabOutput::Close { link, reason } => {
                if let CloseReason::Misbehaved(why) = &reason {
                    should_not_be_triggered::check(id, why)?;
                }
                self.recorder.disconnected(id, link);
                let at_us = self.latency_us();
                if let Some((link, at_us)) = self.network.close(link, at_us) {
                    self.at(at_us, Event::Arrival(link));
                }
                self.link_ended(id, link);
                Ok(())
            }
            ZabOutput::ConfigSeen { text } => self.membership(id, &text, false),
            ZabOutput::ConfigActive { text } => self.membership(id, &text, true),
            _ => Ok(()),
        }
    }

    fn tell(&mut self, id: ServerId, output: &ZabOutput) {
        let network = &self.network;
        self.story.tell(self.now_us, || match output {
            ZabOutput::Notify { server, .. } => format!("s{id} -> s{server} notification"),
            ZabOutput::Send { link, packet } => {
                let to = network.other_end(*link).map_or(0, |server| server.0);
                format!("s{id} -> s{to} {:?} {}", packet.kind, packet.zxid)
            }
            other => format!("s{id} {other:?}"),
        });
    }

    fn send_packet(&mut self, id: ServerId, link: LinkId, packet: QuorumPacket) -> Check {
        if self.bug == Some(Bug::Zk4685) && packet.kind == PacketType::Ack {
            return self.overtake(id, link, packet);
        }
        if self.bug == Some(Bug::Zk4925) && self.is_hole(link, &packet) {
            return Ok(());
        }
        self.recorder.sent(id, link, &packet);
        self.judge.output(id, &ZabOutput::Send { link, packet: packet.clone() })?;
        let zxid = packet.zxid;
        let counts_at_once = packet.kind == PacketType::Proposal && self.is_joiner(id, link);
        self.transmit(link, Message::Packet(packet));
        if counts_at_once && self.bug == Some(Bug::ReconfigFormerQuorum) {
            let packet = QuorumPacket { kind: PacketType::Ack, zxid, data: None, authinfo: None };
            return self.peer_input(id, ZabInput::Packet { link, packet });
        }
        Ok(())
    }

    /// Whether the server at the other end is no voter of the ensemble in force.
    fn is_joiner(&self, id: ServerId, link: LinkId) -> bool {
        let host = self.machines.get(&id).and_then(|machine| machine.host.as_ref());
        let other = self.network.other_end(link);
        host.zip(other).is_some_and(|(host, other)| !host.replica.ensemble().is_voter(other))
    }

    /// A learner's first ACK waits for its second.
    fn overtake(&mut self, id: ServerId, link: LinkId, packet: QuorumPacket) -> Check {
        let learns = self
            .machine(id)
            .host
            .as_ref()
            .is_some_and(|host| matches!(host.role, Role::Synchronizing { leader } if leader != id));
        if learns && packet.zxid.counter() == 0 {
            self.held_ack.insert(link, packet);
            return Ok(());
        }
        let held = self.held_ack.remove(&link);
        for packet in [Some(packet), held].into_iter().flatten() {
            self.recorder.sent(id, link, &packet);
            self.judge.output(id, &ZabOutput::Send { link, packet: packet.clone() })?;
            self.transmit(link, Message::Packet(packet));
        }
        Ok(())
    }

    /// The second proposal of a DIFF, and its commit, are left out.
    fn is_hole(&mut self, link: LinkId, packet: &QuorumPacket) -> bool {
        match packet.kind {
            PacketType::Diff => {
                self.dropped.insert(link, Zxid::ZERO);
                false
            }
            PacketType::Proposal => match self.dropped.get_mut(&link) {
                Some(seen @ &mut Zxid::ZERO) => {
                    *seen = Zxid(-1);
                    false
                }
                Some(seen) if *seen == Zxid(-1) => {
                    *seen = packet.zxid;
                    true
                }
                _ => false,
            },
            PacketType::Commit => self.dropped.get(&link) == Some(&packet.zxid),
            _ => false,
        }
    }

    fn transmit(&mut self, link: LinkId, message: Message) {
        let at_us = self.latency_us();
        if let Some((link, at_us)) = self.network.send(link, message, at_us) {
            self.at(at_us, Event::Arrival(link));
        }
    }

    fn notify(&mut self, id: ServerId, to: ServerId, body: Bytes) -> Check {
        self.last_notes.insert((id, to), body.clone());
        let link = match self.network.election_link(id, to) {
            Some(link) => link,
            None if self.can_reach(id, to) => {
                let (here, there) = self.network.connect(id, to, true);
                self.peer_input(id, ZabInput::LinkUp { link: here, kind: LinkKind::Election(to) })?;
                self.peer_input(to, ZabInput::LinkUp { link: there, kind: LinkKind::Election(id) })?;
                here
            }
            None => {
                self.fail_dial(id, LinkKind::Election(to));
                return Ok(());
            }
        };
        self.transmit(link, Message::Notification(body));
        Ok(())
    }

    fn can_reach(&self, from: ServerId, to: ServerId) -> bool {
        let machine = self.machines.get(&to);
        let up =
            machine.is_some_and(|machine| machine.host.is_some() && machine.stalled_until_us <= self.now_us);
        up && self.network.reaches(from, to, self.now_us)
    }

    fn fail_dial(&mut self, id: ServerId, kind: LinkKind) {
        let at_us = self.latency_us();
        let life = self.machine(id).life;
        self.at(at_us, Event::DialFailed(id, life, kind));
    }

    pub(super) fn dial_failed(&mut self, id: ServerId, kind: LinkKind) -> Check {
        self.peer_input(id, ZabInput::DialFailed { kind })
    }

    fn dial(&mut self, id: ServerId, to: ServerId, observer_master: bool) -> Check {
        if !self.can_reach(id, to) {
            self.fail_dial(id, LinkKind::Leader(to));
            return Ok(());
        }
        let (here, there) = self.network.connect(id, to, false);
        self.recorder.connected((id, here), (to, there));
        let kind = if observer_master { LinkKind::ObserverMaster } else { LinkKind::Learner };
        self.peer_input(to, ZabInput::LinkUp { link: there, kind })?;
        self.peer_input(id, ZabInput::LinkUp { link: here, kind: LinkKind::Leader(to) })
    }

    fn peer_input(&mut self, id: ServerId, input: ZabInput) -> Check {
        self.turn(id, vec![Input::Peer(input)])
    }

    pub(super) fn arrival(&mut self, link: LinkId) -> Check {
        let Some((id, message)) = self.network.receive(link, self.now_us) else { return Ok(()) };
        if self.machine(id).host.is_none() {
            return Ok(());
        }
        match message {
            Message::Notification(body) => self.peer_input(id, ZabInput::Notification { link, body }),
            Message::Packet(packet) => {
                if self.bug == Some(Bug::Zk4394) && self.trips_over(id, &packet) {
                    return crate::invariants::needless_stop::check(
                        id,
                        false,
                        "a COMMIT came before UPTODATE",
                    );
                }
                self.recorder.received(id, link, &packet);
                self.peer_input(id, ZabInput::Packet { link, packet })
            }
            Message::Tree(body) => {
                if let Some(host) = &mut self.machine(id).host {
                    host.store.installs.insert(link, body);
                }
                self.wake_log(id);
                Ok(())
            }
            Message::Closed => {
                self.link_ended(id, link);
                self.recorder.disconnected(id, link);
                self.peer_input(id, ZabInput::LinkDown { link })
            }
        }
    }

    /// A commit of a txn that came behind NEWLEADER, before UPTODATE.
    fn trips_over(&mut self, id: ServerId, packet: &QuorumPacket) -> bool {
        let current = self.judge.of(id).current;
        let catching_up = self.machine(id).host.as_ref().is_some_and(|host| host.store.is_catching_up);
        catching_up
            && packet.kind == PacketType::Commit
            && packet.zxid.epoch() == current
            && packet.zxid.counter() > 0
    }

    /// Nothing comes over this link any more: no tree either.
    fn link_ended(&mut self, id: ServerId, link: LinkId) {
        if let Some(host) = &mut self.machine(id).host {
            host.store.installs.entry(link).or_insert(None);
        }
        self.wake_log(id);
    }

    /// A process is gone: the others see the ends of their links, after what had been sent.
    pub(super) fn part_from_all(&mut self, id: ServerId) {
        for (pipe, lens) in self.network.pipes_of(id) {
            let kept = lens.map(|len| usize::try_from(self.dice.below(len as u64 + 1)).unwrap_or(0));
            let at_us = self.latency_us();
            for (link, at_us) in self.network.break_link(pipe, kept, at_us) {
                self.at(at_us, Event::Arrival(link));
            }
        }
    }

    /// A notification that was sent earlier is sent again.
    pub(super) fn repeat_notification(&mut self) {
        let notes: Vec<(ServerId, ServerId)> = self.last_notes.keys().copied().collect();
        let Some((from, to)) = self.dice.pick(&notes) else { return };
        let (Some(link), Some(body)) =
            (self.network.election_link(from, to), self.last_notes.get(&(from, to)).cloned())
        else {
            return;
        };
        self.transmit(link, Message::Notification(body));
    }
}
