//! "Test storage": does to a probe object what Roomtone does to recordings, and names what is missing.

use bytes::Bytes;
use roomtone_protocol::ErrorReport;

use crate::{Bucket, BucketError, ChangeReport, Operation, Prefix, PutMode};

/// What the probe object holds.
const CONTENT: &[u8] = b"Roomtone was here to test the storage. This can be deleted.\n";

/// One step of the test and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeStep {
    /// What was tried.
    pub operation: Operation,
    /// None: it works. An error names the permission or setting that is missing.
    pub error: Option<ErrorReport>,
}

/// What a test of the storage found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageReport {
    /// In the order tried. After a failed write nothing that needs the probe is tried.
    pub steps: Vec<ProbeStep>,
    /// How changes are noticed, and why not in another way.
    pub changes: ChangeReport,
}

impl StorageReport {
    /// Whether everything works.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.first_error().is_none()
    }

    /// What to mend first.
    #[must_use]
    pub fn first_error(&self) -> Option<&ErrorReport> {
        self.steps.iter().find_map(|step| step.error.as_ref()).or(self.changes.problem.as_ref())
    }
}

/// Writes, reads, lists and deletes a probe object in the reserved folder. Leaves nothing behind where deleting works.
pub async fn test_storage(bucket: &dyn Bucket, prefix: &Prefix) -> StorageReport {
    let changes = bucket.find_change_source(prefix.as_str()).await;
    let mut report = StorageReport { steps: Vec::new(), changes };
    let mut note = |operation, result: Result<(), BucketError>| {
        let worked = result.is_ok();
        report.steps.push(ProbeStep { operation, error: result.err().map(ErrorReport::from) });
        worked
    };
    let reserved = prefix.reserved();
    let key = match name() {
        Ok(name) => format!("{reserved}{name}"),
        Err(error) => {
            note(Operation::Write, Err(error));
            return report;
        }
    };
    let written = bucket.put_bytes(&key, Bytes::from_static(CONTENT), PutMode::Replace).await.map(drop);
    if note(Operation::Write, written) {
        note(Operation::Read, read(bucket, &key).await);
        note(Operation::List, list(bucket, &reserved, &key).await);
        note(Operation::Delete, bucket.delete(&key).await);
    } else {
        note(Operation::List, bucket.list(&reserved).await.map(drop));
    }
    report
}

/// A name that no other test uses at the same time.
fn name() -> Result<String, BucketError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| BucketError::io("random numbers", std::io::Error::other(error)))?;
    Ok(format!("probe-{:016x}", u64::from_le_bytes(random)))
}

async fn read(bucket: &dyn Bucket, key: &str) -> Result<(), BucketError> {
    let content = bucket.get(key, CONTENT.len() as u64).await?;
    if content == CONTENT {
        return Ok(());
    }
    Err(BucketError::Refused { operation: Operation::Read, detail: "other bytes came back than were written".into() })
}

async fn list(bucket: &dyn Bucket, reserved: &str, key: &str) -> Result<(), BucketError> {
    if bucket.list(reserved).await?.iter().any(|object| object.key == key) {
        return Ok(());
    }
    Err(BucketError::Refused { operation: Operation::List, detail: "the probe object is not in the listing".into() })
}
