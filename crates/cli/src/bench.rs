//! The load generator: closed or open loop, against any ZooKeeper server.
//!
//! In the open loop every operation has a time at which it is meant to start, and its latency counts
//! from there, so a slow server cannot hide the operations it kept from starting.

mod fanout;
mod load;
mod options;
mod report;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oxherd_client::{Client, ClientError, Events, open_acl};
use oxherd_proto::CreateMode;

use crate::answer::{EXIT_FAILED, EXIT_INVOCATION, Failure};
use crate::shell::{to_stderr, to_stdout};
use options::{BenchOptions, Preset, USAGE};
use report::{Progress, StepResult};

/// Longest wait for the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The load generator; `args` are those after `bench`.
///
/// Exit codes: 0, 1 when the load could not be made or a reply was wrong, 2 for options that cannot be
/// used.
pub fn bench_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match BenchOptions::parse(args) {
        Ok(Some(options)) => crate::block_on(run(options)),
        Ok(None) => {
            to_stdout(&format!("{USAGE}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            to_stderr(&format!("{error}\n{USAGE}\n"));
            ExitCode::from(EXIT_INVOCATION)
        }
    }
}

async fn run(options: BenchOptions) -> u8 {
    match run_preset(&options).await {
        Ok(steps) if steps.is_empty() => {
            to_stderr("stopped early; the nodes made are removed\n");
            EXIT_FAILED
        }
        Ok(steps) => {
            to_stdout(&report::show(&options, &steps));
            if steps.iter().any(|step| step.failures > 0) { EXIT_FAILED } else { 0 }
        }
        Err(error) => {
            to_stderr(&format!("{}\n", Failure::from(error).message));
            EXIT_FAILED
        }
    }
}

/// Makes the nodes, the load, and removes the nodes again, also after a failure or an interrupt, which
/// leaves no step.
async fn run_preset(options: &BenchOptions) -> Result<Vec<StepResult>, ClientError> {
    let (owner, _events) = connect(options).await?;
    let root = format!("/oxherd-bench-{:x}", owner.session_id().0);
    owner.create(&root, None, open_acl(), CreateMode::Persistent).await?;
    let measured = tokio::select! {
        measured = run_steps(options, &owner, &root) => measured,
        _ = tokio::signal::ctrl_c() => Ok(Vec::new()),
    };
    let cleaned = remove(&owner, &root).await;
    owner.close().await?;
    let steps = measured?;
    cleaned?;
    Ok(steps)
}

async fn run_steps(
    options: &BenchOptions,
    owner: &Client,
    root: &str,
) -> Result<Vec<StepResult>, ClientError> {
    let mut steps = Vec::new();
    match options.preset {
        Preset::Churn => steps.push(load::churn(options, root).await),
        Preset::Fanout => steps.push(fanout::run(options, owner, root).await?),
        _ => {
            let clients = connect_all(options).await?;
            let nodes = load::make_nodes(options, owner, root).await?;
            for ratio in options.read_ratios() {
                steps.push(load::read_write(options, &clients, &nodes, ratio).await);
            }
            close_all(clients).await;
        }
    }
    Ok(steps)
}

async fn connect(options: &BenchOptions) -> Result<(Client, Events), ClientError> {
    let (client, events) = Client::connect(&options.servers, &options.client)?;
    // What was not reached in time shows in the first operation.
    let _ = tokio::time::timeout(CONNECT_TIMEOUT, client.connected()).await;
    Ok((client, events))
}

async fn connect_all(options: &BenchOptions) -> Result<Vec<Client>, ClientError> {
    let mut clients = Vec::new();
    for _ in 0..options.connections {
        clients.push(connect(options).await?.0);
    }
    Ok(clients)
}

async fn close_all(clients: Vec<Client>) {
    for client in clients {
        // A session that cannot be closed ends by its timeout.
        let _ = client.close().await;
    }
}

async fn remove(owner: &Client, root: &str) -> Result<(), ClientError> {
    for name in owner.get_children(root, false).await? {
        owner.delete(&format!("{root}/{name}"), -1).await?;
    }
    owner.delete(root, -1).await
}

/// Shows progress on stderr until the returned guard is dropped.
fn show_progress(options: &BenchOptions, step: &str) -> (Arc<Progress>, ProgressLine) {
    let progress = Arc::new(Progress::default());
    let line = (!options.quiet).then(|| tokio::spawn(report::live(Arc::clone(&progress), step.to_owned())));
    (progress, ProgressLine(line))
}

/// Ends the progress line when dropped.
struct ProgressLine(Option<tokio::task::JoinHandle<()>>);

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
            to_stderr("\r\x1b[K");
        }
    }
}
