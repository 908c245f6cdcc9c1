//! Follows a bucket: carries out what the rules want.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use roomtone_clock::now;
use roomtone_protocol::ClockNs;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::fingerprint::Fingerprint;
use super::standing::Standing;
use super::watch::{Input, Pace, Setback, Task, Watch};
use crate::{Bucket, BucketError};

/// Something that tells when a bucket changes.
pub(crate) trait Source: Send + Sync + 'static {
    /// What it is called in logs.
    fn name(&self) -> &'static str;

    /// Whether somebody set it up: they want to know when it does not work.
    fn was_set_up(&self) -> bool;

    /// Tells of changes under `prefix` until it fails; says why it did, and what to expect. Dropping the future ends it.
    fn follow<'a>(&'a self, prefix: &'a str, news: &'a News) -> BoxFuture<'a, (Setback, BucketError)>;
}

/// Where a source tells what it knows.
#[derive(Debug)]
pub(crate) struct News(mpsc::Sender<Input>);

impl News {
    /// From here on nothing is missed.
    pub(crate) async fn connected(&self) {
        self.say(Input::Connected).await;
    }

    /// Something under the prefix changed, or may have.
    pub(crate) async fn changed(&self) {
        self.say(Input::Event).await;
    }

    async fn say(&self, input: Input) {
        // Whoever listened is gone, and drops the source.
        let _nobody_listens = self.0.send(input).await;
    }
}

/// News that wait to be looked at. The rules take each in microseconds.
const NEWS: usize = 16;

/// An item once the bucket has been listed, and whenever something under `prefix` may have changed since. Never ends by
/// itself.
pub(crate) fn changes<B: Bucket + ?Sized>(
    bucket: Arc<B>,
    prefix: String,
    pace: Pace,
    source: Option<Arc<dyn Source>>,
    standing: Arc<Standing>,
) -> BoxStream<'static, ()> {
    // One place: any number of changes before the next look are one.
    let (told, changes) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let (stopped, stop) = (stop.clone(), stop.drop_guard());
    let following = follow(bucket, prefix, pace, source, standing, told);
    tokio::spawn(async move { stopped.run_until_cancelled(following).await });
    stream::unfold((changes, stop), |(mut changes, stop)| async move {
        changes.recv().await.map(|()| ((), (changes, stop)))
    })
    .boxed()
}

async fn follow<B: Bucket + ?Sized>(
    bucket: Arc<B>,
    prefix: String,
    pace: Pace,
    source: Option<Arc<dyn Source>>,
    standing: Arc<Standing>,
    told: mpsc::Sender<()>,
) {
    let mut watch = Watch::new(now(), pace, source.is_some());
    let (news, mut inputs) = mpsc::channel(NEWS);
    let news = News(news);
    let mut following: BoxFuture<'_, (Setback, BucketError)> = pending().boxed();
    let mut listing: BoxFuture<'_, Input> = pending().boxed();
    loop {
        while let Some(task) = watch.next(now()) {
            match task {
                Task::Connect => {
                    if let Some(source) = &source {
                        following = source.follow(&prefix, &news);
                    }
                }
                Task::List => listing = list(&*bucket, &prefix).boxed(),
                Task::Tell => {
                    if told.try_send(()).is_err() {
                        tracing::trace!("a change is waiting to be seen already, or nobody looks any more");
                    }
                }
            }
        }
        standing.saw(watch.is_connected(), watch.is_distrusted());
        let input = tokio::select! {
            // What a source said before it failed comes first.
            biased;
            input = inputs.recv() => input,
            (setback, error) = &mut following => {
                following = pending().boxed();
                if let Some(source) = &source {
                    tracing::info!(source = source.name(), %error, "listings are compared instead");
                    if source.was_set_up() {
                        standing.failed(error.report());
                    }
                }
                Some(Input::Failed(setback))
            }
            input = &mut listing => {
                listing = pending().boxed();
                Some(input)
            }
            () = reached(watch.next_deadline()) => None,
        };
        if let Some(input) = input {
            if input == Input::Connected {
                tracing::info!(source = source.as_ref().map(|source| source.name()), "changes are told");
            }
            watch.handle(now(), input);
        }
    }
}

async fn list<B: Bucket + ?Sized>(bucket: &B, prefix: &str) -> Input {
    match bucket.list(prefix).await {
        Ok(listing) => Input::Listed(Fingerprint::of(&listing)),
        Err(error) => {
            tracing::debug!(%error, "the bucket could not be listed");
            Input::NotListed
        }
    }
}

/// Returns at `deadline`, at once if it has passed, and never without one. The timer may stand still while the machine
/// sleeps: after a wake it is late by no more than what it had left.
async fn reached(deadline: Option<ClockNs>) {
    match deadline {
        Some(at) => {
            let left = u64::try_from(at.0.saturating_sub(now().0)).unwrap_or(0);
            tokio::time::sleep(Duration::from_nanos(left)).await;
        }
        None => pending().await,
    }
}
