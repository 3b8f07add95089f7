//! Limits and usage as the quota nodes hold them.

use std::collections::BTreeMap;

/// Numbers by key. The line keeps a form that the oldest readers take: `count=…,bytes=…` first, then an
/// extra `=` and the rest behind semicolons.
// Java: StatsTrack
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct QuotaTrack(BTreeMap<String, i64>);

/// Key of the number of nodes.
pub(super) const COUNT: &str = "count";
/// Key of the number of bytes.
pub(super) const BYTES: &str = "bytes";
/// Key of the hard limit of nodes.
pub(super) const COUNT_HARD: &str = "countHardLimit";
/// Key of the hard limit of bytes.
pub(super) const BYTES_HARD: &str = "byteHardLimit";

impl QuotaTrack {
    /// A quota without any limit.
    pub(super) fn unlimited() -> Self {
        let keys = [COUNT, BYTES, COUNT_HARD, BYTES_HARD];
        Self(keys.into_iter().map(|key| (key.to_owned(), -1)).collect())
    }

    /// Usage of nothing.
    pub(super) fn unused() -> Self {
        Self([COUNT, BYTES].into_iter().map(|key| (key.to_owned(), 0)).collect())
    }

    /// Reads a line; a pair that is none is left out, an empty number means no limit.
    pub(super) fn parse(line: &[u8]) -> Self {
        let text = String::from_utf8_lossy(line);
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let mut parts = pair.split('=');
            let (key, value) = (parts.next()?, parts.next()?);
            Some((key.to_owned(), if value.is_empty() { -1 } else { value.parse().ok()? }))
        });
        Self(pairs.collect())
    }

    /// The number of a key; −1 without one.
    pub(super) fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    /// Sets a key's number.
    pub(super) fn set(&mut self, key: &str, value: i64) {
        self.0.insert(key.to_owned(), value);
    }

    /// The line.
    pub(super) fn to_line(&self) -> String {
        let head = format!("{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES));
        let rest = self.0.iter().filter(|(key, _)| *key != COUNT && *key != BYTES);
        let rest: String = rest.map(|(key, value)| format!(";{key}={value}")).collect();
        if rest.is_empty() { head } else { format!("{head}={rest}") }
    }

    /// The numbers for scripts.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_survives_and_old_readers_find_their_part_first() {
        let mut quota = QuotaTrack::unlimited();
        quota.set(COUNT, 5);
        let line = quota.to_line();
        assert_eq!(line, "count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=-1");
        assert_eq!(QuotaTrack::parse(line.as_bytes()), quota);
        assert_eq!(QuotaTrack::unused().to_line(), "count=0,bytes=0");
        assert_eq!(QuotaTrack::parse(b"count=1,bytes=").get(BYTES), -1);
    }
}
