//! The studio behind the shell.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use roomtone_protocol::ErrorReport;
use roomtone_protocol::catalog::Link;
use roomtone_studio::view::{Levels, View};
use roomtone_studio::{Studio, StudioConfig, default_data_dir};
use tokio::sync::watch;

use crate::backend::{Backend, Request, Shared};

/// Why there is no studio, and which data folder it would have had, if that much is known.
pub(crate) struct Refusal {
    pub(crate) report: ErrorReport,
    pub(crate) data_dir: Option<PathBuf>,
}

/// Makes the studio on the current runtime, and tells its data folder: `ROOMTONE_DATA_DIR`, else the platform's own.
pub(crate) fn open() -> Result<(Shared, PathBuf), Refusal> {
    let unknown = |report| Refusal { report, data_dir: None };
    let config = StudioConfig::from_environment(None).map_err(unknown)?;
    let data_dir = config.data_dir.clone().map_or_else(default_data_dir, Ok).map_err(unknown)?;
    match Studio::new(StudioConfig { data_dir: Some(data_dir.clone()), ..config }) {
        Ok(studio) => Ok((Arc::new(studio), data_dir)),
        Err(report) => Err(Refusal { report, data_dir: Some(data_dir) }),
    }
}

impl Backend for Studio {
    fn view(&self) -> watch::Receiver<View> {
        Self::view(self)
    }

    fn levels(&self) -> watch::Receiver<Levels> {
        Self::levels(self)
    }

    fn host(&self, name: String) -> Request<'_, ()> {
        Box::pin(Self::host(self, name))
    }

    fn join(&self, invite: String, name: Option<String>, observe: bool) -> Request<'_, ()> {
        Box::pin(Self::join(self, invite, name, observe))
    }

    fn leave(&self) -> Request<'_, ()> {
        Box::pin(Self::leave(self))
    }

    fn start(&self, title: Option<String>) -> Request<'_, ()> {
        Box::pin(Self::start(self, title))
    }

    fn stop(&self) -> Request<'_, ()> {
        Box::pin(Self::stop(self))
    }

    fn set_name(&self, name: Option<String>) -> Request<'_, ()> {
        Box::pin(Self::set_name(self, name))
    }

    fn set_muted(&self, muted: bool) -> Request<'_, ()> {
        Box::pin(Self::set_muted(self, muted))
    }

    fn link(&self, recording: String) -> Request<'_, Link> {
        Box::pin(Self::link(self, recording))
    }

    fn more_recordings(&self) -> Request<'_, ()> {
        Box::pin(Self::more_recordings(self))
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Self::shutdown(self))
    }
}
