//! Opens the bucket that the settings name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use roomtone_protocol::catalog::Reach;
use roomtone_protocol::{ErrorReport, FileLinkKey, code};
use roomtone_storage::{
    Bucket, FileLinks, FolderBucket, KeyTemplate, LifecycleRules, Prefix, PrefixError, S3Bucket, S3Settings,
    SetupReport,
};

use crate::data_dir::{DataDir, default_data_dir, host_id};
use crate::random;
use crate::settings::{BucketChoice, Settings};

/// A bucket and the part of it that is Roomtone's.
pub struct ConfiguredBucket {
    /// The store.
    pub bucket: Arc<dyn Bucket>,
    /// In front of every key.
    pub prefix: Prefix,
}

/// The bucket of these settings, for looking at it from outside a room: a folder's links lead nowhere.
///
/// # Errors
/// `invalid_setting`, or what the store says.
pub async fn configured_bucket(settings: &Settings, data_dir: Option<&Path>) -> Result<ConfiguredBucket, ErrorReport> {
    let root = data_dir.map_or_else(default_data_dir, |path| Ok(path.to_owned()))?;
    let key = FileLinkKey::from_bytes(random::bytes()?);
    let links = FileLinks { base_url: String::new(), key, reach: Reach::HostOnly };
    open(settings, &root, links).await
}

/// The bucket of these settings, with what it keeps in the data folder; a folder's links are made with `links`.
pub(crate) async fn open(
    settings: &Settings,
    data_dir: &Path,
    links: FileLinks,
) -> Result<ConfiguredBucket, ErrorReport> {
    let prefix = prefix(settings)?;
    let bucket: Arc<dyn Bucket> = match settings.bucket_choice() {
        BucketChoice::Folder => Arc::new(FolderBucket::open(data_dir.join("bucket"), links).await?),
        BucketChoice::S3 => Arc::new(open_s3(settings, data_dir).await?),
    };
    Ok(ConfiguredBucket { bucket, prefix })
}

/// Lets the bucket of these settings tell a queue of this host's own of changes; with `dry_run` it only says what would be
/// done. A host that was never started gets its id.
///
/// # Errors
/// `invalid_setting` where recordings go to a folder, or what the store says.
pub async fn set_up_notifications(
    settings: &Settings,
    data_dir: Option<&Path>,
    dry_run: bool,
) -> Result<SetupReport, ErrorReport> {
    if settings.bucket_choice() == BucketChoice::Folder {
        let message = "recordings go to a folder, which the system watches: there is nothing to set up";
        return Err(ErrorReport::new(code::INVALID_SETTING, message, "name a bucket with S3_RECORDING_BUCKET"));
    }
    let host = match host_id(data_dir)? {
        Some(host) => host,
        None => DataDir::open(data_dir)?.start()?.identity.participant(),
    };
    let root = data_dir.map_or_else(default_data_dir, |path| Ok(path.to_owned()))?;
    let bucket = open_s3(settings, &root).await?;
    Ok(bucket.set_up_notifications(&prefix(settings)?, host, dry_run).await?)
}

async fn open_s3(settings: &Settings, data_dir: &Path) -> Result<S3Bucket, ErrorReport> {
    let mut chosen = s3_settings(settings)?;
    chosen.host = host_id(Some(data_dir))?;
    Ok(S3Bucket::connect(chosen, data_dir.join("parts")).await?)
}

fn prefix(settings: &Settings) -> Result<Prefix, ErrorReport> {
    let prefix = settings.s3.prefix.as_deref().unwrap_or_default();
    prefix.parse().map_err(|error: PrefixError| {
        ErrorReport::new(code::INVALID_SETTING, error.to_string(), "correct S3_RECORDING_PREFIX")
    })
}

/// The rules by which the store of these settings would clear away by itself: about what is below the prefix, and below
/// the folder in which all recordings are.
#[must_use]
pub fn lifecycle_rules(settings: &Settings, prefix: &Prefix, template: &KeyTemplate) -> LifecycleRules {
    LifecycleRules::new(format!("{prefix}{}", template.folder()), settings.retention())
}

fn s3_settings(settings: &Settings) -> Result<S3Settings, ErrorReport> {
    let bucket = settings
        .s3
        .bucket
        .clone()
        .ok_or_else(|| ErrorReport::new(code::INVALID_SETTING, "no bucket is named", "set S3_RECORDING_BUCKET"))?;
    let mut chosen = S3Settings::new(bucket);
    chosen.region = settings.s3.region.clone().unwrap_or(chosen.region);
    chosen.endpoint.clone_from(&settings.s3.endpoint);
    chosen.notification_queue.clone_from(&settings.s3.notification_queue_url);
    chosen.listing_interval = settings.s3.listing_interval_s.map_or(chosen.listing_interval, Duration::from_secs);
    Ok(chosen)
}
