//! Without a leader: reads for clients that are content with them, and nothing else.
//!
//! Nothing is made or applied here, so nothing can be left behind in log or memory when a leader is found.
// Java: ReadOnlyZooKeeperServer, ReadOnlyRequestProcessor

use oxherd_proto::SessionId;

use super::Replica;
use crate::clock::Now;
use crate::input::{ClientCommand, Connect, Output};
use crate::password;

impl Replica {
    /// A handshake that concerns no local session. New sessions and those that this server knows need a
    /// leader, so the client is sent on; one that it never heard of may read here.
    // Java: ReadOnlyZooKeeperServer.validateSession, LearnerSessionTracker.touchSession
    pub(super) fn read_only_connect(&mut self, now: Now, connect: &Connect) {
        let session = connect.session;
        let stays = connect.read_only && session != SessionId(0) && !self.sessions.is_committed(session);
        if !stays {
            return self.close_client(connect.client);
        }
        if self.local.is_some() || !password::admits(session, &connect.password) {
            return self.outputs.push_back(Output::Client(connect.client, ClientCommand::Expired));
        }
        if let Some(former) = self.sessions.client(session) {
            self.close_client(former);
        }
        self.sessions.adopt(now.instant, session, connect.timeout_ms, connect.client);
        let Some(pulse) = self.sessions.pulse(session) else { return };
        let password = password::of_session(session);
        let command = ClientCommand::Ready { session, password, pulse, read_only: true };
        self.outputs.push_back(Output::Client(connect.client, command));
    }
}
