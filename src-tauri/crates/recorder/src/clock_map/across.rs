//! A boot of the recorder's computer, seen by a participant's clock that went on meanwhile.
//!
//! What was measured before tells where the old clock would be by now; what is measured now, where the new one is. The
//! way between the two machines is the same, so its asymmetry is in both and falls out.

use roomtone_packets::ClockExchange;
use roomtone_protocol::{ClockNs, WakeEpoch};

use super::TrackClock;
use super::offset::{DOUBTED, Offset};

/// Exchanges after which a link's measurements count: the first ones may have waited for a lost packet.
const ENOUGH: usize = 8;

/// What a participant's clock says of the recorder's clocks before and behind a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Across {
    /// What the new clock shows less than the old one would, in nanoseconds.
    pub shift_ns: i64,
    /// How far that may be off, in nanoseconds.
    pub uncertainty_ns: u64,
}

impl TrackClock {
    /// Whether the participant's clock was compared in this epoch.
    #[must_use]
    pub fn has_measured(&self, epoch: WakeEpoch) -> bool {
        self.epochs.contains_key(&epoch)
    }

    /// What exchanges with the recorder's new clock say of the clock that all exchanges before were made with. None if the
    /// participant's clock did not go on, or if there are too few.
    #[must_use]
    pub fn across(&self, measured: &[ClockExchange]) -> Option<Across> {
        let epoch = measured.last()?.epoch;
        let of_epoch = || measured.iter().filter(|exchange| exchange.epoch == epoch);
        let before = self.epochs.get(&epoch)?;
        let mut behind = Offset::default();
        of_epoch().for_each(|exchange| behind.take(exchange));
        let (first, last) = (of_epoch().next()?, of_epoch().next_back()?);
        // Who shares the recorder's clock has lost the same one.
        if of_epoch().count() < ENOUGH || [before, &behind].iter().any(|offset| offset.is_one_clock()) {
            return None;
        }
        let at = ClockNs(first.t1.0.midpoint(last.t2.0));
        let (old, new) = (before.fit(before.seconds(at))?, behind.fit(behind.seconds(at))?);
        let fine_us = old.fit.state.offset - new.fit.state.offset;
        let doubt_us = DOUBTED * old.fit.state.error().hypot(new.fit.state.error())
            + old.bias
            + new.bias
            // A way that became longer may have done so in one direction.
            + (old.asymmetry - new.asymmetry).abs();
        let whole = i128::from(before.base()?) - i128::from(behind.base()?);
        let shift_ns = i64::try_from(whole + (fine_us * 1e3).round() as i128).ok()?;
        // Floats that are too large become the largest integer.
        Some(Across { shift_ns, uncertainty_ns: (doubt_us * 1e3).ceil() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The participant's clock runs 20 ppm fast and far ahead; 9 ms there, 4 ms back, and up to 300 µs in queues.
    fn exchange(epoch: u32, true_ns: i64, recorder: impl Fn(i64) -> i64) -> ClockExchange {
        let participant = |at: i64| 77 * SECOND + at + at / 50_000;
        let queue = |n: i64| (true_ns / SECOND + n) * 7_919 % 300 * 1_000;
        let there = true_ns + 9_000_000 + queue(1);
        let back = there + 4_000_000 + queue(2);
        let asked = ClockNs(recorder(true_ns));
        let answered = ClockNs(participant(there));
        ClockExchange { epoch: WakeEpoch(epoch), t0: asked, t1: answered, t2: answered, t3: ClockNs(recorder(back)) }
    }

    /// A session of five minutes, a boot of one, and the first exchanges afterwards, every tenth of a second.
    fn across(epoch: u32, count: i64, booted_at_ns: i64) -> Option<Across> {
        let mut clock = TrackClock::default();
        (0..300).for_each(|n| clock.on_exchange(&exchange(4, n * SECOND, |at| at)));
        let later = (0..count).map(|n| exchange(epoch, 360 * SECOND + n * SECOND / 10, |at| at - booted_at_ns));
        clock.across(&later.collect::<Vec<_>>())
    }

    #[test]
    fn a_clock_that_went_on_tells_what_the_boot_took_whatever_its_path() {
        for booted_at_ns in [340 * SECOND + 123_456, -5 * SECOND] {
            let across = across(4, 8, booted_at_ns).unwrap();
            let off = across.shift_ns.abs_diff(booted_at_ns);
            println!("{across:?} is {off} ns off");
            assert!(off < 150_000, "{across:?} is {off} ns off");
            assert!(off <= across.uncertainty_ns && across.uncertainty_ns < 1_500_000, "{across:?}");
        }
    }

    #[test]
    fn a_clock_that_began_anew_and_a_few_exchanges_tell_nothing() {
        assert_eq!(across(5, 20, 340 * SECOND), None);
        assert_eq!(across(4, 7, 340 * SECOND), None);
        assert_eq!(TrackClock::default().across(&[]), None);
    }

    #[test]
    fn who_shares_the_recorders_clock_has_lost_it_with_it() {
        let own = |at: i64| ClockExchange {
            epoch: WakeEpoch(4),
            t0: ClockNs(at),
            t1: ClockNs(at),
            t2: ClockNs(at),
            t3: ClockNs(at),
        };
        let mut clock = TrackClock::default();
        clock.on_exchange(&own(0));
        assert_eq!(clock.across(&[own(1); ENOUGH]), None);
    }
}
