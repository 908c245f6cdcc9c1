//! Of the packets that come in a second, the least late one tells most about its sender's clock.

use roomtone_packets::Arrival;
use roomtone_protocol::{ClockNs, SAMPLE_RATE};

/// How long packets are compared with each other, in nanoseconds: a second, as often as other clocks are asked for.
const EVERY_NS: i64 = 1_000_000_000;

/// The packets of one sender, as they come.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    second: Option<Second>,
}

#[derive(Debug, Clone, Copy)]
struct Second {
    began: ClockNs,
    least: Arrival,
}

impl Arrivals {
    /// Takes the arrival of a packet; returns the least late one of the second that is over with it.
    pub fn take(&mut self, arrival: Arrival) -> Option<Arrival> {
        let Some(second) = &mut self.second else {
            self.second = Some(Second { began: arrival.at, least: arrival });
            return None;
        };
        let goes_on = second.least.segment == arrival.segment
            && (0..EVERY_NS).contains(&arrival.at.0.saturating_sub(second.began.0));
        if goes_on {
            if lateness(&arrival) < lateness(&second.least) {
                second.least = arrival;
            }
            return None;
        }
        let least = second.least;
        *second = Second { began: arrival.at, least: arrival };
        Some(least)
    }
}

/// Nanoseconds behind a nominal rate.
fn lateness(arrival: &Arrival) -> i128 {
    i128::from(arrival.at.0) - i128::from(arrival.end.0) * 1_000_000_000 / i128::from(SAMPLE_RATE)
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::{SampleIndex, SegmentId, SegmentKey, WakeEpoch};

    use super::*;

    fn arrival(segment: u32, packet: u64, late_ms: i64) -> Arrival {
        let segment = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(segment) };
        let at = ClockNs((packet as i64 * 20 + late_ms) * 1_000_000);
        Arrival { segment, end: SampleIndex(packet * 960), at }
    }

    #[test]
    fn the_least_late_packet_of_each_second_is_told() {
        let mut arrivals = Arrivals::default();
        let told: Vec<_> =
            (0..=200).filter_map(|n| arrivals.take(arrival(0, n, if n % 50 == 17 { 3 } else { 40 }))).collect();
        assert_eq!(told, [17, 67, 117, 167].map(|n| arrival(0, n, 3)));
    }

    #[test]
    fn another_segment_or_another_clock_begins_anew() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.take(arrival(0, 500, 3)), None);
        assert_eq!(arrivals.take(arrival(1, 501, 3)), Some(arrival(0, 500, 3)));
        assert_eq!(arrivals.take(arrival(1, 2, 3)), Some(arrival(1, 501, 3)));
    }
}
