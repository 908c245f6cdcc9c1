//! Numbers that could be mistaken for one another.

use serde::{Deserialize, Serialize};

/// Every track, journal and file runs at this many frames a second.
pub const SAMPLE_RATE: u32 = 48_000;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ts_rs::TS,
        )]
        #[serde(transparent)]
        #[ts(type = "number")]
        pub struct $name(pub $inner);
    };
}

number! {
    /// Counts samples at 48 kHz that a device delivered within a wake epoch. It never goes back and
    /// never restarts inside an epoch: a new segment begins above everything before it.
    SampleIndex(u64)
}
number! {
    /// A stretch of capture from one device without a known break, counted within its wake epoch.
    SegmentId(u32)
}
number! {
    /// Counts the starts and wake-ups of one participant's program, kept on its disk.
    WakeEpoch(u32)
}
number! {
    /// Nanoseconds on one machine's timeline clock, which goes on while the machine sleeps.
    /// Values of two machines are comparable only through a clock exchange.
    ClockNs(i64)
}

impl SampleIndex {
    /// The index `samples` later.
    #[must_use]
    pub const fn plus(self, samples: u64) -> Self {
        Self(self.0.saturating_add(samples))
    }
}

/// Names a segment among everything that one participant ever captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentKey {
    /// The start or wake-up it belongs to.
    pub epoch: WakeEpoch,
    /// Its number there.
    pub segment: SegmentId,
}

/// Samples `from..to` of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IndexRange {
    /// The segment.
    pub segment: SegmentKey,
    /// First sample.
    pub from: SampleIndex,
    /// One past the last sample.
    pub to: SampleIndex,
}
