//! Counting, the live line, and the table or JSON at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::options::BenchOptions;
use crate::shell::to_stderr;

/// Largest latency that is told apart, in µs.
const LATENCY_US_MAX: u64 = 3_600_000_000;
/// Quantiles that are shown, with their names.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Operations so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Progress {
    /// Counts an operation, and whether its reply was right.
    pub(super) fn count(&self, right: bool) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(!right), Ordering::Relaxed);
    }

    /// Operations that failed or had a wrong reply.
    pub(super) fn failures(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// What one step measured; latencies in µs.
#[derive(Debug)]
pub(super) struct StepResult {
    pub(super) name: String,
    pub(super) seconds: f64,
    pub(super) latencies: Histogram<u64>,
    pub(super) failures: u64,
}

impl StepResult {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 operations")]
    fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.latencies.len() as f64 / self.seconds } else { 0.0 }
    }
}

/// An empty histogram of µs, up to an hour, with three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order, three digits allowed")
}

/// Adds a latency.
pub(super) fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

/// Rewrites a line each second.
pub(super) async fn live(progress: Arc<Progress>, step: String) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut last = 0;
    loop {
        ticks.tick().await;
        let done = progress.done.load(Ordering::Relaxed);
        let failures = progress.failures();
        to_stderr(&format!("\r\x1b[K{step}: {} ops/s, {done} done, {failures} failed", done - last));
        last = done;
    }
}

/// The result as a table or as one JSON object, line ended.
pub(super) fn show(options: &BenchOptions, steps: &[StepResult]) -> String {
    if options.json {
        let steps: Vec<Value> = steps.iter().map(step_json).collect();
        let json = json!({
            "server": options.servers,
            "connections": options.connections,
            "depth": options.depth,
            "rate": options.rate,
            "value_bytes": options.value_len,
            "steps": steps,
        });
        return format!("{json}\n");
    }
    let mut text = format!("{:<12}{:>12}{:>10}", "", "ops/s", "failed");
    for (name, _) in QUANTILES.into_iter().chain([("max", 1.0)]) {
        text.push_str(&format!("{:>12}", format!("{name} µs")));
    }
    text.push('\n');
    steps.iter().map(step_row).fold(text, |text, row| text + &row)
}

fn step_row(step: &StepResult) -> String {
    let mut row = format!("{:<12}{:>12.0}{:>10}", step.name, step.rate(), step.failures);
    for (_, quantile) in QUANTILES {
        row.push_str(&format!("{:>12}", step.latencies.value_at_quantile(quantile)));
    }
    row + &format!("{:>12}\n", step.latencies.max())
}

fn step_json(step: &StepResult) -> Value {
    let mut latency: serde_json::Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, quantile)| ((*name).to_owned(), json!(step.latencies.value_at_quantile(*quantile))))
        .collect();
    latency.insert("max".to_owned(), json!(step.latencies.max()));
    json!({
        "name": step.name,
        "operations": step.latencies.len(),
        "failures": step.failures,
        "seconds": step.seconds,
        "rate": step.rate(),
        "latency_us": latency,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_shows_its_rate_and_quantiles() {
        let mut latencies = histogram();
        for ms in 1..=100 {
            record(&mut latencies, Duration::from_millis(ms));
        }
        let step = StepResult { name: "read".to_owned(), seconds: 2.0, latencies, failures: 1 };
        let json = step_json(&step);
        assert_eq!((&json["rate"], &json["failures"]), (&json!(50.0), &json!(1)));
        assert_eq!(json["latency_us"]["p50"].as_u64().map(|us| us / 1000), Some(50));
        assert!(step_row(&step).starts_with("read "));
    }
}
