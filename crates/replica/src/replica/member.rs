//! A member of an ensemble: what it does depends on its role, which changes.
//!
//! A role begins in the exclusive step, once every txn delivered before it is applied: only then may a
//! leader prepare against the tree. It ends at once: links are closed, and what was on its way is
//! forgotten, for another leader decides what becomes of it.

use std::time::Instant;

use oxherd_proto::{ErrorCode, OpCode, SessionId, TxnHeader, Xid};
use oxherd_tree::{ClientId, Tree};
use oxherd_zab::{
    DurableState, EnsembleConfig, Input as ZabInput, LearnerCounts, Output as ZabOutput, Peer, PeerConfig,
    Role,
};

use super::leading::Leading;
use super::learning::Learning;
use super::{PendingSync, Recovered, Replica, ReplicaOptions};
use crate::clock::Now;
use crate::commit::{Exclusive, Ready, Waiter};
use crate::connection::Close;
use crate::input::{ClientCommand, Connect, Output};
use crate::prepare::{WriteRequest, eager};

/// What a replica does with requests.
#[derive(Debug)]
pub(super) enum Duty {
    /// Everything; there is no ensemble.
    Alone,
    /// Nothing yet, or no longer. Requests of learners that came before the role began wait here.
    Idle(Vec<ZabOutput>),
    /// Prepares and proposes.
    Leading(Leading),
    /// Passes on to the leader.
    Learning(Learning),
    /// Answers reads, for there is no leader.
    ReadOnly,
}

impl Duty {
    /// Whether this server makes txns by itself.
    pub(super) fn proposes(&self) -> bool {
        matches!(self, Self::Alone | Self::Leading(_))
    }

    pub(super) fn learns(&self) -> bool {
        matches!(self, Self::Learning(_))
    }

    /// A session has ended.
    pub(super) fn forget(&mut self, session: SessionId) {
        match self {
            Self::Leading(leading) => leading.forget(session),
            Self::Learning(learning) => learning.forget(session),
            Self::Alone | Self::Idle(_) | Self::ReadOnly => {}
        }
    }
}

impl Replica {
    /// A member of an ensemble, which serves nobody until it leads or has learned.
    pub fn member(
        options: ReplicaOptions,
        config: PeerConfig,
        durable: DurableState,
        recovered: &Recovered,
        now: Now,
    ) -> Self {
        Self::new(options, Peer::new(config, durable), Duty::Idle(Vec::new()), recovered, now)
    }

    /// What the server is.
    pub fn role(&self) -> Role {
        self.zab.role()
    }

    /// The ensemble's configuration in force.
    pub fn ensemble(&self) -> &EnsembleConfig {
        self.zab.ensemble()
    }

    /// The newest configuration seen; the one in force when no change is under way.
    pub fn ensemble_seen(&self) -> &EnsembleConfig {
        self.zab.ensemble_seen()
    }

    /// Whether what its disk holds is a whole history: without one it has no vote.
    pub fn knows_history(&self) -> bool {
        self.zab.knows_history()
    }

    /// Whom it leads.
    pub fn learners(&self) -> LearnerCounts {
        self.zab.learners()
    }

    /// How long it has led, in ms; 0 unless it leads.
    pub fn reign_ms(&self, now: Now) -> i64 {
        let Duty::Leading(leading) = &self.duty else { return 0 };
        let time = now.instant.saturating_duration_since(leading.since);
        i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
    }

    /// The tree is another one: a snapshot of the leader, or what the log holds after it was cut.
    pub fn tree_replaced(&mut self, now: Instant, sessions: &[(SessionId, i32)]) {
        self.overlay.clear();
        self.digests.clear();
        self.noted_digests.restart();
        self.sessions.replace(now, sessions);
    }

    pub(super) fn peer_input(&mut self, now: Now, input: ZabInput) {
        if let ZabInput::Packet { packet, .. } = &input {
            self.before_packet(now, packet);
        }
        self.zab.handle(now.instant, input);
    }

    pub(super) fn member_output(&mut self, now: Now, output: ZabOutput, tree: &Tree) {
        match output {
            ZabOutput::Role(role) => self.role_changed(now, role),
            ZabOutput::SendSnapshot { link, .. } => {
                self.outputs.push_back(Output::Peer(output));
                self.ready.push_back(Ready::Walk(link));
            }
            ZabOutput::Request { .. } | ZabOutput::Touched { .. } | ZabOutput::Revalidate { .. } => {
                if let Duty::Idle(held) = &mut self.duty {
                    held.push(output);
                } else {
                    self.learner_output(now, output, tree);
                }
            }
            ZabOutput::Revalidated { session, valid } => self.revalidated(now, session, valid),
            ZabOutput::SyncReached { token } => self.sync_reached(token),
            other => self.outputs.push_back(Output::Peer(other)),
        }
    }

    fn role_changed(&mut self, now: Now, role: Role) {
        if let Duty::Alone = self.duty {
            // It serves from the start: no session moves, and no membership is shown.
            return self.outputs.push_back(Output::Role(role));
        }
        match role {
            Role::Leading { .. } | Role::Following { .. } | Role::Observing { .. } | Role::ReadOnly => {
                self.ready.push_back(Ready::Serve(role));
            }
            Role::Looking | Role::Synchronizing { .. } | Role::Stopped { .. } => {
                self.idle(now);
                self.outputs.push_back(Output::Role(role));
            }
        }
    }

    /// What counts is what is committed; sessions that only this server knew end with the role.
    fn restart_sessions(&mut self, now: Instant) {
        self.sessions.restart(now);
        if let Some(local) = &mut self.local {
            local.replace(now, &[]);
        }
    }

    /// Forgets what was on its way. What is committed stays, applied or about to be.
    fn idle(&mut self, now: Now) {
        if let (Duty::Idle(held), false) = (&self.duty, self.ready.iter().any(is_role))
            && held.is_empty()
        {
            return;
        }
        self.duty = Duty::Idle(Vec::new());
        self.ready.retain(|ready| !is_role(ready));
        self.overlay.clear();
        self.proposed.clear();
        self.syncs.clear();
        self.restart_sessions(now.instant);
    }

    /// The role begins.
    pub(super) fn serve(&mut self, exclusive: &mut Exclusive<'_>, role: Role) {
        let former = std::mem::replace(&mut self.duty, Duty::Idle(Vec::new()));
        let now = exclusive.now;
        self.restart_sessions(now.instant);
        let config = self.zab.ensemble();
        let (text, version) = (config.to_string(), config.version);
        exclusive.show_config(&text, version);
        self.outputs.push_back(Output::Role(role));
        match role {
            Role::Leading { .. } => {
                self.last_proposed = self.zab.delivered();
                self.duty = Duty::Leading(Leading::new(now.instant));
                self.end_orphans(now, exclusive.tree);
                if let Duty::Idle(held) = former {
                    held.into_iter().for_each(|output| self.learner_output(now, output, exclusive.tree));
                }
                self.route_zab(now, exclusive.tree);
            }
            Role::ReadOnly => self.duty = Duty::ReadOnly,
            _ => self.duty = Duty::Learning(Learning::new(now.instant)),
        }
    }

    // ---- clients

    /// Writes of links that a change of role has closed are not taken any more.
    pub(super) fn member_write(&mut self, now: Now, request: &WriteRequest, waiter: Waiter, tree: &Tree) {
        let Waiter::Write { client, xid, .. } = waiter else { return };
        if self.carrier(request.session) != Some(client) {
            return;
        }
        let waiter = match self.duty {
            Duty::Alone | Duty::Idle(_) => return,
            Duty::ReadOnly if request.op != OpCode::CloseSession || !self.is_local(request.session) => {
                return self.refuse(client, xid, ErrorCode::NotReadOnly);
            }
            _ => match self
                .options
                .prepare
                .eager_acl
                .then(|| eager::refusal(tree, request, &self.options.prepare))
            {
                Some(Some(code)) => return self.refuse(client, xid, code),
                _ => self.local_write(now, request, waiter, tree),
            },
        };
        match (waiter, &self.duty) {
            (Some(waiter), Duty::Leading(_)) => self.lead_write(now, request, waiter, tree),
            (Some(waiter), Duty::Learning(_)) => self.forward_write(request, waiter),
            _ => {}
        }
    }

    fn refuse(&mut self, client: ClientId, xid: Xid, code: ErrorCode) {
        self.ready.push_back(Ready::Refuse { client, xid, code });
    }

    pub(super) fn member_connect(&mut self, now: Now, connect: &Connect, tree: &Tree) {
        if self.local_connect(now, connect) {
            return;
        }
        match self.duty {
            Duty::Leading(_) => self.lead_connect(now, connect, tree),
            Duty::Learning(_) => self.forward_connect(connect),
            Duty::ReadOnly => self.read_only_connect(now, connect),
            Duty::Alone | Duty::Idle(_) => self.close_client(connect.client),
        }
    }

    pub(super) fn member_sync(&mut self, sync: PendingSync, session: SessionId) {
        if self.carrier(session) != Some(sync.client) {
            return;
        }
        match self.duty {
            // A leader that is about to leave takes no more writes, and no sync may overtake one.
            Duty::Leading(_) if self.zab.next_zxid().is_some() => self.sync(sync.client, sync.xid, sync.body),
            Duty::Learning(_) => self.forward_sync(sync, session),
            Duty::ReadOnly => self.refuse(sync.client, sync.xid, ErrorCode::NotReadOnly),
            Duty::Leading(_) | Duty::Alone | Duty::Idle(_) => {}
        }
    }

    pub(super) fn gone(&mut self, client: ClientId, session: SessionId) {
        self.before_detach(session, client);
        self.sessions.detach(session, client);
        if let Some(local) = &mut self.local {
            local.detach(session, client);
        }
    }

    pub(super) fn close_client(&mut self, client: ClientId) {
        self.outputs.push_back(Output::Client(client, ClientCommand::Close(Close::Now)));
    }

    /// Who waits here for a txn that another server proposed.
    pub(super) fn claim(&mut self, header: &TxnHeader) -> Waiter {
        match &mut self.duty {
            Duty::Learning(learning) => learning.claim(header),
            _ => Waiter::Nobody,
        }
    }
}

fn is_role(ready: &Ready) -> bool {
    matches!(ready, Ready::Serve(_))
}
