//! Removal of empty containers and of nodes whose time to live is over.
// Java: ContainerManager

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use oxherd_proto::Str;
use oxherd_tree::Tree;

use crate::clock::Now;

/// How containers and nodes with a time to live are removed.
#[derive(Clone, Debug)]
pub struct ContainerOptions {
    /// Time between two looks, in ms (`znode.container.checkIntervalMs`).
    pub check_interval_ms: u64,
    /// Most removals a minute (`znode.container.maxPerMinute`).
    pub per_minute_max: u64,
    /// Age at which a container that never had a child goes, in ms; 0 for never
    /// (`znode.container.maxNeverUsedIntervalMs`).
    pub never_used_ms_max: i64,
}

/// Finds candidates now and then and hands them out at the pace allowed.
#[derive(Debug)]
pub(crate) struct Containers {
    options: ContainerOptions,
    check_at: Instant,
    queue: VecDeque<Str>,
    next_at: Instant,
}

impl Containers {
    pub(crate) fn new(options: ContainerOptions, now: Instant) -> Self {
        let check_at = now + Duration::from_millis(options.check_interval_ms);
        Self { options, check_at, queue: VecDeque::new(), next_at: now }
    }

    pub(crate) fn next_check(&self) -> Option<Instant> {
        Some(if self.queue.is_empty() { self.check_at } else { self.next_at })
    }

    /// The removals due now.
    pub(crate) fn due(&mut self, now: Now, tree: &Tree) -> Vec<Str> {
        if self.queue.is_empty() && now.instant >= self.check_at {
            self.queue.extend(tree.removable_containers(now.unix_ms, self.options.never_used_ms_max));
            self.queue.extend(tree.expired_ttl(now.unix_ms));
            self.check_at = now.instant + Duration::from_millis(self.options.check_interval_ms);
            self.next_at = now.instant;
        }
        let pause = Duration::from_micros(60_000_000 / self.options.per_minute_max.max(1));
        let mut due = Vec::new();
        while self.next_at <= now.instant {
            let Some(path) = self.queue.pop_front() else { break };
            due.push(path);
            self.next_at += pause;
        }
        due
    }
}
