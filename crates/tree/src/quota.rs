//! Limits and usage below `/zookeeper/quota`.
//!
//! For a path P, `/zookeeper/quota<P>/zookeeper_limits` holds the limits and `…/zookeeper_stats` the usage,
//! which the server itself keeps up to date in place, without a txn.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::NodeId;
use crate::path::{self, QUOTA};
use crate::tree::Tree;

pub(crate) const LIMITS: &[u8] = b"zookeeper_limits";
pub(crate) const STATS: &[u8] = b"zookeeper_stats";

const COUNT: &str = "count";
const BYTES: &str = "bytes";

/// What a limit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaKind {
    /// Number of nodes.
    Count,
    /// Bytes of data.
    Bytes,
}

/// A limit that a write would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaBreach {
    /// The path that has the quota.
    pub path: Vec<u8>,
    /// What is limited.
    pub kind: QuotaKind,
    /// The usage after the write.
    pub usage: i64,
    /// The most it may be.
    pub limit: i64,
    /// Whether the write is refused; a soft limit is only told.
    pub hard: bool,
}

/// One quota as operators see it; −1 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// The path that has the quota.
    pub path: Vec<u8>,
    /// Most nodes: the hard limit where there is one, else the soft one.
    pub count_limit: i64,
    /// Most bytes of data, likewise.
    pub bytes_limit: i64,
    /// Nodes at and below the path.
    pub count: i64,
    /// Bytes of their data.
    pub bytes: i64,
}

/// The text in quota nodes: names and numbers.
// Java: StatsTrack
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsTrack {
    values: BTreeMap<String, i64>,
}

impl StatsTrack {
    /// Reads the text; `None` where the original would fail on it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?.trim_end_matches([',', ';']);
        let mut values = BTreeMap::new();
        if text.is_empty() {
            return Some(Self::default());
        }
        for (at, pair) in text.split([',', ';']).enumerate() {
            if pair.is_empty() && at > 0 {
                continue;
            }
            let (name, rest) = pair.split_once('=')?;
            let value = rest.split('=').next().unwrap_or_default();
            let is_unset = value.is_empty() && !rest.trim_end_matches('=').is_empty();
            let value = if is_unset { -1 } else { value.parse().ok()? };
            values.insert(name.to_owned(), value);
        }
        Some(Self { values })
    }

    fn value(&self, name: &str) -> i64 {
        self.values.get(name).copied().unwrap_or(-1)
    }

    /// Nodes; −1 when unset.
    pub fn count(&self) -> i64 {
        self.value(COUNT)
    }

    /// Bytes of data; −1 when unset.
    pub fn bytes(&self) -> i64 {
        self.value(BYTES)
    }

    /// Most nodes allowed; −1 when unset.
    pub fn count_hard_limit(&self) -> i64 {
        self.value("countHardLimit")
    }

    /// Most bytes of data allowed; −1 when unset.
    pub fn byte_hard_limit(&self) -> i64 {
        self.value("byteHardLimit")
    }

    /// The limit that counts, and whether it is hard.
    // Java: QuotaMetricsUtils.getQuotaLimit
    fn limit(soft: i64, hard: i64) -> (i64, bool) {
        if hard > -1 { (hard, true) } else { (soft, false) }
    }

    fn usage(count: i64, bytes: i64) -> Self {
        Self { values: [(COUNT.to_owned(), count), (BYTES.to_owned(), bytes)].into() }
    }
}

/// The stray `=` before the first `;` lets versions before 3.4.4 read the text.
impl std::fmt::Display for StatsTrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.count(), self.bytes())?;
        let mut others = self.values.iter().filter(|(name, _)| *name != COUNT && *name != BYTES).peekable();
        if others.peek().is_some() {
            f.write_str("=")?;
        }
        others.try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

/// The paths that have limits.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    limited: BTreeSet<Vec<u8>>,
}

impl Quotas {
    /// The deepest limited path at or above `path`.
    fn deepest<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        if self.limited.is_empty() {
            return None;
        }
        let mut at = path;
        loop {
            if self.limited.contains(at) {
                return Some(at);
            }
            at = path::split(at)?.0;
        }
    }
}

/// The limited path of a quota node, and the node's name.
fn quota_node(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let (parent, name) = path::split(path)?;
    let limited = parent.strip_prefix(QUOTA)?;
    (limited.first() == Some(&b'/')).then_some((limited, name))
}

fn quota_path(limited: &[u8], name: &[u8]) -> Vec<u8> {
    [QUOTA, limited, b"/", name].concat()
}

impl Tree {
    /// The limits that a write at `path` would break, of the deepest quota that applies; none after the first hard one.
    ///
    /// A create has `old_len` 0 and `count_delta` 1, a change of data `count_delta` 0. Usage that does
    /// not change breaks nothing. Where there is a hard limit the soft one does not count.
    // Java: ZooKeeperServer.checkQuota
    pub fn quota_breaches(
        &self,
        path: &[u8],
        old_len: usize,
        new_len: usize,
        count_delta: i64,
    ) -> Vec<QuotaBreach> {
        let mut breaches = Vec::new();
        let Some((limited, limits, usage)) = self.quota_of(path) else {
            return breaches;
        };
        let of_count = StatsTrack::limit(limits.count(), limits.count_hard_limit());
        let of_bytes = StatsTrack::limit(limits.bytes(), limits.byte_hard_limit());
        let checks = [
            (QuotaKind::Count, count_delta, usage.count(), of_count),
            (QuotaKind::Bytes, delta(old_len, new_len), usage.bytes(), of_bytes),
        ];
        for (kind, delta, usage, (limit, hard)) in checks {
            let usage = usage.saturating_add(delta);
            if delta != 0 && limit > -1 && usage > limit {
                breaches.push(QuotaBreach { path: limited.to_vec(), kind, usage, limit, hard });
                if hard {
                    break;
                }
            }
        }
        breaches
    }

    /// Every quota, sorted by path.
    pub fn quotas(&self) -> impl Iterator<Item = QuotaUse> + '_ {
        self.quotas.limited.iter().filter_map(|limited| {
            let (limits, usage) = (self.stats_track(limited, LIMITS)?, self.stats_track(limited, STATS)?);
            Some(QuotaUse {
                path: limited.clone(),
                count_limit: StatsTrack::limit(limits.count(), limits.count_hard_limit()).0,
                bytes_limit: StatsTrack::limit(limits.bytes(), limits.byte_hard_limit()).0,
                count: usage.count(),
                bytes: usage.bytes(),
            })
        })
    }

    fn quota_of<'a>(&self, path: &'a [u8]) -> Option<(&'a [u8], StatsTrack, StatsTrack)> {
        let limited = self.quotas.deepest(path)?;
        Some((limited, self.stats_track(limited, LIMITS)?, self.stats_track(limited, STATS)?))
    }

    fn stats_track(&self, limited: &[u8], name: &[u8]) -> Option<StatsTrack> {
        let id = self.store.lookup(&quota_path(limited, name))?;
        StatsTrack::parse(self.store.node(id).data().unwrap_or_default())
    }

    /// A node was made: it may be a quota node, and it counts where a quota applies.
    pub(crate) fn quota_created(&mut self, path: &[u8], len: usize) {
        if let Some((limited, name)) = quota_node(path) {
            if name == LIMITS {
                self.quotas.limited.insert(limited.to_vec());
            } else if name == STATS {
                self.quota_recount(limited);
            }
        }
        self.quota_changed(path, delta(0, len), 1);
    }

    /// A node is gone.
    pub(crate) fn quota_removed(&mut self, path: &[u8], len: usize) {
        if let Some((limited, LIMITS)) = quota_node(path) {
            self.quotas.limited.remove(limited);
        }
        self.quota_changed(path, delta(len, 0), -1);
    }

    /// Data or number of nodes changed at `path`. A usage text that cannot be read stays as it is.
    // Java: DataTree.updateQuotaStat
    pub(crate) fn quota_changed(&mut self, path: &[u8], bytes: i64, count: i64) {
        let Some(limited) = self.quotas.deepest(path) else { return };
        let stats_path = quota_path(limited, STATS);
        let Some(id) = self.store.lookup(&stats_path) else { return };
        let text = self.store.node(id).data().unwrap_or_default();
        let Some(mut stats) = StatsTrack::parse(text) else { return };
        let (count, bytes) = (stats.count().wrapping_add(count), stats.bytes().wrapping_add(bytes));
        stats.values.insert(COUNT.to_owned(), count);
        stats.values.insert(BYTES.to_owned(), bytes);
        self.quota_write(id, &stats);
    }

    // Java: DataTree.updateQuotaForPath
    fn quota_recount(&mut self, limited: &[u8]) {
        let Some(id) = self.store.lookup(&quota_path(limited, STATS)) else { return };
        let nodes = self.store.lookup(limited).map(|top| self.store.subtree(top)).unwrap_or_default();
        let bytes = nodes.iter().map(|id| delta(0, self.store.node(*id).data_len())).sum();
        self.quota_write(id, &StatsTrack::usage(delta(0, nodes.len()), bytes));
    }

    fn quota_write(&mut self, id: NodeId, stats: &StatsTrack) {
        self.walks.capture(&self.store, &self.acls, id);
        let text = stats.to_string();
        let node = self.store.node_mut(id);
        self.data_size += delta(node.data_len(), text.len());
        node.write(Some(text.as_bytes()), node.written());
    }

    /// Finds the quotas of a loaded tree and counts their usage afresh.
    // Java: DataTree.setupQuota
    pub(crate) fn quota_setup(&mut self) {
        let Some(top) = self.store.lookup(QUOTA) else { return };
        for id in self.store.subtree(top) {
            let node = self.store.node(id);
            if node.name() != LIMITS || !node.children().is_empty() {
                continue;
            }
            let path = self.store.path(id);
            if let Some((limited, _)) = quota_node(&path) {
                self.quota_recount(limited);
                self.quotas.limited.insert(limited.to_vec());
            }
        }
    }
}

pub(crate) fn delta(old: usize, new: usize) -> i64 {
    let signed = |len: usize| i64::try_from(len).expect("memory is smaller than 2^63");
    signed(new) - signed(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reprint(text: &str) -> Option<String> {
        StatsTrack::parse(text.as_bytes()).map(|stats| stats.to_string())
    }

    #[test]
    fn the_text_of_limits_and_usage() {
        let cases = [
            ("", Some("count=-1,bytes=-1")),
            ("count=4,bytes=9", Some("count=4,bytes=9")),
            ("bytes=9;count=4", Some("count=4,bytes=9")),
            (
                "count=4,bytes=9=;countHardLimit=4;byteHardLimit=15",
                Some("count=4,bytes=9=;byteHardLimit=15;countHardLimit=4"),
            ),
            ("byteHardLimit=7", Some("count=-1,bytes=-1=;byteHardLimit=7")),
            ("count=4,,;bytes=9,,", Some("count=4,bytes=9")),
            ("count==5", Some("count=-1,bytes=-1")),
            (",count=4", None),
            ("count=", None),
            ("count", None),
            ("count=x", None),
            ("count= 4", None),
        ];
        for (text, expected) in cases {
            assert_eq!(reprint(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn only_the_deepest_quota_is_found() {
        let quotas = Quotas { limited: [b"/a".to_vec(), b"/a/b/c".to_vec()].into() };
        assert_eq!(quotas.deepest(b"/a/b"), Some(&b"/a"[..]));
        assert_eq!(quotas.deepest(b"/a/b/c/d"), Some(&b"/a/b/c"[..]));
        assert_eq!(quotas.deepest(b"/ab"), None);
        assert_eq!(quotas.deepest(b"/"), None);
    }
}
