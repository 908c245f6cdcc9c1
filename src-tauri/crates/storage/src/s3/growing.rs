//! A file that goes up while it grows: carries out what the planner wants.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, pending};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use roomtone_clock::now;
use roomtone_protocol::ClockNs;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::S3Bucket;
use super::body::Gate;
use super::ledger::{Growing, Ledger, Part, Subject};
use super::multipart::Held;
use super::plan::PartRange;
use super::planner::{Input, Planner, Task};
use super::source::{PartContent, Source, check_part};
use super::upload::notes;
use crate::{BucketError, GrowingUpload, Growth, Progress, PutMode};

/// Pause between attempts to learn what the store has of an upload of an earlier start.
const PAUSE: Duration = Duration::from_secs(10);

/// What came of a task.
type Done = (Task, Result<Answer, BucketError>);

enum Answer {
    /// The store has the part, after so long.
    Sent(Part, Duration),
    Checked(bool),
    /// The store does not know the upload.
    Lost,
}

/// An upload of a file that grows.
struct Sending<'a> {
    bucket: &'a S3Bucket,
    upload: GrowingUpload<'a>,
    planner: Planner,
    /// Of the upload, while there is one.
    ledger: Option<Ledger>,
    path: Option<PathBuf>,
    /// Bytes, once it is whole.
    whole: Option<u64>,
    under_way: FuturesUnordered<BoxFuture<'a, Done>>,
    /// Through which its parts go.
    gate: Gate,
}

impl S3Bucket {
    /// Sends a file while it grows, and what is left of it once it is whole, until all of it is there or `handed_over`.
    pub(super) async fn send_growing(
        &self,
        upload: GrowingUpload<'_>,
        mut file: UnboundedReceiver<Growth>,
        handed_over: CancellationToken,
    ) -> Result<(), BucketError> {
        let resumed = handed_over.run_until_cancelled(self.resumed(upload)).await.transpose()?;
        let Some((planner, ledger)) = resumed else { return Ok(()) };
        let under_way = FuturesUnordered::new();
        let gate = Gate::default();
        let mut sending = Sending { bucket: self, upload, planner, ledger, path: None, whole: None, under_way, gate };
        let (mut told, mut open) = (false, true);
        loop {
            sending.begin_tasks().await?;
            if sending.planner.is_over() {
                return sending.end().await;
            }
            let deadline = sending.planner.next_deadline(now());
            tokio::select! {
                Some(done) = sending.under_way.next() => sending.done(done).await?,
                growth = file.recv(), if open => match growth {
                    Some(growth) => sending.grown(growth),
                    None => {
                        open = false;
                        // Whoever wrote it has given it up: nothing that is there can be relied on.
                        if sending.whole.is_none() {
                            sending.planner.handle(now(), Input::HandedOver);
                        }
                    }
                },
                () = handed_over.cancelled(), if !told => {
                    told = true;
                    sending.planner.handle(now(), Input::HandedOver);
                }
                () = reached(deadline) => {}
            }
        }
    }

    /// What there is of an earlier start's upload; asks the store until it says so.
    async fn resumed(&self, upload: GrowingUpload<'_>) -> Result<(Planner, Option<Ledger>), BucketError> {
        let planner = Planner::growing(upload.limit);
        let object = (self.store.as_str(), self.bucket.as_str(), upload.key);
        let Some(mut ledger) = Ledger::find(&self.ledgers, object, upload.recording).await? else {
            return Ok((planner, None));
        };
        let (Some(id), Some(growing)) = (ledger.upload.clone(), ledger.growing) else {
            self.discard(upload.key, upload.recording).await?;
            return Ok((planner, None));
        };
        loop {
            match self.held(upload.key, &id).await {
                Ok(Held::NoSuchUpload) => {
                    ledger.remove()?;
                    return Ok((planner, None));
                }
                Ok(held) => {
                    held.keep_held(&mut ledger.parts);
                    let known: Vec<_> = ledger.known(|_| false).collect();
                    let planner = planner.resumed(ledger.part_size, growing.channels, growing.wasted, known);
                    return Ok((planner, Some(ledger)));
                }
                Err(error) => {
                    tracing::warn!(%error, "what the store has of a recording in progress is asked for again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Sending<'_> {
    fn grown(&mut self, growth: Growth) {
        let input = match growth {
            Growth::Begun { path, channels, bytes_per_s } => {
                (self.path, self.whole) = (Some(path), None);
                Input::Begun { channels, bytes_per_s }
            }
            Growth::Settled { bytes } => Input::Settled { bytes },
            Growth::Rewritten { bytes } => Input::Rewritten { from: bytes.start, to: bytes.end },
            Growth::Whole { path, bytes } => {
                (self.path, self.whole) = (Some(path), Some(bytes));
                Input::Whole { bytes }
            }
        };
        self.planner.handle(now(), input);
        self.gate.set(self.planner.pace());
    }

    /// Puts everything under way that may be by now.
    async fn begin_tasks(&mut self) -> Result<(), BucketError> {
        while let Some(task) = self.planner.next(now()) {
            let range = match task {
                Task::Create { part_size } => {
                    self.create(part_size).await?;
                    continue;
                }
                Task::Abort => {
                    self.abort().await?;
                    continue;
                }
                Task::Send(range) | Task::Check(range) => range,
            };
            let id = self.ledger.as_ref().and_then(|ledger| ledger.upload.clone());
            let (Some(path), Some(id)) = (self.path.clone(), id) else {
                self.planner.handle(now(), Input::Failed(task));
                continue;
            };
            let (bucket, key) = (self.bucket, self.upload.key);
            self.under_way.push(if matches!(task, Task::Check(_)) {
                let sent = self.ledger.as_ref().and_then(|ledger| ledger.parts.get(&range.number).cloned());
                async move { (task, check_part(path, range, sent).await.map(Answer::Checked)) }.boxed()
            } else {
                let gate = self.gate.clone();
                async move { (task, send(bucket, (key, id), path, range, gate).await) }.boxed()
            });
        }
        Ok(())
    }

    async fn create(&mut self, part_size: u64) -> Result<(), BucketError> {
        let (bucket, GrowingUpload { key, recording, .. }) = (self.bucket, self.upload);
        let growing = Growing { channels: self.planner.channels(), wasted: self.planner.wasted() };
        let subject = Subject::growing((&bucket.store, &bucket.bucket, key), recording, part_size, growing);
        let created = async {
            bucket.check_exists().await?;
            bucket.check_place(key, PutMode::CreateNew).await?;
            let ledger = Ledger::begin_growing(&bucket.ledgers, subject).await?;
            Ok((ledger, bucket.create(key, notes(recording, None)).await?))
        };
        match created.await {
            Ok((mut ledger, id)) => {
                if let Err(error) = ledger.begin(id.clone()).await {
                    bucket.abort_or_leave(key, &id).await;
                    return Err(error);
                }
                self.ledger = Some(ledger);
                self.planner.handle(now(), Input::Created);
            }
            Err(error @ (BucketError::AlreadyExists { .. } | BucketError::Io { .. })) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a recording in progress does not go up yet; it is tried again");
                self.planner.handle(now(), Input::Failed(Task::Create { part_size }));
            }
        }
        Ok(())
    }

    async fn abort(&mut self) -> Result<(), BucketError> {
        if let Some(ledger) = self.ledger.take() {
            if let Some(id) = &ledger.upload {
                tracing::info!(recording = %self.upload.recording, "what went up is of no use: somebody joined");
                self.bucket.abort_or_leave(self.upload.key, id).await;
            }
            ledger.remove()?;
        }
        self.planner.handle(now(), Input::Aborted);
        Ok(())
    }

    async fn done(&mut self, (task, result): Done) -> Result<(), BucketError> {
        let input = match (task, result) {
            (Task::Send(range), Ok(Answer::Sent(part, took))) => {
                if let Some(ledger) = &mut self.ledger {
                    ledger.confirm(range.number, part).await?;
                }
                tracing::debug!(recording = %self.upload.recording, part = range.number, "a part of a recording went up");
                Input::Sent { number: range.number, took }
            }
            (Task::Check(range), Ok(Answer::Checked(same))) => Input::Checked { number: range.number, same },
            (_, Ok(Answer::Lost)) => {
                tracing::info!("the store no longer has the upload of a recording in progress");
                self.under_way.clear();
                if let Some(ledger) = self.ledger.take() {
                    ledger.remove()?;
                }
                Input::Lost
            }
            (task, Ok(_)) => Input::Failed(task),
            (task, Err(error)) => {
                tracing::warn!(%error, "a part of a recording in progress does not go up; it is tried again");
                Input::Failed(task)
            }
        };
        self.planner.handle(now(), input);
        Ok(())
    }

    /// Leaves the rest to whoever puts the whole file.
    async fn end(mut self) -> Result<(), BucketError> {
        let (Some(bytes), Some(path), Some(ledger)) = (self.whole, self.path.take(), &mut self.ledger) else {
            return Ok(());
        };
        let source = Source::open(&path).await?;
        if source.size == bytes {
            ledger.note_whole(&source, BTreeSet::from_iter(self.planner.doubtful())).await?;
        }
        Ok(())
    }
}

async fn send(
    bucket: &S3Bucket,
    (key, id): (&str, String),
    path: PathBuf,
    range: PartRange,
    gate: Gate,
) -> Result<Answer, BucketError> {
    let content = PartContent::read_growing(&path, range).await?;
    let began = now();
    let part = bucket.send_part(key, &id, range, &content, &[&gate, &bucket.gate], &Progress::none()).await?;
    let took = Duration::from_nanos(u64::try_from(now().0.saturating_sub(began.0)).unwrap_or(0));
    Ok(part.map_or(Answer::Lost, |part| Answer::Sent(part, took)))
}

async fn reached(deadline: Option<ClockNs>) {
    match deadline {
        Some(at) => {
            let left = u64::try_from(at.0.saturating_sub(now().0)).unwrap_or(0);
            tokio::time::sleep(Duration::from_nanos(left)).await;
        }
        None => pending().await,
    }
}
