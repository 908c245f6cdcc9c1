//! Where finished recordings go: a bucket, the durable queue that fills it, and the list of what is in it.
//!
//! * [`Bucket`]: what the rest needs of a store; [`FolderBucket`] and [`S3Bucket`] are the two there are;
//! * [`KeyTemplate`] and [`Prefix`]: how objects are named;
//! * [`Publisher`]: takes a finished take, and does not rest until the bucket has confirmed it; sends one that grows on its way;
//! * [`Catalog`]: every audio object under the prefix, renewed whenever the bucket changes;
//! * [`ChangeReport`]: how changes are noticed, and why not in a better way; [`S3Bucket::set_up_notifications`] arranges one;
//! * [`test_storage`]: writes, reads, lists and deletes a probe object and names what is missing.
//!
//! Nothing here knows what a track is; a take is a file with a [`roomtone_protocol::metadata::Metadata`] beside it.

mod address;
mod bucket;
mod catalog;
mod changes;
mod error;
mod folder;
mod key;
mod lifecycle;
mod off_thread;
mod prefix;
mod probe;
mod publish;
mod s3;

pub use bucket::{Bucket, FileUpload, GrowingUpload, Growth, ObjectInfo, Progress, PutMode};
pub use catalog::{Catalog, CatalogSettings, Cursor, CursorError, Edit, Listed, Removal, Viewer, page};
pub use changes::{ChangeReport, ChangeSource};
pub use error::{BucketError, Operation};
pub use folder::{FileLinks, FolderBucket};
pub use key::{
    KeyFields, KeyTemplate, KeyTemplateError, companion_keys, companion_of, is_audio_key, is_recording_key,
    metadata_key, mix_key, picture_key, slug,
};
pub use lifecycle::{LifecycleChange, LifecycleReport, LifecycleRules, OwnRule, RuleAction};
pub use prefix::{Prefix, PrefixError};
pub use probe::{ProbeStep, StorageReport, test_storage};
pub use publish::{Going, GrowingTake, Job, PublishEvent, Publisher, PublisherSettings, QueueError};
pub use s3::{S3Bucket, S3Keys, S3Settings, SetupReport, SetupStep};
