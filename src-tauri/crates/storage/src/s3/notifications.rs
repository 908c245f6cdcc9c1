//! How a store may tell that a bucket changed, which of the ways this one has, and how to set one up.

mod address;
mod event;
mod explain;
mod lines;
mod listen;
mod queue;
mod setup;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use futures_util::stream::BoxStream;
use roomtone_protocol::{ErrorReport, ParticipantId, code};

pub use setup::{SetupReport, SetupStep};

use self::address::QueueAddress;
use self::listen::{Listening, PING};
use self::queue::Queue;
use super::S3Settings;
use crate::changes::{ChangeReport, ChangeSource, Pace, Setback, Source, Standing, in_words};
use crate::{BucketError, Operation};

/// How often listings are compared beside a source that tells: so much later a change shows that it did not tell.
const BESIDE: Duration = Duration::from_secs(600);

/// Between signs of life when a store is only asked whether it gives any.
const QUICK_PING: Duration = Duration::from_secs(1);

/// The one way in which this store may tell of changes.
#[derive(Debug, Clone)]
enum Way {
    /// Somebody set up a queue.
    Queue(Arc<Queue>),
    /// It is not AWS, and may let one listen.
    Listen(Arc<Listening>),
    /// AWS without a queue.
    None,
}

/// How a bucket's changes are noticed.
#[derive(Debug)]
pub(super) struct Notifications {
    way: Way,
    pace: Pace,
    standing: Arc<Standing>,
    host: Option<ParticipantId>,
    client: Client,
    bucket: String,
    region: String,
    /// Where the store is unless it is AWS.
    endpoint: Option<String>,
    /// What all clients have in common.
    shared: SdkConfig,
}

impl Notifications {
    pub(super) fn new(settings: &S3Settings, shared: &SdkConfig, client: &Client) -> Result<Self, BucketError> {
        let way = match &settings.notification_queue {
            Some(queue) => Way::Queue(Arc::new(Queue::new(shared, QueueAddress::parse(queue)?, &settings.bucket))),
            None if settings.endpoint.is_some() => {
                Way::Listen(Arc::new(Listening::new(client.clone(), &settings.bucket, PING)))
            }
            None => Way::None,
        };
        let alone = settings.listing_interval;
        Ok(Self {
            way,
            pace: Pace { alone, beside: BESIDE.max(alone) },
            standing: Arc::default(),
            host: settings.host,
            client: client.clone(),
            bucket: settings.bucket.clone(),
            region: settings.region.clone(),
            endpoint: settings.endpoint.clone(),
            shared: shared.clone(),
        })
    }

    /// What tells, how often listings are compared, and where it is noted how it stands.
    pub(super) fn parts(&self) -> (Option<Arc<dyn Source>>, Pace, Arc<Standing>) {
        let source: Option<Arc<dyn Source>> = match &self.way {
            Way::Queue(queue) => Some(Arc::clone(queue) as Arc<dyn Source>),
            Way::Listen(listening) => Some(Arc::clone(listening) as Arc<dyn Source>),
            Way::None => None,
        };
        (source, self.pace, Arc::clone(&self.standing))
    }

    /// What is wrong with the queue, each time that something is.
    pub(super) fn troubles(&self) -> BoxStream<'static, ErrorReport> {
        self.standing.troubles()
    }

    /// How it is just now.
    pub(super) fn source(&self) -> ChangeSource {
        match self.way {
            Way::Queue(_) if self.standing.is_connected() => ChangeSource::Queue,
            Way::Listen(_) if self.standing.is_connected() => ChangeSource::Listening,
            _ => self.comparing(),
        }
    }

    fn comparing(&self) -> ChangeSource {
        ChangeSource::ComparingListings(self.pace.alone)
    }

    /// Tries the way there is.
    pub(super) async fn find(&self, prefix: &str) -> ChangeReport {
        let beside = format!("listings are compared every {} beside it", in_words(self.pace.beside));
        match &self.way {
            Way::Queue(queue) => match queue.try_out().await {
                Ok(()) => self.queue_report(queue, beside),
                Err(error) => ChangeReport { problem: Some(error.report()), ..ChangeReport::of(self.comparing()) },
            },
            Way::Listen(_) => {
                let listening = Listening::new(self.client.clone(), &self.bucket, QUICK_PING);
                match listening.try_out(prefix).await {
                    Ok(()) => ChangeReport { remarks: vec![beside], ..ChangeReport::of(ChangeSource::Listening) },
                    Err((setback, error)) => ChangeReport {
                        remarks: vec![not_listening(setback, &error)],
                        ..ChangeReport::of(self.comparing())
                    },
                }
            }
            Way::None => {
                let remark = "`roomtone storage setup-notifications` lets the bucket tell at once".to_owned();
                ChangeReport { remarks: vec![remark], ..ChangeReport::of(self.comparing()) }
            }
        }
    }

    /// A queue that works: what it is called, and whose it is.
    fn queue_report(&self, queue: &Queue, beside: String) -> ChangeReport {
        let name = &queue.address.name;
        let mut report = ChangeReport::of(ChangeSource::Queue);
        let owner = setup::owner(name);
        match (owner, self.host) {
            (Some(owner), Some(host)) if owner == host.short() => {
                report.remarks.push(format!("`{name}`, which is this host's own"));
            }
            (Some(_), Some(_)) => {
                report.problem = Some(ErrorReport::new(
                    code::STORAGE,
                    format!("the queue `{name}` was set up for another host, and each message reaches one of them only"),
                    "give this host a queue of its own: `roomtone storage setup-notifications`",
                ));
            }
            _ => report.remarks.push(format!(
                "`{name}`, from which no other host may read: whether one does cannot be seen, and it would miss half of the \
                 changes"
            )),
        }
        report.remarks.push(beside);
        report
    }
}

fn not_listening(setback: Setback, error: &BucketError) -> String {
    match (setback, error) {
        (Setback::Unsupported, BucketError::Denied { .. }) => {
            format!("these access keys may not listen to the store ({})", Operation::Listen.permission())
        }
        (Setback::Unsupported, BucketError::Refused { detail, .. }) => {
            format!("the store does not let one listen ({detail})")
        }
        _ => format!("the store cannot be listened to just now: {error}"),
    }
}
