//! What passes over a link.

use oxherd_proto::{OpCode, Xid, Zxid};

/// Latencies in ms: least, most, their sum, and of how many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Least, in ms.
    pub min_ms: u64,
    /// Of all together, in ms.
    pub total_ms: u64,
    /// Most, in ms.
    pub max_ms: u64,
    /// Requests measured.
    pub count: u64,
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
            total_ms: self.latency_total_ms,
            max_ms: self.latency_max_ms,
            count: self.latency_count,
        }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self { last_zxid: self.last_zxid, ..Self::new(self.established_unix_ms) };
    }
}
