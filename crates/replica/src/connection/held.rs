//! Requests of a link that the throttle holds back, in the link's order.
// Java: RequestThrottler.run, Request.isStale

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use oxherd_metrics::Statistics;
use oxherd_proto::{ErrorCode, OpCode, OpKind, begin_frame, end_frame, reply_header};
use tracing::warn;

use super::{Close, Connection, Request, Side, Waiting};
use crate::input::{Connect, Input};
use crate::limits::{Outstanding, RequestThrottleOptions, Ticket};
use crate::options::ClientOptions;
use crate::prepare::{Origin, WriteRequest};

/// What is held back, and how much of it may go on by now. Never longer than what a link may have unanswered.
#[derive(Debug, Default)]
pub(super) struct Held {
    items: VecDeque<(Item, Instant)>,
    granted: usize,
    /// One was given up, and so must be all that follow.
    dropped: bool,
}

#[derive(Debug)]
enum Item {
    Connect(Connect),
    Request(Request),
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}

impl Connection {
    fn must_wait(&self, side: &Side<'_>) -> bool {
        !self.held.items.is_empty() || !side.outstanding.admits(&side.options.limits.requests)
    }

    /// A request has come: it goes on, or waits for its turn among those of all links.
    pub(super) fn enter(&mut self, request: Request, side: &Side<'_>, inputs: &mut Vec<Input>) {
        if self.must_wait(side) {
            return self.hold(Item::Request(request), side);
        }
        self.handle_operation(request, side, inputs);
    }

    /// As [`Self::enter`], for a handshake that asks for a new session.
    pub(super) fn enter_connect(&mut self, connect: Connect, side: &Side<'_>, inputs: &mut Vec<Input>) {
        if self.must_wait(side) {
            return self.hold(Item::Connect(connect), side);
        }
        self.create_session(connect, side, inputs);
    }

    fn create_session(&mut self, connect: Connect, side: &Side<'_>, inputs: &mut Vec<Input>) {
        side.outstanding.begin();
        self.creating = true;
        inputs.push(Input::Connect(connect));
    }

    fn hold(&mut self, item: Item, side: &Side<'_>) {
        let by_age = side.options.limits.requests.stale_latency && item.can_be_stale();
        let timeout_ms = u64::try_from(self.timeout_ms).unwrap_or(0);
        let stale_ms = by_age.then(|| side.clock.ms(side.now.instant) + timeout_ms);
        self.held.items.push_back((item, side.now.instant));
        side.outstanding.enqueue(Ticket { client: self.client, stale_ms });
    }

    /// The oldest held request may go on; false when the link has ended. To be followed by
    /// [`Self::handle_frames`].
    pub fn grant(&mut self) -> bool {
        if !self.ended {
            self.held.granted += 1;
        }
        !self.ended
    }

    /// The oldest held request is given up. The link ends with it, for what follows would be out of order.
    // Java: RequestThrottler.dropRequest
    pub fn drop_held(&mut self, statistics: &Statistics) {
        if self.ended || self.held.items.is_empty() {
            return;
        }
        warn!(address = %self.address, session = %self.session, "closing: a request waited longer than its session lives");
        statistics.metrics.stale_requests_dropped.add(1);
        self.held.dropped = true;
        self.close(Close::AfterFlush);
    }

    pub(super) fn handle_granted(&mut self, side: &Side<'_>, inputs: &mut Vec<Input>) {
        while self.close.is_none() && self.held.granted > 0 {
            self.held.granted -= 1;
            if let Some((item, since)) = self.held.items.pop_front() {
                match item {
                    Item::Connect(connect) => self.create_session(connect, side, inputs),
                    Item::Request(request) => self.handle_held(request, since, side, inputs),
                }
            }
            // Counted until here, so that nobody else takes its place.
            side.outstanding.end();
        }
    }

    fn handle_held(&mut self, request: Request, since: Instant, side: &Side<'_>, inputs: &mut Vec<Input>) {
        let options = &side.options.limits.requests;
        let metrics = &side.statistics.metrics;
        let waited_ms = side.clock.ms(side.now.instant).saturating_sub(side.clock.ms(since));
        metrics.request_throttle_queue_time_ms.add(waited_ms.cast_signed());
        let timeout_ms = u64::try_from(self.timeout_ms).unwrap_or(0);
        if options.stale_latency && request.op != OpCode::CloseSession && waited_ms > timeout_ms {
            metrics.stale_requests.add(1);
        }
        if !is_too_late(request.op, waited_ms, options) {
            return self.handle_operation(request, side, inputs);
        }
        metrics.throttled_ops.add(1);
        if self.waiting.is_empty() {
            self.refuse_throttled(&request, side);
        } else {
            self.wait(Waiting::Throttled(request), side);
        }
    }

    /// Answers a request that is not carried out because it waited too long.
    // Java: FinalRequestProcessor.processRequest
    pub(super) fn refuse_throttled(&mut self, request: &Request, side: &Side<'_>) {
        let zxid = side.tree.last_zxid();
        let at = begin_frame(&mut self.outbox);
        reply_header(request.xid, zxid, ErrorCode::ThrottledOp, &mut self.outbox);
        end_frame(&mut self.outbox, at);
        side.outstanding.end_large(request.large);
        self.answered(request.op, request.xid, zxid, request.received, side);
    }

    /// The link has ended. What is stale by that is given up, with all that follows; the rest is carried out
    /// though nobody hears of it.
    pub(super) fn release_held(
        &mut self,
        options: &ClientOptions,
        statistics: &Statistics,
        outstanding: &Outstanding,
        inputs: &mut Vec<Input>,
    ) {
        if self.held.items.is_empty() && self.held.granted == 0 {
            return;
        }
        outstanding.forget(self.client);
        let granted = std::mem::take(&mut self.held.granted);
        outstanding.abandon(granted);
        let requests = &options.limits.requests;
        for (place, (item, _)) in std::mem::take(&mut self.held.items).into_iter().enumerate() {
            outstanding.end_large(item.large());
            if place < granted {
                inputs.extend(self.input_of(item));
                continue;
            }
            if self.held.dropped {
                continue;
            }
            let is_stale = requests.stale_connection && item.can_be_stale();
            if is_stale && requests.drop_stale {
                statistics.metrics.stale_requests_dropped.add(1);
                self.held.dropped = true;
            } else {
                statistics.metrics.stale_requests.add(i64::from(is_stale));
                inputs.extend(self.input_of(item));
            }
        }
    }

    /// A write whose link has ended; there is no use in anything else.
    fn input_of(&self, item: Item) -> Option<Input> {
        let Item::Request(Request { xid, op, body, .. }) = item else { return None };
        let (session, ids, origin) = (self.session, Arc::clone(&self.ids), Origin::Client);
        let request = WriteRequest { session, xid, op, body, ids, origin };
        (op.kind() == OpKind::Write).then_some(Input::Write { client: self.client, request })
    }
}

impl Item {
    // Java: Request.isStale
    fn can_be_stale(&self) -> bool {
        !matches!(self, Self::Request(request) if request.op == OpCode::CloseSession)
    }

    fn large(&self) -> usize {
        match self {
            Self::Connect(_) => 0,
            Self::Request(request) => request.large,
        }
    }
}

// Java: RequestThrottler.shouldThrottleOp, Request.isThrottlable
fn is_too_late(op: OpCode, waited_ms: u64, options: &RequestThrottleOptions) -> bool {
    options.throttled_op_ms > 0
        && waited_ms > options.throttled_op_ms
        && !matches!(op, OpCode::Ping | OpCode::CloseSession)
}
