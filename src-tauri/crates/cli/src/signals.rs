//! Ctrl-C and friends: the first asks to end cleanly, the second ends at once.

/// Waits for the first request to end. From then on a second one ends the program at once.
pub(crate) async fn asked_to_end() {
    one().await;
    tokio::spawn(async {
        one().await;
        std::process::exit(1);
    });
}

#[cfg(unix)]
async fn one() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn one() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
