//! Brings what the studio says to the window and the tray.

use serde::Serialize;
use tauri::{AppHandle, Emitter};
use tokio::sync::watch;

use crate::backend::Backend;
use crate::tray::Tray;
use crate::tray_look::Look;

/// The whole view, whenever it changed.
const VIEW: &str = "view";
/// Levels, up to five times a second.
const LEVELS: &str = "levels";
/// A request from outside the window was refused.
pub(crate) const FAILURE: &str = "failure";
/// The app is about to end.
pub(crate) const QUITTING: &str = "quitting";

/// Forwards for as long as the studio lives.
pub(crate) fn forward(app: &AppHandle, studio: &dyn Backend, tray: Tray) {
    let views = follow(studio.view(), {
        let app = app.clone();
        move |view| {
            if let Err(error) = tray.apply(Look::of(view)) {
                tracing::warn!(%error, "the tray icon does not follow");
            }
            tell(&app, VIEW, view);
        }
    });
    let levels = follow(studio.levels(), {
        let app = app.clone();
        move |levels| tell(&app, LEVELS, levels)
    });
    tauri::async_runtime::spawn(views);
    tauri::async_runtime::spawn(levels);
}

/// Calls `show` with the first value and with every later one; what is overtaken is left out.
async fn follow<T: Clone>(mut source: watch::Receiver<T>, mut show: impl FnMut(&T)) {
    loop {
        let value = source.borrow_and_update().clone();
        show(&value);
        if source.changed().await.is_err() {
            return;
        }
    }
}

fn tell<T: Serialize + Clone>(app: &AppHandle, event: &str, payload: &T) {
    if let Err(error) = app.emit(event, payload) {
        tracing::warn!(%error, event, "the window is not told");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn the_last_value_is_shown_even_when_the_source_ends_at_once() {
        let (sender, receiver) = watch::channel(1);
        let seen = Arc::new(Mutex::new(vec![]));
        let following = tokio::spawn(follow(receiver, {
            let seen = Arc::clone(&seen);
            move |value: &i32| seen.lock().unwrap().push(*value)
        }));
        sender.send(2).unwrap();
        drop(sender);
        following.await.unwrap();
        assert_eq!(seen.lock().unwrap().last(), Some(&2));
    }
}
