//! The list of recordings in a window: the newest page at first, and a page more whenever somebody wants to see it.

use roomtone_protocol::catalog::CatalogPage;
use roomtone_protocol::channel::{Answer, Command};
use roomtone_protocol::{ErrorReport, code};

use super::Studio;
use crate::view::RoomView;

impl Studio {
    /// Shows a page more of the recordings, if there is one.
    ///
    /// # Errors
    /// The recorder's refusal; it is in the view as well.
    pub async fn more_recordings(&self) -> Result<(), ErrorReport> {
        let _turn = self.inner.turning_pages.lock().await;
        let more = self.inner.view.borrow().room.as_ref().and_then(|room| room.more_recordings.clone());
        let Some(after) = more else { return Ok(()) };
        let page = self.fetch_page(Some(after)).await;
        let page = self.told(page)?;
        self.show_list(|room| {
            let new = |entry: &roomtone_protocol::catalog::CatalogEntry| {
                !room.recordings.iter().any(|shown| shown.key == entry.key)
            };
            let entries: Vec<_> = page.entries.iter().filter(|entry| new(entry)).cloned().collect();
            let shown = std::mem::take(&mut room.recordings);
            CatalogPage { entries: shown.into_iter().chain(entries).collect(), ..page.clone() }
        });
        Ok(())
    }

    /// The list changed: its newest page is shown at once. Who looks at more gets all of that anew.
    pub(super) fn list_changed(&self, newest: CatalogPage) {
        let shown = self.inner.view.borrow().room.as_ref().map_or(0, |room| room.recordings.len());
        if shown <= newest.entries.len() || newest.next.is_none() {
            self.show_list(|_| newest);
            return;
        }
        let studio = self.clone();
        tokio::spawn(async move {
            let _turn = studio.inner.turning_pages.lock().await;
            match studio.fetch_pages(shown).await {
                Ok(pages) => studio.show_list(|_| pages),
                // A link that broke brings the list again.
                Err(error) => tracing::debug!(code = error.code, "the pages behind the newest could not be fetched"),
            }
        });
    }

    async fn fetch_pages(&self, count: usize) -> Result<CatalogPage, ErrorReport> {
        let mut pages = self.fetch_page(None).await?;
        while let Some(after) = pages.next.take() {
            if pages.entries.len() >= count {
                pages.next = Some(after);
                break;
            }
            let CatalogPage { entries, next, total } = self.fetch_page(Some(after)).await?;
            pages.entries.extend(entries);
            (pages.next, pages.total) = (next, total);
        }
        Ok(pages)
    }

    async fn fetch_page(&self, after: Option<String>) -> Result<CatalogPage, ErrorReport> {
        let participant = self.participant().await?;
        match participant.request(Command::Recordings { after, limit: None }).await? {
            Answer::Recordings(page) => Ok(page),
            _ => Err(ErrorReport::new(code::VERSION_MISMATCH, "the answer makes no sense", "update both ends")),
        }
    }

    fn show_list(&self, list: impl FnOnce(&mut RoomView) -> CatalogPage) {
        self.inner.view.send_modify(|view| {
            if let Some(room) = &mut view.room {
                let CatalogPage { entries, next, total } = list(room);
                // An earlier version sends all of it, and does not count.
                room.recordings_total = total.or_else(|| u64::try_from(entries.len()).ok()).unwrap_or(0);
                (room.recordings, room.more_recordings) = (entries, next);
            }
        });
    }
}
