//! One node changes, every session watches it.

use std::time::{Duration, Instant};

use oxherd_client::{AddWatchMode, Client, ClientError, EventType, Events, open_acl};
use oxherd_proto::CreateMode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::load::Schedule;
use super::options::BenchOptions;
use super::report::{StepResult, histogram, record};
use super::{close_all, connect, show_progress};

/// Longest wait for one session's event.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Each event counts as one operation; its latency is from the start of the write that caused it.
pub(super) async fn run(
    options: &BenchOptions,
    owner: &Client,
    root: &str,
) -> Result<StepResult, ClientError> {
    let path = format!("{root}/watched");
    owner.create(&path, None, open_acl(), CreateMode::Persistent).await?;
    let (seen, mut arrivals) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    let mut watchers = JoinSet::new();
    for _ in 0..options.connections {
        let (client, events) = connect(options).await?;
        client.add_watch(&path, AddWatchMode::Persistent).await?;
        watchers.spawn(forward(events, path.clone(), seen.clone()));
        clients.push(client);
    }
    let (progress, _line) = show_progress(options, "fanout");
    let schedule = Schedule::new(options, Instant::now(), 0, 1);
    let mut latencies = histogram();
    let value = bytes::Bytes::from(vec![b'x'; options.value_len]);
    let mut number = 0;
    while let Some(start) = schedule.start(number).await {
        number += 1;
        owner.set_data(&path, Some(value.clone()), -1).await?;
        for _ in 0..clients.len() {
            let arrived = tokio::time::timeout(EVENT_TIMEOUT, arrivals.recv()).await.ok().flatten();
            if schedule.counts(start) {
                progress.count(arrived.is_some());
                record(&mut latencies, arrived.unwrap_or_else(Instant::now).saturating_duration_since(start));
            }
        }
    }
    close_all(clients).await;
    let failures = progress.failures();
    Ok(StepResult { name: "fanout".to_owned(), seconds: options.duration.as_secs_f64(), latencies, failures })
}

async fn forward(mut events: Events, path: String, seen: mpsc::UnboundedSender<Instant>) {
    while let Some(event) = events.next().await {
        let wanted = event.kind == EventType::NodeDataChanged && event.path.as_deref() == Some(&path);
        if wanted && seen.send(Instant::now()).is_err() {
            return;
        }
    }
}
