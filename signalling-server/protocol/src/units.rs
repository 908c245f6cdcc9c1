//! Numbers that could be mistaken for one another.

use serde::{Deserialize, Deserializer, Serialize, de};

/// No clock shows this, and nobody speaks for as long: 73 years of nanoseconds, 3 million years of samples. Whatever strangers
/// send, sums and differences of a few such numbers stay far from the limits of 64 bits.
const BEYOND_CLOCKS: u64 = 1 << 61;
const BEYOND_SAMPLES: u64 = 1 << 62;

/// Every track, journal and file runs at this many frames a second.
pub const SAMPLE_RATE: u32 = 48_000;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $is_possible:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, ts_rs::TS)]
        #[serde(transparent)]
        #[ts(type = "number")]
        pub struct $name(pub $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = <$inner>::deserialize(deserializer)?;
                let is_possible: fn($inner) -> bool = $is_possible;
                if is_possible(number) {
                    Ok(Self(number))
                } else {
                    Err(de::Error::custom(concat!("no ", stringify!($name), " is that large")))
                }
            }
        }
    };
}

number! {
    /// Counts samples at 48 kHz that a device delivered within a wake epoch. It never goes back and
    /// never restarts inside an epoch: a new segment begins above everything before it.
    SampleIndex(u64), |index| index < BEYOND_SAMPLES
}
number! {
    /// A stretch of capture from one device without a known break, counted within its wake epoch.
    SegmentId(u32), |_| true
}
number! {
    /// Counts the starts and wake-ups of one participant's program, kept on its disk.
    WakeEpoch(u32), |_| true
}
number! {
    /// Nanoseconds on one machine's timeline clock, which goes on while the machine sleeps.
    /// Values of two machines are comparable only through a clock exchange.
    ClockNs(i64), |ns| ns.unsigned_abs() < BEYOND_CLOCKS
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_unless_they_are_beyond_all_clocks() {
        let clock = |text: &str| serde_json::from_str::<ClockNs>(text).ok();
        assert_eq!(clock("-2305843009213693951"), Some(ClockNs(1 - (1 << 61))));
        for beyond in ["2305843009213693952", "-2305843009213693952", "-9223372036854775808", "9223372036854775807"] {
            assert_eq!(clock(beyond), None, "{beyond}");
        }
        let index = |text: &str| serde_json::from_str::<SampleIndex>(text).ok();
        assert_eq!(index("4611686018427387903"), Some(SampleIndex((1 << 62) - 1)));
        assert_eq!((index("4611686018427387904"), index("18446744073709551615")), (None, None));
        assert_eq!(serde_json::to_string(&SampleIndex(7)).ok().as_deref(), Some("7"));
    }
}
