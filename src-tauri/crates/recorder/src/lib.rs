//! The recorder: packets in, one multichannel file out.
//!
//! The [`Journal`] is the truth: every packet as it came. Everything else is a projection of it:
//!
//! ```text
//! packets -> Journal --+-> Backfill       what to ask for
//!                      +-> ChannelLedger  what is missing, and why
//! clocks -> TrackClock +-> Renderer       file frames to PCM
//! edges  -> Timeline   +-> Take           the file while it grows, and its metadata
//! ```
//!
//! A [`Take`] is fed with [`JournalSnapshot`]s, on a thread of its own; [`finalize`] makes one of a journal in one pass.
//! Only the journal and the take touch the disk. Nothing here knows a network, a clock or a thread.

mod backfill;
mod boots;
mod clock_map;
mod finalize;
mod journal;
mod ledger;
mod packet_length;
mod render;
mod stretch;
mod take;
mod timeline;
mod wav;

pub use backfill::{Backfill, BackfillInput};
pub use clock_map::{Across, Arrivals, TrackClock};
pub use finalize::{ChannelSpec, FinalizeError, FinalizeOptions, Finished, OnProgress, Progress, finalize, hash_take};
pub use journal::{
    JOURNAL_SCHEMA, Journal, JournalError, JournalPackets, JournalSnapshot, RecordingHeader, SessionNotes,
    SnapshotPackets, TrackNotes,
};
pub use ledger::{ChannelLedger, Evidence};
pub use packet_length::packet_samples;
pub use render::{BitDepth, PacketSource, RenderError, Renderer, TrackPlan};
pub use take::{FileWatch, Horizon, Step, Take, TakeSettings};
pub use timeline::{FileFrame, Span, Timeline, TimelineFrame};
pub use wav::{Origination, WavDescription, WavFrame};
