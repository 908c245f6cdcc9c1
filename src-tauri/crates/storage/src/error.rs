//! What can go wrong with a bucket, and what to do about it.

use std::io;
use std::path::PathBuf;

use roomtone_protocol::{ErrorReport, code};

/// What was being done to the bucket. Each needs a permission, which an error can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Listing keys.
    List,
    /// Reading an object or asking for its size.
    Read,
    /// Writing an object, whole or in parts.
    Write,
    /// Asking which parts of an upload have arrived.
    ListParts,
    /// Discarding an unfinished upload.
    AbortUpload,
    /// Removing an object.
    Delete,
    /// Waiting for events in a queue.
    ReceiveEvents,
    /// Removing events that were read from a queue.
    DeleteEvents,
    /// Listening to the store.
    Listen,
    /// Looking for a queue by its name.
    FindQueue,
    /// Making a queue.
    CreateQueue,
    /// Asking how a queue is set up.
    ReadQueue,
    /// Setting up a queue.
    WriteQueue,
    /// Asking whom the bucket tells of changes.
    ReadNotifications,
    /// Setting whom the bucket tells of changes.
    WriteNotifications,
    /// Asking for the bucket's lifecycle rules.
    ReadLifecycle,
    /// Changing the bucket's lifecycle rules.
    WriteLifecycle,
}

impl Operation {
    /// The permission in the words of an IAM policy. A folder has none; its errors name the path instead.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        match self {
            Self::List => "s3:ListBucket",
            Self::Read => "s3:GetObject",
            Self::Write => "s3:PutObject",
            Self::ListParts => "s3:ListMultipartUploadParts",
            Self::AbortUpload => "s3:AbortMultipartUpload",
            Self::Delete => "s3:DeleteObject",
            Self::ReceiveEvents => "sqs:ReceiveMessage",
            Self::DeleteEvents => "sqs:DeleteMessage",
            Self::Listen => "s3:ListenBucketNotification",
            Self::FindQueue => "sqs:GetQueueUrl",
            Self::CreateQueue => "sqs:CreateQueue",
            Self::ReadQueue => "sqs:GetQueueAttributes",
            Self::WriteQueue => "sqs:SetQueueAttributes",
            Self::ReadNotifications => "s3:GetBucketNotification",
            Self::WriteNotifications => "s3:PutBucketNotification",
            Self::ReadLifecycle => "s3:GetLifecycleConfiguration",
            Self::WriteLifecycle => "s3:PutLifecycleConfiguration",
        }
    }

    const fn doing(self) -> &'static str {
        match self {
            Self::List => "listing the bucket",
            Self::Read => "reading an object",
            Self::Write => "writing an object",
            Self::ListParts => "asking for the parts of an upload",
            Self::AbortUpload => "discarding an unfinished upload",
            Self::Delete => "deleting an object",
            Self::ReceiveEvents => "waiting for events in the queue",
            Self::DeleteEvents => "removing events from the queue",
            Self::Listen => "listening to it",
            Self::FindQueue => "looking for the queue",
            Self::CreateQueue => "making a queue",
            Self::ReadQueue => "telling how the queue is set up",
            Self::WriteQueue => "setting up the queue",
            Self::ReadNotifications => "telling whom the bucket notifies",
            Self::WriteNotifications => "setting whom the bucket notifies",
            Self::ReadLifecycle => "telling the bucket's lifecycle rules",
            Self::WriteLifecycle => "changing the bucket's lifecycle rules",
        }
    }

    /// What the permission is to be granted on.
    const fn resource(self) -> &'static str {
        match self {
            Self::ReceiveEvents | Self::DeleteEvents | Self::FindQueue | Self::ReadQueue | Self::WriteQueue => {
                "the queue"
            }
            Self::CreateQueue => "queues whose names begin with `roomtone-`",
            Self::Listen
            | Self::ReadNotifications
            | Self::WriteNotifications
            | Self::ReadLifecycle
            | Self::WriteLifecycle => "the bucket",
            _ => "the bucket and its objects",
        }
    }
}

/// Why a bucket did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// Nothing answered: try again later.
    #[error("the storage cannot be reached: {0}")]
    Unreachable(String),
    /// The keys are wrong, expired or missing: a person must mend the settings.
    #[error("the storage does not accept the access keys ({0})")]
    Credentials(String),
    /// The keys are good but may not do this: a person must grant the permission.
    #[error("the storage refuses {} ({detail})", operation.doing())]
    Denied {
        /// What was refused.
        operation: Operation,
        /// The store's own words.
        detail: String,
    },
    /// There is no bucket of this name: a person must make one or mend the setting.
    #[error("there is no bucket {0:?}")]
    NoSuchBucket(String),
    /// There is no queue of this name: a person must make one or mend the setting.
    #[error("there is no queue {0:?}")]
    NoSuchQueue(String),
    /// The store has nothing that it could tell of changes. What it answered when it was asked.
    #[error("this store has no queues that it could tell of changes ({0})")]
    NoQueues(String),
    /// The bucket tells somebody else of the same events, and stores let only one have them.
    #[error("the bucket tells {by} of these events already, and a store tells only one of each")]
    EventsTaken {
        /// Whom, and what the setting is called.
        by: String,
    },
    /// The bucket lives in another region than the settings say.
    #[error("the bucket is in another region ({0})")]
    WrongRegion(String),
    /// The clock of this computer is too far off for signatures.
    #[error("the clock of this computer is off")]
    ClockSkew,
    /// `PutMode::CreateNew` found an object there. Choose another key.
    #[error("there is an object {key:?} already")]
    AlreadyExists {
        /// The key that is taken.
        key: String,
    },
    /// `PutMode::ReplaceVersion` found another version there, or none. Look at it again.
    #[error("the object {key:?} was changed by somebody else")]
    Changed {
        /// The key.
        key: String,
    },
    /// The store holds the object back: object lock, a legal hold or a retention policy. A person with the right to must
    /// lift that, or wait.
    #[error("the storage does not let go of the object {key:?}: {detail}")]
    Locked {
        /// The key.
        key: String,
        /// The store's own words.
        detail: String,
    },
    /// The store has no lifecycle rules.
    #[error("this storage has no lifecycle rules")]
    NoLifecycle,
    /// There is no such object.
    #[error("there is no object {key:?}")]
    NotFound {
        /// The key asked for.
        key: String,
    },
    /// The object is larger than the caller is willing to read into memory.
    #[error("the object {key:?} is larger than {limit} bytes")]
    TooLarge {
        /// The key asked for.
        key: String,
        /// The most the caller takes, in bytes.
        limit: u64,
    },
    /// The key cannot be used with this bucket. Choose another key.
    #[error("{key:?} cannot be a key: {reason}")]
    InvalidKey {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A link cannot be made for this long.
    #[error("a link cannot last that long or short: {0}")]
    InvalidLifetime(String),
    /// A setting cannot be used.
    #[error("{0}")]
    InvalidSetting(String),
    /// The file changed while it was being read. Try again.
    #[error("the file {path} changed while it was being uploaded")]
    SourceChanged {
        /// The local file.
        path: PathBuf,
    },
    /// What arrived is not what was sent. Try again.
    #[error("the object {key:?} has {found} bytes in the storage instead of {expected}")]
    Incomplete {
        /// The key.
        key: String,
        /// Bytes sent.
        expected: u64,
        /// Bytes there.
        found: u64,
    },
    /// What lies there was written by a newer version and is left as it is.
    #[error("{0} was written by a newer version of Roomtone")]
    NewerVersion(String),
    /// A file of this computer could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store answered with something else.
    #[error("the storage refused {} ({detail})", operation.doing())]
    Refused {
        /// What was being done.
        operation: Operation,
        /// The store's own words.
        detail: String,
    },
}

impl BucketError {
    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// The stable code, what happened, what to do.
    #[must_use]
    pub fn report(&self) -> ErrorReport {
        let hint = match self {
            Self::Unreachable(_) => {
                "check the network and the endpoint or folder in the settings; it is tried again by itself".to_owned()
            }
            Self::Credentials(_) => {
                "check access key and secret key in the settings, and that they have not expired".to_owned()
            }
            Self::Denied { operation, .. } => {
                format!("grant {} on {} to these access keys", operation.permission(), operation.resource())
            }
            Self::NoSuchBucket(_) => "create the bucket, or correct its name in the settings".to_owned(),
            Self::NoSuchQueue(_) => {
                "correct S3_NOTIFICATION_QUEUE_URL, or make one with `roomtone storage setup-notifications`".to_owned()
            }
            Self::NoQueues(_) => "nothing needs to be set up: it is listened to where it offers that, and else listings are \
                                  compared; `roomtone storage test` tells which"
                .to_owned(),
            Self::EventsTaken { .. } => {
                "set a prefix (S3_RECORDING_PREFIX) below which the other wants none, or let the bucket tell an SNS topic \
                 and subscribe a queue of each host's own to it"
                    .to_owned()
            }
            Self::WrongRegion(_) => "set the region in the settings to the bucket's own".to_owned(),
            Self::ClockSkew => "set the clock of this computer to the right time".to_owned(),
            Self::AlreadyExists { .. } => "choose another key, or move the object away".to_owned(),
            Self::Locked { .. } => {
                "wait until its time is over, or lift the lock, hold or policy in the storage's own console".to_owned()
            }
            Self::NoLifecycle => {
                "nothing needs to be done: with a retention set, the host deletes what is too old by itself".to_owned()
            }
            Self::NotFound { .. } => "refresh the list: somebody may have deleted it".to_owned(),
            Self::TooLarge { .. } => "download it through a link instead".to_owned(),
            Self::InvalidKey { .. } => "correct the prefix and the key template in the settings".to_owned(),
            Self::InvalidLifetime(_) => "choose a lifetime between one second and seven days".to_owned(),
            Self::InvalidSetting(_) => "correct the storage settings".to_owned(),
            Self::SourceChanged { .. } | Self::Incomplete { .. } | Self::Changed { .. } => {
                "nothing: it is tried again by itself".to_owned()
            }
            Self::NewerVersion(_) => "update Roomtone".to_owned(),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on the disk".to_owned()
            }
            Self::Io { .. } => "check that the folder is there and may be written".to_owned(),
            Self::Refused { .. } => "run `roomtone storage test` for details".to_owned(),
        };
        ErrorReport::new(self.code(), self.to_string(), hint)
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => code::STORAGE_UNREACHABLE,
            Self::NotFound { .. } => code::RECORDING_NOT_FOUND,
            Self::InvalidSetting(_) | Self::InvalidLifetime(_) | Self::InvalidKey { .. } => code::INVALID_SETTING,
            Self::NewerVersion(_) => code::NEWER_VERSION,
            Self::Io { .. } => code::IO,
            Self::Credentials(_)
            | Self::Denied { .. }
            | Self::NoSuchBucket(_)
            | Self::NoSuchQueue(_)
            | Self::NoQueues(_)
            | Self::EventsTaken { .. }
            | Self::WrongRegion(_)
            | Self::ClockSkew
            | Self::AlreadyExists { .. }
            | Self::Changed { .. }
            | Self::Locked { .. }
            | Self::NoLifecycle
            | Self::TooLarge { .. }
            | Self::SourceChanged { .. }
            | Self::Incomplete { .. }
            | Self::Refused { .. } => code::STORAGE,
        }
    }
}

impl From<BucketError> for ErrorReport {
    fn from(error: BucketError) -> Self {
        error.report()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_permission_that_is_missing() {
        let report = BucketError::Denied { operation: Operation::ListParts, detail: "AccessDenied".into() }.report();
        assert_eq!(report.code, code::STORAGE);
        assert!(report.hint.contains("s3:ListMultipartUploadParts"), "{report}");
    }

    #[test]
    fn a_store_that_does_not_answer_has_a_code_of_its_own() {
        let report = BucketError::Unreachable("connection refused".into()).report();
        assert_eq!(report.code, code::STORAGE_UNREACHABLE);
    }
}
