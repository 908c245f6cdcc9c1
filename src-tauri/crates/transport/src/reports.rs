//! Sender reports (RFC 3550, section 6.4.1): what a member's RTP sender says of its clock, for those who cannot be asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use roomtone_protocol::ClockNs;
use rtc::interceptor::{Attribute, Interceptor, Packet, ReceiverReportInterceptor, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::sender_report::SenderReport;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Seconds from 1900, where NTP counts from, to 1970 (RFC 5905, section 6).
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// The library's receiver of reports, which is where they would end. Those that are wanted go on.
pub(crate) struct Reports {
    library: ReceiverReportInterceptor,
    wanted: Arc<AtomicBool>,
}

impl Reports {
    /// Lets reports through from when `wanted` is set.
    pub(crate) fn new(library: ReceiverReportInterceptor, wanted: Arc<AtomicBool>) -> Self {
        Self { library, wanted }
    }
}

/// A report's RTP timestamp, and the sender's clock at that instant in nanoseconds since 1970.
pub(crate) fn report(packets: &[Box<dyn rtcp::Packet>]) -> Option<(u32, ClockNs)> {
    let report = packets.iter().find_map(|packet| sender_report(packet.as_ref()))?;
    Some((report.rtp_time, clock(report.ntp_time)))
}

fn sender_report(packet: &dyn rtcp::Packet) -> Option<&SenderReport> {
    packet.as_any().downcast_ref::<SenderReport>()
}

/// An NTP timestamp: seconds in the upper half, the rest in 2^-32 of one. They began anew in 2036 (RFC 4330, section 3).
fn clock(ntp: u64) -> ClockNs {
    let (seconds, fraction) = ((ntp >> 32) as i64, ntp & u64::from(u32::MAX));
    let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
    let nanoseconds = (fraction * 1_000_000_000) >> 32;
    ClockNs((seconds + era - NTP_TO_UNIX_S) * 1_000_000_000 + nanoseconds.cast_signed())
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Reports {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &packet.message.packet
            && self.wanted.load(Ordering::Relaxed)
            && packets.iter().any(|packet| sender_report(packet.as_ref()).is_some())
        {
            packet.message.add(Attribute::DeliverToApplication);
        }
        self.library.handle_read(packet)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.library.poll_read()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.library.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.library.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.library.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.library.poll_timeout()
    }
}

impl Interceptor for Reports {
    fn bind_local_stream(&mut self, stream: &StreamInfo) {
        self.library.bind_local_stream(stream);
    }

    fn unbind_local_stream(&mut self, stream: &StreamInfo) {
        self.library.unbind_local_stream(stream);
    }

    fn bind_remote_stream(&mut self, stream: &StreamInfo) {
        self.library.bind_remote_stream(stream);
    }

    fn unbind_remote_stream(&mut self, stream: &StreamInfo) {
        self.library.unbind_remote_stream(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_timestamps_are_nanoseconds_since_1970() {
        // 2026-11-27 12:00:00.25, and a second behind 2036-02-07 06:28:16, when they begin anew.
        assert_eq!(clock((1_795_780_800 + 2_208_988_800) << 32 | 1 << 30), ClockNs(1_795_780_800_250_000_000));
        assert_eq!(clock(1 << 32), ClockNs(2_085_978_497_000_000_000));
    }

    #[test]
    fn a_report_is_found_among_others() {
        let report_of = |packets: Vec<Box<dyn rtcp::Packet>>| report(&packets);
        let other = || Box::new(rtcp::receiver_report::ReceiverReport::default());
        let sender = SenderReport { ntp_time: (NTP_TO_UNIX_S as u64 + 7) << 32, rtp_time: 960, ..Default::default() };
        assert_eq!(report_of(vec![other()]), None);
        assert_eq!(report_of(vec![other(), Box::new(sender)]), Some((960, ClockNs(7_000_000_000))));
    }
}
