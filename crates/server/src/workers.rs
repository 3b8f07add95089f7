//! The threads on which links run: one runtime each, so that a link never changes threads.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

/// Single-threaded runtimes; dropping or stopping them ends every task on them.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Arc<[Handle]>,
    stop: Vec<Arc<Notify>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let mut handles = Vec::new();
        let mut stop = Vec::new();
        let mut threads = Vec::new();
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            handles.push(runtime.handle().clone());
            let over = Arc::new(Notify::new());
            stop.push(Arc::clone(&over));
            let thread = std::thread::Builder::new().name(format!("clients-{number}"));
            threads.push(thread.spawn(move || runtime.block_on(over.notified()))?);
        }
        Ok(Self { handles: handles.into(), stop, threads })
    }

    /// Where tasks can be started.
    pub(crate) fn handles(&self) -> Arc<[Handle]> {
        Arc::clone(&self.handles)
    }

    /// The worker that also carries timers and accepts.
    pub(crate) fn first(&self) -> &Handle {
        &self.handles[0]
    }

    /// Ends all tasks and waits for the threads.
    pub(crate) fn stop(&mut self) {
        for over in &self.stop {
            over.notify_one();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}
