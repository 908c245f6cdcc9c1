//! One thread that everything of an endpoint runs on: measured, a current-thread runtime takes 40 % less CPU for the
//! packets than tokio's multi-thread one, and no slow task of the program can hold up ICE, DTLS or a clock stamp.

use std::future::Future;
use std::io;

use roomtone_protocol::{ErrorReport, code};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The thread and its runtime; both end when this is dropped.
#[derive(Debug)]
pub(crate) struct MediaRuntime {
    handle: Handle,
    /// Dropped, it lets the thread end.
    _running: oneshot::Sender<()>,
}

impl MediaRuntime {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self, ErrorReport> {
        let failed = |error: io::Error| {
            ErrorReport::new(
                code::IO,
                format!("the media thread could not be started: {error}"),
                "close other programs and try again",
            )
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            // At most 15 bytes, or Linux cuts it off.
            .name("roomtone-media".to_owned())
            .spawn(move || {
                // An error is the expected end: the sender was dropped.
                runtime.block_on(ended).unwrap_or_default();
                // Tasks end here; a name being resolved on a blocking thread must not hold up the program.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self { handle, _running: running })
    }

    /// Runs a task there.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(task)
    }

    /// Runs a task there and waits for what it comes to.
    pub(crate) async fn run<F>(&self, task: F) -> Result<F::Output, ErrorReport>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(task).await.map_err(|error| {
            ErrorReport::new(code::IO, format!("the media thread ended early: {error}"), "start the program again")
        })
    }

    /// Tasks that are alive there.
    pub(crate) fn tasks(&self) -> usize {
        self.handle.metrics().num_alive_tasks()
    }
}
