//! Notices what anybody puts into the folder or takes out of it.

use std::path::{Component, Path, PathBuf};

use futures_util::future::{BoxFuture, FutureExt as _};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::path::RESERVED;
use crate::BucketError;
use crate::changes::{News, Setback, Source};

/// The operating system's watcher of a folder.
pub(super) struct FolderWatcher {
    /// A real path: watchers report those.
    pub(super) root: PathBuf,
}

impl Source for FolderWatcher {
    fn name(&self) -> &'static str {
        "folder watcher"
    }

    fn was_set_up(&self) -> bool {
        false
    }

    fn follow<'a>(&'a self, _prefix: &'a str, news: &'a News) -> BoxFuture<'a, (Setback, BucketError)> {
        async move {
            let failed = |error| (Setback::Gone, BucketError::io(&self.root, std::io::Error::other(error)));
            let (_watcher, mut events) = match watch(&self.root) {
                Ok(watched) => watched,
                Err(error) => return failed(error.to_string()),
            };
            news.connected().await;
            while events.recv().await.is_some() {
                news.changed().await;
            }
            failed("the watcher ended".to_owned())
        }
        .boxed()
    }
}

/// Whether the system can watch the folder.
pub(super) fn try_out(root: &Path) -> Result<(), BucketError> {
    watch(root).map(drop).map_err(|error| BucketError::io(root, std::io::Error::other(error)))
}

/// Watches as long as the watcher lives.
fn watch(root: &Path) -> notify::Result<(RecommendedWatcher, mpsc::Receiver<()>)> {
    // One place: any number of events before the next look are one change.
    let (changed, events) = mpsc::channel(1);
    let below = root.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error means that events may have been lost: as good as a change.
        let changes_something = event.map_or(true, |event| matters(&below, &event));
        if changes_something && changed.try_send(()).is_err() {
            tracing::trace!("a change is waiting to be seen already, or nobody looks any more");
        }
    })?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    Ok((watcher, events))
}

/// Whether an event can change a listing: reading cannot, and neither can what happens in a reserved folder.
fn matters(root: &Path, event: &Event) -> bool {
    let reserved = |path: &std::path::PathBuf| {
        let below = path.strip_prefix(root).unwrap_or(path);
        below.components().any(|name| name == Component::Normal(RESERVED.as_ref()))
    };
    !matches!(event.kind, EventKind::Access(_)) && (event.paths.is_empty() || !event.paths.iter().all(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, ModifyKind, RenameMode};

    fn event(kind: EventKind, paths: &[&str]) -> Event {
        Event { kind, paths: paths.iter().map(PathBuf::from).collect(), attrs: notify::event::EventAttributes::new() }
    }

    #[test]
    fn reading_and_temporary_files_are_no_changes() {
        let root = Path::new("/bucket");
        let create = EventKind::Create(CreateKind::File);
        let rename = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert!(matters(root, &event(create, &["/bucket/a.wav"])));
        assert!(matters(root, &event(rename, &["/bucket/.roomtone/tmp/1", "/bucket/a.wav"])));
        assert!(matters(root, &event(EventKind::Any, &[])));
        assert!(!matters(root, &event(create, &["/bucket/.roomtone/tmp/1"])));
        assert!(!matters(root, &event(create, &["/bucket/x/.roomtone/probe"])));
        assert!(!matters(root, &event(EventKind::Access(AccessKind::Any), &["/bucket/a.wav"])));
    }

    #[tokio::test]
    async fn what_anybody_puts_or_deletes_is_told() {
        let root = tempfile::tempdir().unwrap();
        // As the bucket does it: watchers report real paths.
        let folder = root.path().canonicalize().unwrap();
        let (_watcher, mut changes) = watch(&folder).unwrap();
        let bound = std::time::Duration::from_secs(60);
        std::fs::create_dir(folder.join("new")).unwrap();
        tokio::time::timeout(bound, changes.recv()).await.unwrap().unwrap();
        // The system may tell of a folder a moment before that is watched itself. What comes in between is seen by the
        // listing that follows an event.
        let mut told = false;
        for _ in 0..60 {
            std::fs::write(folder.join("new/x.wav"), b"foreign").unwrap();
            told = tokio::time::timeout(std::time::Duration::from_secs(1), changes.recv()).await.is_ok();
            if told {
                break;
            }
        }
        assert!(told);
        std::fs::remove_file(folder.join("new/x.wav")).unwrap();
        tokio::time::timeout(bound, changes.recv()).await.unwrap().unwrap();
    }
}
