//! Stands in for a studio that could not start, so that the window opens and says why.

use std::future::{Future, ready};
use std::pin::Pin;

use roomtone_protocol::ErrorReport;
use roomtone_protocol::catalog::Link;
use roomtone_studio::view::{Levels, Phase, View};
use tokio::sync::watch;

use crate::backend::{Backend, Request};

/// Answers everything with the reason.
pub(crate) struct Unavailable {
    report: ErrorReport,
    view: watch::Sender<View>,
    levels: watch::Sender<Levels>,
}

impl Unavailable {
    pub(crate) fn new(report: ErrorReport) -> Self {
        let view = View { phase: Phase::Lobby, room: None, error: Some(report.clone()) };
        Self { report, view: watch::Sender::new(view), levels: watch::Sender::new(Levels::new()) }
    }

    fn refuse<T: Send + 'static>(&self) -> Request<'_, T> {
        Box::pin(ready(Err(self.report.clone())))
    }
}

impl Backend for Unavailable {
    fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    fn levels(&self) -> watch::Receiver<Levels> {
        self.levels.subscribe()
    }

    fn host(&self, _: String) -> Request<'_, ()> {
        self.refuse()
    }

    fn join(&self, _: String, _: Option<String>, _: bool) -> Request<'_, ()> {
        self.refuse()
    }

    fn leave(&self) -> Request<'_, ()> {
        self.refuse()
    }

    fn start(&self, _: Option<String>) -> Request<'_, ()> {
        self.refuse()
    }

    fn stop(&self) -> Request<'_, ()> {
        self.refuse()
    }

    fn set_name(&self, _: Option<String>) -> Request<'_, ()> {
        self.refuse()
    }

    fn set_muted(&self, _: bool) -> Request<'_, ()> {
        self.refuse()
    }

    fn link(&self, _: String) -> Request<'_, Link> {
        self.refuse()
    }

    fn more_recordings(&self) -> Request<'_, ()> {
        self.refuse()
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}
