//! Requests that wait because too many are being processed: one row for all links, first come, first served.
//!
//! The row holds tickets; the requests themselves stay with their links, which keep their order.
// Java: RequestThrottler

use std::collections::VecDeque;

use oxherd_tree::ClientId;

/// What the operator set about requests in progress; by default there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestThrottleOptions {
    /// Requests being processed at which further ones wait; 0 turns the throttle off.
    pub in_process_max: i64,
    /// Time between two looks at the oldest that waits, in ms.
    pub stall_ms: u64,
    /// Whether stale requests are given up while they wait.
    pub drop_stale: bool,
    /// Whether requests of a link that has ended are stale.
    pub stale_connection: bool,
    /// Whether requests older than their session's timeout are stale.
    pub stale_latency: bool,
    /// Requests that waited longer are answered as throttled, in ms; 0 for never.
    pub throttled_op_ms: u64,
}

/// What becomes of a link's oldest held request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// It goes on, and counts as being processed.
    Go(ClientId),
    /// It is given up, and its link with it.
    Drop(ClientId),
}

/// A held request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) client: ClientId,
    /// When it may be stale by its age, in ms.
    pub(crate) stale_ms: Option<u64>,
}

/// The row.
#[derive(Debug, Default)]
pub(crate) struct RequestQueue {
    tickets: VecDeque<Ticket>,
    /// Tickets that have left, so that the first is known again.
    left: u64,
    /// The stall that was counted last: of which ticket, and when the next one begins.
    stall: Option<(u64, u64)>,
}

impl RequestQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    pub(crate) fn push(&mut self, ticket: Ticket) {
        self.tickets.push_back(ticket);
    }

    /// How many tickets the client had.
    pub(crate) fn forget(&mut self, client: ClientId) -> usize {
        let before = self.tickets.len();
        self.tickets.retain(|ticket| ticket.client != client);
        before - self.tickets.len()
    }

    /// What becomes of the first, if something does.
    pub(crate) fn poll(
        &mut self,
        now_ms: u64,
        has_room: bool,
        options: &RequestThrottleOptions,
    ) -> Option<Grant> {
        let first = *self.tickets.front()?;
        let is_stale = first.stale_ms.is_some_and(|stale_ms| now_ms > stale_ms);
        let grant = if options.drop_stale && is_stale {
            Grant::Drop(first.client)
        } else if has_room {
            Grant::Go(first.client)
        } else {
            return None;
        };
        self.tickets.pop_front();
        self.left += 1;
        Some(grant)
    }

    /// Whether the first begins to wait, or has waited for another stall time.
    pub(crate) fn begins_stall(&mut self, now_ms: u64, stall_ms: u64) -> bool {
        let is_counted = self.stall.is_some_and(|(left, until_ms)| left == self.left && now_ms < until_ms);
        if self.is_empty() || is_counted {
            return false;
        }
        self.stall = Some((self.left, now_ms.saturating_add(stall_ms)));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: RequestThrottleOptions = RequestThrottleOptions {
        in_process_max: 1,
        stall_ms: 100,
        drop_stale: true,
        stale_connection: true,
        stale_latency: true,
        throttled_op_ms: 0,
    };

    fn ticket(client: u32, stale_ms: Option<u64>) -> Ticket {
        Ticket { client: ClientId(client), stale_ms }
    }

    #[test]
    fn requests_go_on_in_the_order_they_came_when_there_is_room() {
        let mut queue = RequestQueue::default();
        for client in [1, 2, 1] {
            queue.push(ticket(client, None));
        }
        assert_eq!(queue.poll(0, false, &OPTIONS), None);
        let order: Vec<_> = std::iter::from_fn(|| queue.poll(0, true, &OPTIONS)).collect();
        assert_eq!(order, [1, 2, 1].map(|client| Grant::Go(ClientId(client))));
    }

    #[test]
    fn a_request_older_than_its_session_is_given_up_without_room() {
        let mut queue = RequestQueue::default();
        queue.push(ticket(1, Some(40)));
        assert_eq!(queue.poll(40, false, &OPTIONS), None);
        let keep = RequestThrottleOptions { drop_stale: false, ..OPTIONS };
        assert_eq!(queue.poll(41, false, &keep), None);
        assert_eq!(queue.poll(41, false, &OPTIONS), Some(Grant::Drop(ClientId(1))));
    }

    #[test]
    fn every_stall_of_the_first_is_counted_once() {
        let mut queue = RequestQueue::default();
        assert!(!queue.begins_stall(0, 100), "nobody waits");
        queue.push(ticket(1, None));
        queue.push(ticket(2, None));
        let counted: Vec<bool> = [0, 50, 100, 150].iter().map(|now| queue.begins_stall(*now, 100)).collect();
        assert_eq!(counted, [true, false, true, false]);
        queue.poll(160, true, &OPTIONS);
        assert!(queue.begins_stall(160, 100), "another is the first now");
    }

    #[test]
    fn a_link_that_ends_leaves_nothing_in_the_row() {
        let mut queue = RequestQueue::default();
        for client in [1, 2, 1] {
            queue.push(ticket(client, None));
        }
        assert_eq!(queue.forget(ClientId(1)), 2);
        assert_eq!(queue.poll(0, true, &OPTIONS), Some(Grant::Go(ClientId(2))));
        assert!(queue.is_empty());
    }
}
