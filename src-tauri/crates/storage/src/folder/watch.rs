//! Notices what anybody puts into the folder or takes out of it.

use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::FolderBucket;
use super::path::RESERVED;
use crate::listing;

/// How long to gather what belongs together: one put is several events.
const DEBOUNCE: Duration = Duration::from_millis(250);

pub(super) fn changes(bucket: Arc<FolderBucket>, prefix: String, backstop: Duration) -> BoxStream<'static, ()> {
    // The watch begins before the first listing, so that nothing falls between.
    let watched = watch(bucket.root());
    let listed = listing::compare(bucket, prefix, backstop);
    match watched {
        Ok(watched) => stream::select(watched, listed).boxed(),
        Err(error) => {
            tracing::warn!(%error, every = ?backstop, "the folder cannot be watched; its listings are compared instead");
            listed
        }
    }
}

/// The watcher lives as long as the stream.
fn watch(root: &Path) -> notify::Result<BoxStream<'static, ()>> {
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
    Ok(stream::unfold((watcher, events), debounced).boxed())
}

async fn debounced(
    (watcher, mut events): (RecommendedWatcher, mpsc::Receiver<()>),
) -> Option<((), (RecommendedWatcher, mpsc::Receiver<()>))> {
    events.recv().await?;
    tokio::time::sleep(DEBOUNCE).await;
    while events.try_recv().is_ok() {}
    Some(((), (watcher, events)))
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
    use std::path::PathBuf;

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
        let mut changes = watch(&folder).unwrap();
        let bound = Duration::from_secs(60);
        std::fs::create_dir(folder.join("new")).unwrap();
        tokio::time::timeout(bound, changes.next()).await.unwrap().unwrap();
        std::fs::write(folder.join("new/x.wav"), b"foreign").unwrap();
        tokio::time::timeout(bound, changes.next()).await.unwrap().unwrap();
        std::fs::remove_file(folder.join("new/x.wav")).unwrap();
        tokio::time::timeout(bound, changes.next()).await.unwrap().unwrap();
    }
}
