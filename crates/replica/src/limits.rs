//! Limits that clients of all links share: new sessions, requests in progress, bytes of large requests.
//!
//! Nothing here waits or tells the time: a link asks before it goes on, and whoever ended a request asks which
//! link may go on.

mod connects;
mod requests;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use connects::ConnectThrottle;
pub use connects::ConnectThrottleOptions;
use requests::RequestQueue;
pub(crate) use requests::Ticket;
pub use requests::{Grant, RequestThrottleOptions};

/// What the operator set about limits; by default there are none.
#[derive(Clone, Debug, Default)]
pub struct LimitOptions {
    /// Of handshakes.
    pub connects: ConnectThrottleOptions,
    /// Of requests in progress.
    pub requests: RequestThrottleOptions,
    /// Of bytes in progress; `None` for no limit.
    pub large: Option<LargeRequestOptions>,
}

impl LimitOptions {
    /// How often the requests that are held back are looked at; `None` when none ever is.
    pub fn stall(&self) -> Option<Duration> {
        let requests = &self.requests;
        (requests.in_process_max > 0).then(|| Duration::from_millis(requests.stall_ms.max(1)))
    }
}

/// When a request is large, and how much of them there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeRequestOptions {
    /// Longer requests are large, in bytes (`largeRequestThreshold`).
    pub threshold: usize,
    /// Bytes of all large requests in progress at most (`largeRequestMaxBytes`).
    pub bytes_max: i64,
}

/// Requests taken and not answered yet, over all links, and what is held back of them.
#[derive(Debug, Default)]
pub struct Outstanding {
    in_process: AtomicI64,
    large_bytes: AtomicI64,
    connects: Mutex<ConnectThrottle>,
    /// Taken behind the link's lock, and nothing is taken behind it.
    queue: Mutex<RequestQueue>,
    queued: AtomicI64,
}

impl Outstanding {
    /// Nothing under way; `seed` is for the handshakes that are refused at random.
    pub fn new(options: &LimitOptions, seed: u64) -> Self {
        Self { connects: Mutex::new(ConnectThrottle::new(&options.connects, seed)), ..Self::default() }
    }

    pub(crate) fn begin(&self) {
        self.in_process.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_process.fetch_sub(1, Ordering::Relaxed);
    }

    /// A link ended with this many requests unanswered.
    pub(crate) fn abandon(&self, count: usize) {
        self.in_process.fetch_sub(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// How many are being processed.
    pub fn count(&self) -> i64 {
        self.in_process.load(Ordering::Relaxed)
    }

    /// How many are held back by the throttle.
    pub fn queued(&self) -> i64 {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether links stop reading that have something unanswered.
    // Java: ZooKeeperServer.shouldThrottle
    pub(crate) fn exceeds(&self, limit: i64) -> bool {
        self.count() > limit || self.queued() > limit
    }

    // ---- handshakes

    /// Whether a handshake that costs `need` tokens may go on, and how many tokens are missing then.
    pub(crate) fn take_tokens(
        &self,
        need: i64,
        now_ms: u64,
        options: &ConnectThrottleOptions,
    ) -> Option<i64> {
        if options.tokens == 0 {
            return Some(0);
        }
        let mut connects = self.connects.lock();
        connects.take(need, now_ms, options).then(|| connects.deficit(options))
    }

    /// The share of handshakes that is refused at random.
    pub fn drop_chance(&self) -> f64 {
        self.connects.lock().drop_chance()
    }

    // ---- large requests

    /// Whether a frame whose length was just read would be too much.
    // Java: ZooKeeperServer.checkRequestSizeWhenReceivingMessage
    pub(crate) fn refuses_large(&self, len: usize, options: Option<LargeRequestOptions>) -> bool {
        let Some(options) = options.filter(|options| len > options.threshold) else { return false };
        self.large_bytes.load(Ordering::Relaxed) + bytes(len) > options.bytes_max
    }

    /// Counts a request in; the bytes to be counted out, or `None` when it is too much.
    // Java: ZooKeeperServer.checkRequestSizeWhenMessageReceived
    pub(crate) fn begin_large(&self, len: usize, options: Option<LargeRequestOptions>) -> Option<usize> {
        let Some(options) = options.filter(|options| len > options.threshold) else { return Some(0) };
        let after = self.large_bytes.fetch_add(bytes(len), Ordering::Relaxed) + bytes(len);
        if after > options.bytes_max {
            self.end_large(len);
            return None;
        }
        Some(len)
    }

    pub(crate) fn end_large(&self, len: usize) {
        if len > 0 {
            self.large_bytes.fetch_sub(bytes(len), Ordering::Relaxed);
        }
    }

    // ---- requests

    /// Whether a request need not wait. So many threads as ask at one time may exceed the limit together.
    pub(crate) fn admits(&self, options: &RequestThrottleOptions) -> bool {
        options.in_process_max == 0 || (self.count() < options.in_process_max && self.queue.lock().is_empty())
    }

    /// Puts a request of a link behind all that wait.
    pub(crate) fn enqueue(&self, ticket: Ticket) {
        self.queue.lock().push(ticket);
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// The link has ended: nothing of it waits any longer.
    pub(crate) fn forget(&self, client: oxherd_tree::ClientId) {
        let forgotten = self.queue.lock().forget(client);
        self.queued.fetch_sub(bytes(forgotten), Ordering::Relaxed);
    }

    /// The links whose oldest held request may go on now, or is given up. To be called when a request has ended,
    /// when one was held, and every stall time.
    // Java: RequestThrottler.run
    pub fn poll_grants(
        &self,
        now_ms: u64,
        options: &RequestThrottleOptions,
        waited: &oxherd_metrics::Counter,
    ) -> Vec<Grant> {
        if self.queued() == 0 {
            return Vec::new();
        }
        let mut queue = self.queue.lock();
        let mut grants = Vec::new();
        while let Some(grant) = queue.poll(now_ms, self.count() < options.in_process_max, options) {
            if let Grant::Go(_) = grant {
                self.begin();
            }
            self.queued.fetch_sub(1, Ordering::Relaxed);
            grants.push(grant);
        }
        if queue.begins_stall(now_ms, options.stall_ms) {
            waited.add(1);
        }
        grants
    }

    /// Nobody was there to take a grant.
    pub fn return_grant(&self) {
        self.end();
    }
}

fn bytes(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_share_their_bytes_and_give_them_back() {
        let outstanding = Outstanding::default();
        let options = Some(LargeRequestOptions { threshold: 10, bytes_max: 50 });
        assert_eq!(outstanding.begin_large(10, options), Some(0), "not longer than the threshold");
        assert_eq!(outstanding.begin_large(30, options), Some(30));
        assert!(!outstanding.refuses_large(20, options));
        assert!(outstanding.refuses_large(21, options));
        assert!(!outstanding.refuses_large(10, options), "small ones pass always");
        assert_eq!(outstanding.begin_large(21, options), None);
        outstanding.end_large(30);
        assert_eq!(outstanding.begin_large(50, options), Some(50), "what was refused is not counted");
    }

    #[test]
    fn without_options_nothing_is_limited() {
        let outstanding = Outstanding::default();
        let options = LimitOptions::default();
        assert_eq!(outstanding.take_tokens(100, 0, &options.connects), Some(0));
        assert_eq!(outstanding.begin_large(1 << 30, options.large), Some(0));
        outstanding.begin();
        assert!(outstanding.admits(&options.requests));
    }
}
