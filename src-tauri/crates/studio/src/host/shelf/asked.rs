//! What people ask of finished recordings.

use std::time::Duration;

use roomtone_protocol::catalog::{Deletion, EntryState, Link};
use roomtone_protocol::channel::{Answer, Command, PAGE_ENTRIES};
use roomtone_protocol::{ErrorReport, RecordingId, code};
use roomtone_session::{clean_notes, clean_title};
use roomtone_storage::{Cursor, CursorError, Edit, Removal};
use time::OffsetDateTime;

use super::Shelf;

/// How long a link works where nobody says otherwise.
const LINK_LIFETIME: Duration = Duration::from_secs(60 * 60);

impl Shelf {
    /// Carries out what concerns finished recordings, once the room has nothing against it.
    pub(in super::super) async fn answer(&self, host: bool, command: Command) -> Result<Answer, ErrorReport> {
        match command {
            Command::Recordings { after, limit } => {
                let after = after.map(|after| after.parse::<Cursor>()).transpose().map_err(no_place)?;
                Ok(Answer::Recordings(self.page(host, after.as_ref(), limit.unwrap_or(PAGE_ENTRIES))))
            }
            Command::Show { recording, from } => {
                let entry = self.find(host, &recording)?;
                let metadata = self.metadata(&entry, from).await?;
                Ok(Answer::Shown { entry: Box::new(entry), metadata })
            }
            Command::Outcome { recording } => self.outcome(recording),
            Command::Link { recording, ttl_s } => {
                let entry = self.find(host, &recording)?;
                if entry.state == EntryState::Uploading {
                    return Err(not_uploaded());
                }
                let lifetime = ttl_s.map_or(LINK_LIFETIME, Duration::from_secs);
                self.link(&entry.key, lifetime).await.map(Answer::Link)
            }
            Command::DeletionPlan { recording } => {
                let key = self.to_delete(host, &recording)?;
                let removal = self.catalog.removal(&key).await.map_err(ErrorReport::from)?;
                Ok(self.deletion(removal).await)
            }
            Command::Delete { recording } => {
                let key = self.to_delete(host, &recording)?;
                let removal = self.catalog.delete(&key).await.map_err(ErrorReport::from)?;
                Ok(self.deletion(removal).await)
            }
            Command::Rename { recording, title } => {
                host_only(host)?;
                let edit = Edit { title: Some(clean_title(Some(&title))?), notes: None };
                self.edit(&recording, edit).await
            }
            Command::Describe { recording: Some(recording), title, notes } => {
                host_only(host)?;
                let edit = Edit {
                    title: title.map(|title| clean_title(Some(&title))).transpose()?,
                    notes: notes.map(|notes| clean_notes(Some(&notes))).transpose()?,
                };
                self.edit(&recording.to_string(), edit).await
            }
            _ => Err(ErrorReport::new(code::BAD_REQUEST, "that is not about finished recordings", "ask the room")),
        }
    }

    fn outcome(&self, recording: RecordingId) -> Result<Answer, ErrorReport> {
        let entry = self.find(true, &recording.to_string())?;
        if entry.state == EntryState::Uploading {
            return Err(not_uploaded());
        }
        let path = self.take(recording).map(|path| path.display().to_string());
        Ok(Answer::Outcome { entry: Box::new(entry), path })
    }

    async fn edit(&self, recording: &str, edit: Edit) -> Result<Answer, ErrorReport> {
        let entry = self.find(true, recording)?;
        if entry.state == EntryState::Uploading {
            return Err(not_uploaded());
        }
        self.catalog.describe(&entry.key, edit).await.map_err(ErrorReport::from)?;
        Ok(Answer::Done)
    }

    /// The key of what the host wants to delete.
    fn to_delete(&self, host: bool, recording: &str) -> Result<String, ErrorReport> {
        host_only(host)?;
        let entry = self.find(host, recording)?;
        if entry.state == EntryState::Uploading {
            return Err(not_uploaded());
        }
        Ok(entry.key)
    }

    async fn deletion(&self, removal: Removal) -> Answer {
        let kept = self.bucket.kept_of_deleted().await;
        let objects = removal.keys().map(str::to_owned).collect();
        let entry = removal.listed.entry;
        let local_copy = entry.recording.is_some_and(|recording| self.take(recording).is_some());
        Answer::Deletion(Box::new(Deletion { entry, objects, kept, local_copy }))
    }

    async fn link(&self, key: &str, lifetime: Duration) -> Result<Link, ErrorReport> {
        let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(roomtone_clock::wall_ns()));
        let now = now.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        self.bucket.link(key, lifetime, now).await.map_err(ErrorReport::from)
    }
}

fn host_only(host: bool) -> Result<(), ErrorReport> {
    if host {
        return Ok(());
    }
    Err(ErrorReport::new(code::NOT_ALLOWED, "only the host may do that", "ask the host, or use the host's invite"))
}

fn not_uploaded() -> ErrorReport {
    ErrorReport::new(
        code::NOT_UPLOADED,
        "the recording is finished and still on its way to the bucket",
        "try again when its state is `completed`",
    )
}

fn no_place(error: CursorError) -> ErrorReport {
    ErrorReport::new(code::BAD_REQUEST, error.to_string(), "take the place that the page before names as `next`")
}
