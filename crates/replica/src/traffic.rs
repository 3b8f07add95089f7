//! Counters of requests and replies, per link and for the whole server.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use oxherd_proto::{OpCode, Xid, Zxid};

/// Counters of the whole server; updated without a lock.
// Java: ServerStats
#[derive(Debug)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
    outstanding: AtomicI64,
    auth_failed: AtomicU64,
    latency_count: AtomicU64,
    latency_total_ms: AtomicU64,
    latency_min_ms: AtomicU64,
    latency_max_ms: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            outstanding: AtomicI64::new(0),
            auth_failed: AtomicU64::new(0),
            latency_count: AtomicU64::new(0),
            latency_total_ms: AtomicU64::new(0),
            latency_min_ms: AtomicU64::new(u64::MAX),
            latency_max_ms: AtomicU64::new(0),
        }
    }
}

/// Latencies in ms: least, mean, most, and of how many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// Least, in ms.
    pub min_ms: u64,
    /// Mean, in ms.
    pub avg_ms: f64,
    /// Most, in ms.
    pub max_ms: u64,
    /// Requests measured.
    pub count: u64,
}

impl Traffic {
    pub(crate) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn begin(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, count: i64) {
        self.outstanding.fetch_sub(count, Ordering::Relaxed);
    }

    /// A link ended with this many requests unanswered.
    pub fn abandon(&self, count: usize) {
        self.end(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn auth_failed(&self) {
        self.auth_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, _op: OpCode, latency_ms: u64) {
        self.sent();
        self.latency_count.fetch_add(1, Ordering::Relaxed);
        if latency_ms > 0 {
            self.latency_total_ms.fetch_add(latency_ms, Ordering::Relaxed);
            self.latency_max_ms.fetch_max(latency_ms, Ordering::Relaxed);
        }
        if latency_ms < self.latency_min_ms.load(Ordering::Relaxed) {
            self.latency_min_ms.fetch_min(latency_ms, Ordering::Relaxed);
        }
    }

    /// Requests of all links not answered yet.
    pub fn outstanding(&self) -> i64 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Packets that came in.
    pub fn packets_received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Packets that went out.
    pub fn packets_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Authentication attempts that failed.
    pub fn auth_failures(&self) -> u64 {
        self.auth_failed.load(Ordering::Relaxed)
    }

    /// Latency of all requests since the last reset.
    pub fn latency(&self) -> Latency {
        let count = self.latency_count.load(Ordering::Relaxed);
        if count == 0 {
            return Latency::default();
        }
        Latency {
            min_ms: self.latency_min_ms.load(Ordering::Relaxed),
            avg_ms: mean(self.latency_total_ms.load(Ordering::Relaxed), count),
            max_ms: self.latency_max_ms.load(Ordering::Relaxed),
            count,
        }
    }

    /// Starts counting anew; what is outstanding stays.
    // Java: ServerStats.reset
    pub fn reset(&self) {
        for counter in [&self.received, &self.sent, &self.latency_count, &self.latency_total_ms, &self.latency_max_ms] {
            counter.store(0, Ordering::Relaxed);
        }
        self.latency_min_ms.store(u64::MAX, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean of milliseconds needs no more")]
fn mean(total: u64, count: u64) -> f64 {
    total as f64 / count as f64
}

/// Counters of one link.
// Java: ServerCnxn statistics
#[derive(Clone, Debug)]
pub struct LinkTraffic {
    /// When the link was accepted, ms since 1970.
    pub established_unix_ms: i64,
    /// Packets that came in.
    pub received: u64,
    /// Packets that went out.
    pub sent: u64,
    /// The last request answered.
    pub last_op: Option<OpCode>,
    /// Its xid.
    pub last_xid: Xid,
    /// The zxid of its reply.
    pub last_zxid: Zxid,
    /// When it was answered, ms since the server's start.
    pub last_answer_ms: u64,
    /// How long it took, in ms.
    pub last_latency_ms: u64,
    latency_count: u64,
    latency_total_ms: u64,
    latency_min_ms: u64,
    latency_max_ms: u64,
}

impl LinkTraffic {
    pub(crate) fn new(established_unix_ms: i64) -> Self {
        Self {
            established_unix_ms,
            received: 0,
            sent: 0,
            last_op: None,
            last_xid: Xid(0),
            last_zxid: Zxid::ZERO,
            last_answer_ms: 0,
            last_latency_ms: 0,
            latency_count: 0,
            latency_total_ms: 0,
            latency_min_ms: u64::MAX,
            latency_max_ms: 0,
        }
    }

    pub(crate) fn answered(&mut self, op: OpCode, xid: Xid, zxid: Zxid, latency_ms: u64, now_ms: u64) {
        self.sent += 1;
        self.last_op = Some(op);
        if xid.0 >= 0 {
            self.last_xid = xid;
        }
        self.last_zxid = zxid;
        self.last_answer_ms = now_ms;
        self.last_latency_ms = latency_ms;
        self.latency_count += 1;
        self.latency_total_ms += latency_ms;
        self.latency_min_ms = self.latency_min_ms.min(latency_ms);
        self.latency_max_ms = self.latency_max_ms.max(latency_ms);
    }

    /// Latency of the link's requests.
    pub fn latency(&self) -> Latency {
        if self.latency_count == 0 {
            return Latency::default();
        }
        Latency {
            min_ms: self.latency_min_ms,
            avg_ms: mean(self.latency_total_ms, self.latency_count),
            max_ms: self.latency_max_ms,
            count: self.latency_count,
        }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self { last_zxid: self.last_zxid, ..Self::new(self.established_unix_ms) };
    }
}
