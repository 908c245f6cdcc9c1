//! Quitting: the room hears a goodbye and the studio puts everything away before the program ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tauri::{AppHandle, Emitter, Manager};

use crate::backend::Shared;
use crate::events;

/// The studio gives uploads 10 s and finalizing its own time; whatever hangs longer than this goes on at the next start.
const LONGEST_GOODBYE: Duration = Duration::from_secs(20);

/// The system ends the program itself by then.
const LONGEST_LAST_MINUTE_GOODBYE: Duration = Duration::from_secs(4);

/// Whether the goodbye has begun.
#[derive(Default)]
pub(crate) struct Leaving(AtomicBool);

impl Leaving {
    /// True for the first who asks.
    fn begin(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }
}

/// Leaves cleanly and ends the app; asking again changes nothing.
pub(crate) fn quit(app: &AppHandle) {
    if !app.state::<Leaving>().begin() {
        return;
    }
    if let Err(error) = app.emit(events::QUITTING, ()) {
        tracing::warn!(%error, "the window is not told");
    }
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        say_goodbye(&app, LONGEST_GOODBYE).await;
        app.exit(0);
    });
}

/// The last chance, on the main thread, for an end that nobody announced.
pub(crate) fn before_the_end(app: &AppHandle) {
    if app.state::<Leaving>().begin() {
        tauri::async_runtime::block_on(say_goodbye(app, LONGEST_LAST_MINUTE_GOODBYE));
    }
}

/// SIGINT and SIGTERM quit; a second one ends the program at once.
pub(crate) fn quit_on_signal(app: &AppHandle) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        if let Err(error) = signal().await {
            tracing::warn!(%error, "signals are not heard");
            return;
        }
        quit(&app);
        if signal().await.is_ok() {
            app.exit(0);
        }
    });
}

async fn say_goodbye(app: &AppHandle, at_most: Duration) {
    let studio = Shared::clone(&app.state::<Shared>());
    if tokio::time::timeout(at_most, studio.shutdown()).await.is_err() {
        tracing::warn!("not everything was put away in time; it goes on at the next start");
    }
}

#[cfg(unix)]
async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goodbye_is_said_once() {
        let leaving = Leaving::default();
        assert!(leaving.begin());
        assert!(!leaving.begin());
    }
}
