//! How long the recorder's disk will do.

use std::time::Duration;

use roomtone_protocol::SAMPLE_RATE;

/// Bytes that are never counted on: what finalizing, settings and the system still need when a recording has ended
/// because of it, and what 32 channels write in ten seconds, in case the driver looks late.
pub(crate) const RESERVE_BYTES: u64 = 64 * 1024 * 1024;

/// What a channel's journal takes a second, in bytes: Opus at 128 kb/s is 16,000, the records around its 50 packets are
/// 30 each, and clock measurements, anchors and inventories stay below the rest.
const JOURNAL_BYTES_A_SECOND: u64 = 20_000;

/// What the driver told last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    free_bytes: Option<u64>,
    bytes_per_sample: u32,
}

impl Disk {
    pub(crate) fn new(bytes_per_sample: u32) -> Self {
        Self { free_bytes: None, bytes_per_sample }
    }

    pub(crate) fn told(&mut self, free_bytes: u64) {
        self.free_bytes = Some(free_bytes);
    }

    /// Whether only the reserve is left.
    pub(crate) fn is_full(&self) -> bool {
        self.free_bytes.is_some_and(|free| free <= RESERVE_BYTES)
    }

    /// Recorded time that there is room for with so many channels, in whole milliseconds; None before the driver told.
    pub(crate) fn left(&self, channels: usize) -> Option<Duration> {
        let usable = u128::from(self.free_bytes?.saturating_sub(RESERVE_BYTES));
        let channel = JOURNAL_BYTES_A_SECOND + u64::from(SAMPLE_RATE) * u64::from(self.bytes_per_sample);
        // An empty room will have one channel at least.
        let a_second = u128::from(channel) * channels.max(1) as u128;
        Some(Duration::from_millis(u64::try_from(usable * 1_000 / a_second).unwrap_or(u64::MAX)))
    }
}

/// The same as everyone sees it, in milliseconds: whole minutes, so that it does not change with every look.
pub(crate) fn shown(left: Duration) -> u64 {
    (left.as_secs() / 60).saturating_mul(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn journal_and_file_of_every_channel_live_on_the_disk() {
        let mut disk = Disk::new(3);
        assert_eq!((disk.left(2), disk.is_full()), (None, false));
        // A channel takes 20,000 + 48,000 * 3 bytes a second.
        disk.told(64 * MIB + 2 * 164_000 * 600);
        assert_eq!(disk.left(2), Some(Duration::from_secs(600)));
        assert_eq!(disk.left(1), Some(Duration::from_secs(1_200)));
        assert_eq!(disk.left(0), disk.left(1));
        assert!(!disk.is_full());
    }

    #[test]
    fn the_reserve_is_not_counted_on() {
        let mut disk = Disk::new(3);
        for free in [0, 64 * MIB] {
            disk.told(free);
            assert_eq!((disk.left(1), disk.is_full()), (Some(Duration::ZERO), true));
        }
        disk.told(64 * MIB + 1);
        assert!(!disk.is_full());
        disk.told(u64::MAX);
        assert!(disk.left(1) > Some(Duration::from_secs(1 << 40)));
    }

    #[test]
    fn everyone_sees_whole_minutes() {
        assert_eq!(shown(Duration::from_millis(179_999)), 120_000);
        assert_eq!(shown(Duration::from_secs(59)), 0);
        assert_eq!(shown(Duration::from_millis(u64::MAX)) % 60_000, 0);
    }
}
