//! What the shell needs of the studio, so that the shell can be tested against a recording fake.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use roomtone_protocol::ErrorReport;
use roomtone_protocol::catalog::Link;
use roomtone_studio::view::{Levels, View};
use tokio::sync::watch;

/// A request under way.
pub(crate) type Request<'a, T> = Pin<Box<dyn Future<Output = Result<T, ErrorReport>> + Send + 'a>>;

/// The studio, as commands and tray share it.
pub(crate) type Shared = Arc<dyn Backend>;

/// Every request that the window or the tray can make, and what they are shown.
pub(crate) trait Backend: Send + Sync {
    /// What the window shows, now and whenever it changes.
    fn view(&self) -> watch::Receiver<View>;
    /// How loud everybody is.
    fn levels(&self) -> watch::Receiver<Levels>;
    /// Opens a room on this computer.
    fn host(&self, name: String) -> Request<'_, ()>;
    /// Enters somebody's room.
    fn join(&self, invite: String, name: Option<String>, observe: bool) -> Request<'_, ()>;
    /// Says goodbye.
    fn leave(&self) -> Request<'_, ()>;
    /// Begins a recording; one that runs is finished first.
    fn start(&self, title: Option<String>) -> Request<'_, ()>;
    /// Finishes the recording.
    fn stop(&self) -> Request<'_, ()>;
    /// Goes by another name.
    fn set_name(&self, name: Option<String>) -> Request<'_, ()>;
    /// Mutes or unmutes one's own microphone.
    fn set_muted(&self, muted: bool) -> Request<'_, ()>;
    /// A link to a recording, by its id or by the key of an object.
    fn link(&self, recording: String) -> Request<'_, Link>;
    /// Shows a page more of the recordings.
    fn more_recordings(&self) -> Request<'_, ()>;
    /// Leaves the room, finishes what must be finished, and ends.
    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

#[cfg(test)]
pub(crate) mod fake {
    //! Notes what it is asked for, and answers as it was told to.

    use std::future::ready;
    use std::sync::Mutex;

    use roomtone_studio::view::Phase;

    use super::*;

    pub(crate) struct FakeBackend {
        requests: Mutex<Vec<String>>,
        refusal: Mutex<Option<ErrorReport>>,
        link: Mutex<String>,
        pub(crate) view: watch::Sender<View>,
        levels: watch::Sender<Levels>,
    }

    impl Default for FakeBackend {
        fn default() -> Self {
            Self {
                requests: Mutex::default(),
                refusal: Mutex::default(),
                link: Mutex::new("http://127.0.0.1/a.wav".into()),
                view: watch::Sender::new(View { phase: Phase::Lobby, room: None, error: None }),
                levels: watch::Sender::new(Levels::new()),
            }
        }
    }

    impl FakeBackend {
        /// What it was asked for since the last call.
        pub(crate) fn take_requests(&self) -> Vec<String> {
            std::mem::take(&mut self.requests.lock().unwrap())
        }

        pub(crate) fn refuse_with(&self, report: ErrorReport) {
            *self.refusal.lock().unwrap() = Some(report);
        }

        pub(crate) fn link_to(&self, link: &str) {
            *self.link.lock().unwrap() = link.to_owned();
        }

        fn note<T: Send + 'static>(&self, request: String, answer: T) -> Request<'_, T> {
            self.requests.lock().unwrap().push(request);
            Box::pin(ready(self.refusal.lock().unwrap().clone().map_or(Ok(answer), Err)))
        }
    }

    impl Backend for FakeBackend {
        fn view(&self) -> watch::Receiver<View> {
            self.view.subscribe()
        }

        fn levels(&self) -> watch::Receiver<Levels> {
            self.levels.subscribe()
        }

        fn host(&self, name: String) -> Request<'_, ()> {
            self.note(format!("host {name}"), ())
        }

        fn join(&self, invite: String, name: Option<String>, observe: bool) -> Request<'_, ()> {
            self.note(format!("join {invite} {name:?} {observe}"), ())
        }

        fn leave(&self) -> Request<'_, ()> {
            self.note("leave".into(), ())
        }

        fn start(&self, title: Option<String>) -> Request<'_, ()> {
            self.note(format!("start {title:?}"), ())
        }

        fn stop(&self) -> Request<'_, ()> {
            self.note("stop".into(), ())
        }

        fn set_name(&self, name: Option<String>) -> Request<'_, ()> {
            self.note(format!("set_name {name:?}"), ())
        }

        fn set_muted(&self, muted: bool) -> Request<'_, ()> {
            self.note(format!("set_muted {muted}"), ())
        }

        fn link(&self, recording: String) -> Request<'_, Link> {
            let link = self.link.lock().unwrap().clone();
            self.note(format!("link {recording}"), Link { link, expires_at: "2026-11-21T08:00:00Z".into() })
        }

        fn more_recordings(&self) -> Request<'_, ()> {
            self.note("more_recordings".into(), ())
        }

        fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            self.requests.lock().unwrap().push("shutdown".into());
            Box::pin(ready(()))
        }
    }
}
