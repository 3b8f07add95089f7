//! Learners that come before this server knows that it leads.
//!
//! Votes travel at different speeds: a follower may dial while its leader still waits for a better vote.
//! Such links are held for a moment instead of being refused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use oxherd_proto::QuorumPacket;

use crate::io::{CloseReason, LinkId};
use crate::local::Local;

/// Links held; more are refused.
const LINKS_MAX: usize = 256;
/// How long a link is held.
const HOLD: Duration = Duration::from_millis(1000);

#[derive(Debug, Default)]
pub(crate) struct Early {
    links: BTreeMap<LinkId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    until: Instant,
    /// The greeting; a learner says no more before it is answered.
    hello: Option<QuorumPacket>,
}

impl Early {
    pub(crate) fn up(&mut self, link: LinkId, local: &mut Local) {
        if self.links.len() >= LINKS_MAX {
            return local.close(link, CloseReason::TimedOut("too many learners wait".to_owned()));
        }
        self.links.insert(link, Waiting { until: local.now() + HOLD, hello: None });
    }

    pub(crate) fn down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    pub(crate) fn packet(&mut self, link: LinkId, packet: QuorumPacket) {
        if let Some(waiting) = self.links.get_mut(&link) {
            waiting.hello.get_or_insert(packet);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.links.values().map(|waiting| waiting.until).min()
    }

    /// Refuses those that waited too long.
    pub(crate) fn tick(&mut self, local: &mut Local) {
        let now = local.now();
        let late = |(link, waiting): (&LinkId, &Waiting)| (now >= waiting.until).then_some(*link);
        for link in self.links.iter().filter_map(late).collect::<Vec<_>>() {
            self.links.remove(&link);
            local.close(link, CloseReason::RoleChanged);
        }
    }

    /// This server follows somebody else.
    pub(crate) fn refuse(&mut self, local: &mut Local) {
        for (link, _) in std::mem::take(&mut self.links) {
            local.close(link, CloseReason::RoleChanged);
        }
    }

    /// This server leads.
    pub(crate) fn take(&mut self) -> Vec<(LinkId, Option<QuorumPacket>)> {
        std::mem::take(&mut self.links).into_iter().map(|(link, waiting)| (link, waiting.hello)).collect()
    }
}
