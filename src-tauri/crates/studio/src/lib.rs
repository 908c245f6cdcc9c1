//! What the app, the headless program and the tests drive. Wiring only: rules live in the crates below,
//! both ends of a room in `roomtone-engine`.
//!
//! * [`Host`]: a room and its recorder;
//! * [`Participant`]: somebody in a room, with a microphone or looking on;
//! * [`Visitor`]: somebody who asks one thing and goes;
//! * [`Studio`]: what a window needs of all three.

mod bucket;
mod data_dir;
mod deadline;
mod host;
mod keep_local;
mod outbox;
mod participant;
mod random;
mod runtime;
mod settings;
mod studio;
mod troubles;
mod visitor;
mod wakeful;

pub mod view;

pub use bucket::{ConfiguredBucket, configured_bucket, lifecycle_rules, set_up_notifications};
pub use data_dir::{DataDir, Start, default_data_dir, remote_identity};
pub use host::{Host, HostOptions, LocalDoor};
pub use keep_local::{KeepLocal, Keeping};
pub use participant::{Participant, ParticipantOptions};
pub use roomtone_engine::{AlarmKind, HostEvent, ParticipantEvent, PersonLine, RecordingLine, WarningKind};
pub use runtime::runtime;
pub use settings::{BucketChoice, DEFAULT_BITRATE, DEFAULT_GRACE, S3Choice, Settings};
pub use studio::{Studio, StudioConfig};
pub use visitor::Visitor;
