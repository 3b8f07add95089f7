//! Reads and writes, and sessions that come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use oxherd_client::{Client, ClientError, open_acl};
use oxherd_proto::CreateMode;
use tokio::task::JoinSet;

use super::options::BenchOptions;
use super::report::{Progress, StepResult, histogram, record};
use super::show_progress;

/// A node and what stands in it.
pub(super) struct Node {
    path: String,
    value: Bytes,
}

/// When operations start, and which of them count.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    pub(super) begin: Instant,
    measured: Instant,
    end: Instant,
    /// Time between two starts of one worker in the open loop.
    interval: Option<Duration>,
    /// First start of this worker after `begin`.
    offset: Duration,
}

impl Schedule {
    /// The schedule of worker `index` out of `workers`.
    pub(super) fn new(options: &BenchOptions, begin: Instant, index: usize, workers: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 workers")]
        let (index, workers) = (index as f64, workers as f64);
        let measured = begin + options.warmup;
        Self {
            begin,
            measured,
            end: measured + options.duration,
            interval: options.rate.map(|rate| Duration::from_secs_f64(workers / rate)),
            offset: options.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(index / rate)),
        }
    }

    /// Waits for the intended start of operation `number`; `None` after the end.
    pub(super) async fn start(&self, number: u32) -> Option<Instant> {
        let Some(interval) = self.interval else {
            return Some(Instant::now()).filter(|now| *now < self.end);
        };
        let intended = self.begin + self.offset + interval * number;
        if intended >= self.end {
            return None;
        }
        tokio::time::sleep_until(intended.into()).await;
        Some(intended)
    }

    /// Whether an operation with this start counts.
    pub(super) fn counts(&self, start: Instant) -> bool {
        start >= self.measured
    }
}

/// One node for each operation under way.
pub(super) async fn make_nodes(
    options: &BenchOptions,
    owner: &Client,
    root: &str,
) -> Result<Arc<Vec<Node>>, ClientError> {
    let mut nodes = Vec::new();
    for index in 0..options.connections * options.depth {
        let path = format!("{root}/n{index}");
        let pattern = format!("{path} ");
        let value: Vec<u8> = pattern.bytes().cycle().take(options.value_len).collect();
        let value = Bytes::from(value);
        owner.create(&path, Some(value.clone()), open_acl(), CreateMode::Persistent).await?;
        nodes.push(Node { path, value });
    }
    Ok(Arc::new(nodes))
}

/// Reads and writes in the given share.
pub(super) async fn read_write(
    options: &BenchOptions,
    clients: &[Client],
    nodes: &Arc<Vec<Node>>,
    ratio: f64,
) -> StepResult {
    let name = format!("{:.0}% reads", ratio * 100.0);
    let (progress, _line) = show_progress(options, &name);
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for index in 0..nodes.len() {
        let client = clients[index % clients.len()].clone();
        let schedule = Schedule::new(options, begin, index, nodes.len());
        workers.spawn(work(client, Arc::clone(nodes), index, ratio, schedule, Arc::clone(&progress)));
    }
    gather(name, options, workers, &progress).await
}

async fn work(
    client: Client,
    nodes: Arc<Vec<Node>>,
    index: usize,
    ratio: f64,
    schedule: Schedule,
    progress: Arc<Progress>,
) -> Histogram<u64> {
    let node = &nodes[index];
    let mut latencies = histogram();
    let mut due = 0.0;
    let mut number = 0;
    while let Some(start) = schedule.start(number).await {
        number += 1;
        due += ratio;
        let read = due >= 1.0 - 1e-9;
        let right = if read {
            due -= 1.0;
            client.get_data(&node.path, false).await.map(|(data, _)| data.as_ref() == Some(&node.value))
        } else {
            let set = client.set_data(&node.path, Some(node.value.clone()), -1).await;
            set.map(|stat| usize::try_from(stat.data_length) == Ok(node.value.len()) && stat.version > 0)
        };
        if schedule.counts(start) {
            progress.count(right.is_ok_and(|right| right));
            record(&mut latencies, start.elapsed());
        }
    }
    latencies
}

pub(super) async fn gather(
    name: String,
    options: &BenchOptions,
    mut workers: JoinSet<Histogram<u64>>,
    progress: &Progress,
) -> StepResult {
    let mut latencies = histogram();
    while let Some(worker) = workers.join_next().await {
        match worker {
            Ok(own) => latencies.add(own).expect("both have the same bounds"),
            Err(_) => progress.count(false),
        }
    }
    StepResult { name, seconds: options.duration.as_secs_f64(), latencies, failures: progress.failures() }
}

/// Each session connects, makes an ephemeral node and closes; that is one operation.
pub(super) async fn churn(options: &BenchOptions, root: &str) -> StepResult {
    let (progress, _line) = show_progress(options, "churn");
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for index in 0..options.connections {
        let schedule = Schedule::new(options, begin, index, options.connections);
        let (options, progress) = (options.clone(), Arc::clone(&progress));
        let path = format!("{root}/s{index}");
        workers.spawn(async move {
            let mut latencies = histogram();
            let mut number = 0;
            while let Some(start) = schedule.start(number).await {
                number += 1;
                let right = one_session(&options, &path).await;
                if schedule.counts(start) {
                    progress.count(right.is_ok_and(|right| right));
                    record(&mut latencies, start.elapsed());
                }
            }
            latencies
        });
    }
    gather("churn".to_owned(), options, workers, &progress).await
}

/// The node must be gone with the last session, or it could not be made again.
async fn one_session(options: &BenchOptions, path: &str) -> Result<bool, ClientError> {
    let (client, _events) = Client::connect(&options.servers, &options.client)?;
    let made = client.create(path, None, open_acl(), CreateMode::Ephemeral).await?;
    client.close().await?;
    Ok(made == path)
}
