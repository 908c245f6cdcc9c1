//! A whole file in parts, going on from those that the store has: sent by an earlier attempt, or while the file grew.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use roomtone_clock::now;
use roomtone_protocol::metadata::Parts;
use tokio::time::sleep;

use super::S3Bucket;
use super::errors::Operation;
use super::ledger::{Ledger, Part, Subject};
use super::multipart::{Completed, Held};
use super::plan::{self, PartRange};
use super::planner::{Input, Known, Planner, Task};
use super::source::{PartContent, Source, check_part, etag_of_parts};
use super::upload::notes;
use crate::{BucketError, FileUpload, Progress, PutMode};

/// How often it is told how far it is while no part is confirmed.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// How an attempt ended that was not cut off.
enum Outcome {
    /// The object is there, and this is what it should be called, where that can be told.
    Complete(Option<String>),
    /// The store knows nothing of the upload, or of its parts: begin anew from the local file.
    Lost,
}

/// How a task ended.
enum Done {
    Sent(PartRange, Part),
    Checked(PartRange, bool),
    Lost,
}

impl S3Bucket {
    /// Sends what is missing and has the parts put together; the object is as it should be when this answers.
    pub(super) async fn send_parts(
        &self,
        upload: FileUpload<'_>,
        source: &Source,
        progress: &Progress,
    ) -> Result<(), BucketError> {
        let part_size = plan::part_size(source.size);
        let subject = Subject::new(&self.store, &self.bucket, upload.key, upload.recording, source, part_size);
        let mut begun_anew = false;
        loop {
            let opened = Ledger::open(&self.ledgers, subject.clone()).await?;
            if let Some(outdated) = opened.outdated {
                self.abort_or_leave(upload.key, &outdated).await;
            }
            let mut ledger = opened.ledger;
            match self.attempt(upload, source, &mut ledger, progress).await {
                Ok(Outcome::Complete(etag)) => {
                    self.check_name(&upload, etag.as_deref()).await?;
                    return ledger.remove();
                }
                Ok(Outcome::Lost) if begun_anew => {
                    return Err(BucketError::Refused {
                        operation: Operation::Write,
                        detail: "the store loses its uploads in parts".into(),
                    });
                }
                Ok(Outcome::Lost) => {
                    tracing::info!("the store no longer has the upload; beginning anew from the local file");
                    begun_anew = true;
                    ledger.remove()?;
                }
                // The place is somebody else's; these parts will never be needed.
                Err(error @ (BucketError::AlreadyExists { .. } | BucketError::Changed { .. })) => {
                    if let Some(id) = &ledger.upload {
                        self.abort_or_leave(upload.key, id).await;
                    }
                    ledger.remove()?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        upload: FileUpload<'_>,
        source: &Source,
        ledger: &mut Ledger,
        progress: &Progress,
    ) -> Result<Outcome, BucketError> {
        let id = match ledger.upload.clone() {
            Some(id) => {
                match self.held(upload.key, &id).await? {
                    Held::NoSuchUpload => {
                        tell_hashes(source, ledger, progress);
                        return self.completed_before(&upload, source, ledger).await;
                    }
                    // Without an answer, the ledger holds only what the store has confirmed; completing checks it once more.
                    held => held.keep_held(&mut ledger.parts),
                }
                id
            }
            None => {
                self.check_exists().await?;
                self.check_place(upload.key, upload.mode).await?;
                let id = self.create(upload.key, notes(upload.recording, upload.sha256)).await?;
                ledger.begin(id.clone()).await?;
                id
            }
        };
        if !self.send_missing(&upload, &id, source, ledger, progress).await? {
            return Ok(Outcome::Lost);
        }
        source.check_unchanged().await?;
        tell_hashes(source, ledger, progress);
        let parts = parts_of(source, ledger);
        match self.complete(&upload, &id, &parts).await? {
            Completed::Yes => Ok(Outcome::Complete(etag_of(&parts))),
            Completed::Lost => self.completed_before(&upload, source, ledger).await,
        }
    }

    /// Whether the upload is gone because it was completed, and the answer was lost.
    async fn completed_before(
        &self,
        upload: &FileUpload<'_>,
        source: &Source,
        ledger: &Ledger,
    ) -> Result<Outcome, BucketError> {
        let found = self.look(upload.key).await?;
        let ours = found.is_some_and(|found| found.is_copy(upload, source));
        Ok(if ours { Outcome::Complete(etag_of(&parts_of(source, ledger))) } else { Outcome::Lost })
    }

    /// Sends what is missing, and compares with the file what may be of an earlier state of it; false if the store no
    /// longer knows the upload.
    async fn send_missing(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        source: &Source,
        ledger: &mut Ledger,
        progress: &Progress,
    ) -> Result<bool, BucketError> {
        let known: Vec<Known> = ledger.known(|number| ledger.is_sure(number, source)).collect();
        let mut planner = Planner::whole(source.size, ledger.part_size, known);
        progress.report(planner.bytes_there(), source.size);
        let mut under_way: FuturesUnordered<BoxFuture<'_, Result<Done, BucketError>>> = FuturesUnordered::new();
        // What went wrong; the parts beside it are waited for, or they would have to be sent again.
        let mut failed = None;
        loop {
            while failed.is_none()
                && let Some(task) = planner.next(now())
            {
                under_way.push(match task {
                    Task::Send(range) => self.put_part(upload, id, source, range, progress).boxed(),
                    Task::Check(range) => {
                        let checking = check_part(source.path.clone(), range, ledger.parts.get(&range.number).cloned());
                        async move { Ok(Done::Checked(range, checking.await?)) }.boxed()
                    }
                    // There is an upload, and nobody gives it up.
                    Task::Create { .. } | Task::Abort => return Ok(false),
                });
            }
            let done = tokio::select! {
                done = under_way.next() => done,
                () = sleep(TOLD_EVERY) => {
                    progress.report(planner.bytes_there(), source.size);
                    continue;
                }
            };
            let Some(done) = done else { return failed.map_or_else(|| Ok(planner.is_complete()), Err) };
            let done = match done {
                Ok(done) => done,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            match done {
                Done::Sent(range, part) => {
                    ledger.confirm(range.number, part).await?;
                    // How fast it goes is of no account any more.
                    planner.handle(now(), Input::Sent { number: range.number, took: Duration::ZERO });
                }
                Done::Checked(range, same) => {
                    planner.handle(now(), Input::Checked { number: range.number, same });
                }
                Done::Lost => return Ok(false),
            }
            progress.report(planner.bytes_there(), source.size);
        }
    }

    /// Copies or sends one part.
    async fn put_part(
        &self,
        upload: &FileUpload<'_>,
        id: &str,
        source: &Source,
        range: PartRange,
        progress: &Progress,
    ) -> Result<Done, BucketError> {
        let part = match self.copy_part(upload, id, range).await? {
            Some(part) => {
                progress.moved(range.length);
                Some(part)
            }
            None => {
                let content = PartContent::read(&source.path, range).await?;
                self.send_part(upload.key, id, range, &content, &[&self.gate], progress).await?
            }
        };
        Ok(part.map_or(Done::Lost, |part| Done::Sent(range, part)))
    }

    /// Whether the object is called what its parts make it: another name is another content. It goes away then, and the
    /// next attempt begins anew; in the place of an earlier version it stays, and is replaced.
    async fn check_name(&self, upload: &FileUpload<'_>, expected: Option<&str>) -> Result<(), BucketError> {
        let Some(expected) = expected else { return Ok(()) };
        let Some(found) = self.look(upload.key).await? else { return Ok(()) };
        let count = |name: &str| name.rsplit_once('-').map(|(_, count)| count.to_owned());
        // Stores that name objects otherwise are believed.
        if found.object.etag == expected || count(&found.object.etag) != count(expected) {
            return Ok(());
        }
        if upload.mode == PutMode::CreateNew {
            let delete = self.client.delete_object().bucket(&self.bucket).key(upload.key).send();
            super::bounded(delete).await?.map_err(|error| self.failure(Operation::Delete).explain(&error))?;
        }
        Err(BucketError::Refused {
            operation: Operation::Write,
            detail: "what it put together is not what was sent".into(),
        })
    }
}

/// The parts of the file that are in the ledger; others may be there of a time when the file was longer.
fn parts_of<'a>(source: &Source, ledger: &'a Ledger) -> Vec<(i32, &'a Part)> {
    let ranges = plan::parts(source.size, ledger.part_size);
    ranges.filter_map(|range| Some((range.number, ledger.parts.get(&range.number)?))).collect()
}

/// What most stores call the object of these parts; none where the store names its parts in its own way: the first part
/// tells.
fn etag_of(parts: &[(i32, &Part)]) -> Option<String> {
    let by_md5 = parts.first().is_some_and(|(_, part)| part.md5.as_ref() == Some(&part.etag));
    by_md5.then(|| etag_of_parts(parts.iter().map(|(_, part)| part.etag.as_str()))).flatten()
}

/// Tells the hashes of all parts, unless one is not known: it was copied, or sent by an earlier program.
fn tell_hashes(source: &Source, ledger: &Ledger, progress: &Progress) {
    let hash = |range: PartRange| ledger.parts.get(&range.number)?.sha256.clone();
    let hashes: Option<Vec<_>> = plan::parts(source.size, ledger.part_size).map(hash).collect();
    if let Some(sha256) = hashes {
        progress.hashed(Parts { size: ledger.part_size, sha256 });
    }
}
