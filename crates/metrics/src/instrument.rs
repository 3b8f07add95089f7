//! The instruments: counter, summary, summary with percentiles, and sets of them by key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Value;

/// A mean rounded to four decimals, halves away from zero, on the exact value of the quotient.
// Java: AvgMinMaxCounter.getAvg
#[expect(clippy::cast_precision_loss, reason = "the original divides as doubles too")]
fn mean(sum: i64, count: i64) -> f64 {
    if count <= 0 {
        return 0.0;
    }
    let quotient = sum as f64 / count as f64;
    // 80 decimals hold every double of this size exactly, so the fifth decimal decides alone.
    let exact = format!("{:.80}", quotient.abs());
    let point = exact.find('.').unwrap_or(exact.len());
    let digits: String = exact[..point + 5].chars().filter(char::is_ascii_digit).collect();
    let up = exact.as_bytes().get(point + 5).is_some_and(|digit| *digit >= b'5');
    let units: i128 = digits.parse().unwrap_or(i128::MAX - 1) + i128::from(up);
    (units as f64 / 1e4).copysign(quotient)
}

/// Adds up.
#[derive(Debug, Default)]
pub struct Counter(AtomicI64);

impl Counter {
    /// Adds a number.
    pub fn add(&self, number: i64) {
        self.0.fetch_add(number, Relaxed);
    }

    /// The sum since the start or the last reset.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }

    /// Sets the sum to 0.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// Count, sum, least and greatest of the values added.
// Java: AvgMinMaxCounter
#[derive(Debug)]
pub struct Summary {
    sum: AtomicI64,
    count: AtomicI64,
    least: AtomicI64,
    greatest: AtomicI64,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            sum: AtomicI64::new(0),
            count: AtomicI64::new(0),
            least: AtomicI64::new(i64::MAX),
            greatest: AtomicI64::new(i64::MIN),
        }
    }
}

impl Summary {
    /// Adds a value.
    pub fn add(&self, value: i64) {
        self.sum.fetch_add(value, Relaxed);
        self.count.fetch_add(1, Relaxed);
        // The extremes change seldom; a plain read spares the exchange.
        if value < self.least.load(Relaxed) {
            self.least.fetch_min(value, Relaxed);
        }
        if value > self.greatest.load(Relaxed) {
            self.greatest.fetch_max(value, Relaxed);
        }
    }

    /// Adds all values of another one.
    pub fn absorb(&self, other: &Self) {
        self.sum.fetch_add(other.sum.load(Relaxed), Relaxed);
        self.count.fetch_add(other.count.load(Relaxed), Relaxed);
        self.least.fetch_min(other.least.load(Relaxed), Relaxed);
        self.greatest.fetch_max(other.greatest.load(Relaxed), Relaxed);
    }

    /// Mean with four decimals; 0 without values.
    pub fn mean(&self) -> f64 {
        mean(self.sum.load(Relaxed), self.count.load(Relaxed))
    }

    /// Least value; 0 without values.
    pub fn least(&self) -> i64 {
        Some(self.least.load(Relaxed)).filter(|&least| least != i64::MAX).unwrap_or(0)
    }

    /// Greatest value; 0 without values.
    pub fn greatest(&self) -> i64 {
        Some(self.greatest.load(Relaxed)).filter(|&greatest| greatest != i64::MIN).unwrap_or(0)
    }

    /// Number of values.
    pub fn count(&self) -> i64 {
        self.count.load(Relaxed)
    }

    /// Sum of the values.
    pub fn sum(&self) -> i64 {
        self.sum.load(Relaxed)
    }

    /// Forgets all values.
    pub fn reset(&self) {
        self.count.store(0, Relaxed);
        self.sum.store(0, Relaxed);
        self.least.store(i64::MAX, Relaxed);
        self.greatest.store(i64::MIN, Relaxed);
    }

    pub(super) fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        sink(&format!("avg_{name}"), Value::Decimal(self.mean()));
        sink(&format!("min_{name}"), Value::Integer(self.least()));
        sink(&format!("max_{name}"), Value::Integer(self.greatest()));
        sink(&format!("cnt_{name}"), Value::Integer(self.count()));
        sink(&format!("sum_{name}"), Value::Integer(self.sum()));
    }
}

/// Values a reservoir keeps.
pub const RESERVOIR_LEN: usize = 4096;

/// A summary that also keeps an even sample of its values for percentiles.
// Java: AvgMinMaxPercentileCounter
#[derive(Debug, Default)]
pub struct Percentiles {
    summary: Summary,
    /// 32 KiB, made by the first value: a server that never leads pays nothing for the leader's metrics.
    sample: OnceLock<Box<[AtomicI64]>>,
}

impl Percentiles {
    /// Adds a value. Once the sample is full it replaces a random one with falling probability.
    pub fn add(&self, value: i64) {
        let sample = self.sample.get_or_init(|| (0..RESERVOIR_LEN).map(|_| AtomicI64::new(0)).collect());
        let number = u64::try_from(self.summary.count()).unwrap_or(0);
        self.summary.add(value);
        let place = if number < RESERVOIR_LEN as u64 { number } else { scatter(number) % (number + 1) };
        if let Some(slot) = usize::try_from(place).ok().and_then(|place| sample.get(place)) {
            slot.store(value, Relaxed);
        }
    }

    /// The plain summary.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The sample, sorted.
    fn sorted(&self) -> Vec<i64> {
        let len = usize::try_from(self.summary.count()).unwrap_or(0).min(RESERVOIR_LEN);
        let sample = self.sample.get().map_or(&[][..], |sample| &sample[..len]);
        let mut values: Vec<i64> = sample.iter().map(|value| value.load(Relaxed)).collect();
        values.sort_unstable();
        values
    }

    /// Forgets all values.
    pub fn reset(&self) {
        self.summary.reset();
    }

    pub(super) fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        self.summary.dump(name, sink);
        let values = self.sorted();
        for (label, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
            sink(&format!("{label}_{name}"), Value::Integer(quantile(&values, share)));
        }
    }
}

/// A fixed scatter of the number of a value (SplitMix64): an even sample without a shared generator.
fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Quantile of sorted values, between two neighbours in proportion; 0 of none.
// com.codahale.metrics.UniformSnapshot.getValue
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 4096 values"
)]
fn quantile(values: &[i64], share: f64) -> i64 {
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return 0;
    };
    let position = share * (values.len() + 1) as f64;
    let index = position as usize;
    if index < 1 {
        return first;
    }
    if index >= values.len() {
        return last;
    }
    let (lower, upper) = (values[index - 1] as f64, values[index] as f64);
    (lower + (position - position.floor()) * (upper - lower) + 0.5).floor() as i64
}

/// An instrument that a set can hold.
pub trait Instrument: Default {
    /// Forgets all values.
    fn reset(&self);
    /// Gives the values under a name.
    fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value));
}

impl Instrument for Counter {
    fn reset(&self) {
        self.reset();
    }

    fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        sink(name, Value::Integer(self.value()));
    }
}

impl Instrument for Summary {
    fn reset(&self) {
        self.reset();
    }

    fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        self.dump(name, sink);
    }
}

impl Instrument for Percentiles {
    fn reset(&self) {
        self.reset();
    }

    fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        self.dump(name, sink);
    }
}

/// Instruments by key, such as the first component of a path. Keys are never forgotten, so callers bound them.
#[derive(Debug, Default)]
pub struct SummarySet<I>(Mutex<BTreeMap<String, Arc<I>>>);

/// Counters by key.
pub type CounterSet = SummarySet<Counter>;

impl<I: Instrument> SummarySet<I> {
    /// The instrument of a key; keep it where values come often.
    pub fn of(&self, key: &str) -> Arc<I> {
        let mut instruments = self.lock();
        match instruments.get(key) {
            Some(instrument) => Arc::clone(instrument),
            None => Arc::clone(instruments.entry(key.to_owned()).or_default()),
        }
    }

    /// Forgets all values, not the keys.
    pub fn reset(&self) {
        self.lock().values().for_each(|instrument| instrument.reset());
    }

    pub(super) fn dump(&self, name: &str, sink: &mut dyn FnMut(&str, Value)) {
        for (key, instrument) in self.lock().iter() {
            instrument.dump(&format!("{key}_{name}"), sink);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<I>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_round_halves_up_on_the_exact_quotient() {
        let cases = [
            ((27, 11), 2.4545),
            ((1, 32), 0.0313),
            ((-1, 32), -0.0313),
            ((1, 20_000), 0.0001),
            ((2, 3), 0.6667),
            ((5, 0), 0.0),
        ];
        for ((sum, count), want) in cases {
            assert_eq!(mean(sum, count).to_bits(), f64::to_bits(want), "{sum}/{count}");
        }
    }
}
