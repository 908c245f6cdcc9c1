//! Audio on the wire: RTP (RFC 3550) with Opus in it (RFC 7587).
//!
//! Live packets are found by their timestamps. Those that the recorder asked for are of any segment and any age: a header
//! extension (RFC 8285) says where they belong. They share the live ones' sequence numbers, so that what is lost of them
//! is asked for and sent again within a round trip or two; and no timer that doubles and no window that collapses stands
//! between them and the recorder, as on the data channel.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use roomtone_packets::{Packet, Record, encode};
use roomtone_protocol::{ClockNs, SampleIndex, SegmentId, SegmentKey, WakeEpoch};
use rtc::rtp;
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::link::LinkEvent;
use crate::random;

/// Name of the header extension in descriptions. Whoever does not know it is sent what they ask for over the data channel.
pub(crate) const PLACE: &str = "urn:roomtone:packet-place";

/// Epoch and segment in 32 bits each, the first sample's index in 48, which last for 185 years, the length in 16: the most
/// that a one-byte header takes (RFC 8285, section 4.2).
const PLACE_BYTES: usize = 16;

/// Longest packet that goes this way: with all that is around it, it fits into the least MTU of IPv6.
const LONGEST: usize = 1_100;

/// Where a packet belongs, as the extension says it; None if it does not fit.
fn place(packet: &Packet) -> Option<Bytes> {
    if packet.index.0 >> 48 != 0 || packet.opus.len() > LONGEST {
        return None;
    }
    let mut place = BytesMut::with_capacity(PLACE_BYTES);
    place.put_u32(packet.segment.epoch.0);
    place.put_u32(packet.segment.segment.0);
    place.put_u64(packet.index.0 << 16 | u64::from(packet.samples));
    Some(place.freeze())
}

/// Whether a packet can go this way.
pub(crate) fn fits(packet: &Packet) -> bool {
    place(packet).is_some()
}

/// The packet that belongs there; None for what no version of ours says.
fn placed(mut place: Bytes, opus: &[u8]) -> Option<Packet> {
    if place.len() != PLACE_BYTES {
        return None;
    }
    let segment = SegmentKey { epoch: WakeEpoch(place.get_u32()), segment: SegmentId(place.get_u32()) };
    let rest = place.get_u64();
    let samples = (rest & u64::from(u16::MAX)) as u16;
    Some(Packet { segment, index: SampleIndex(rest >> 16), samples, opus: opus.to_vec() })
}

/// What came: a live packet, or one that was asked for, as a record like those of the data channel. `heard_at` is when, if
/// that matters.
pub(crate) fn event<In>(packet: rtp::Packet, place_id: Option<u8>, heard_at: Option<ClockNs>) -> LinkEvent<In> {
    let asked_for = place_id.and_then(|id| packet.header.get_extension(id));
    match asked_for.and_then(|place| placed(place, &packet.payload)) {
        Some(packet) => {
            let mut record = Vec::new();
            encode(&Record::Packet(packet), &mut record);
            LinkEvent::Bulk(record.into())
        }
        None => {
            let (timestamp, opus) = (packet.header.timestamp, packet.payload);
            match heard_at {
                Some(at) => LinkEvent::Heard { timestamp, opus, at },
                None => LinkEvent::Media { timestamp, opus },
            }
        }
    }
}

/// The member's audio.
pub(crate) struct OutgoingTrack {
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_type: u8,
    /// Of the next packet; begins at random (RFC 3550, section 5.1).
    sequence: u16,
    started: bool,
}

/// What goes next.
enum Outgoing {
    Live(u32, Bytes),
    AskedFor(Packet),
}

impl OutgoingTrack {
    pub(crate) fn new(track: Arc<TrackLocalStaticRTP>, ssrc: u32, payload_type: u8) -> Self {
        Self { track, ssrc, payload_type, sequence: u16::from_le_bytes(random::bytes()), started: false }
    }

    /// Sends what comes until nobody is left to send anything: live packets first.
    pub(crate) async fn run(
        mut self,
        mut live: mpsc::Receiver<(u32, Bytes)>,
        mut asked_for: mpsc::Receiver<Packet>,
        place_id: Option<u8>,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                Some((timestamp, opus)) = live.recv() => Outgoing::Live(timestamp, opus),
                Some(packet) = asked_for.recv() => Outgoing::AskedFor(packet),
                else => return,
            };
            let sent = match next {
                Outgoing::Live(timestamp, opus) => self.send(timestamp, opus).await,
                Outgoing::AskedFor(packet) => match place_id {
                    Some(id) => self.send_asked_for(id, packet).await,
                    None => Ok(()),
                },
            };
            if let Err(error) = sent {
                tracing::debug!(%error, "the track takes nothing more");
                return;
            }
        }
    }

    /// Sends one packet. The timestamp is the low half of its sample index, so that the recorder finds its place.
    pub(crate) async fn send(&mut self, timestamp: u32, opus: Bytes) -> webrtc::error::Result<()> {
        let packet = self.next(timestamp, opus);
        self.track.write_rtp(packet).await
    }

    /// Sends one that was asked for, with its place under this id.
    async fn send_asked_for(&mut self, place_id: u8, packet: Packet) -> webrtc::error::Result<()> {
        let Some(place) = place(&packet) else { return Ok(()) };
        let timestamp = (packet.index.0 & u64::from(u32::MAX)) as u32;
        let mut rtp = self.next(timestamp, packet.opus.into());
        rtp.header.set_extension(place_id, place)?;
        self.track.write_rtp(rtp).await
    }

    fn next(&mut self, timestamp: u32, payload: Bytes) -> rtp::Packet {
        let header = rtp::header::Header {
            version: 2,
            // The first packet of a talkspurt (RFC 7587, section 4.1); without DTX there is one.
            marker: !self.started,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..Default::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.started = true;
        rtp::Packet { header, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(index: u64, bytes: usize) -> Packet {
        let segment = SegmentKey { epoch: WakeEpoch(u32::MAX), segment: SegmentId(7) };
        Packet { segment, index: SampleIndex(index), samples: 960, opus: vec![0xfc; bytes] }
    }

    #[test]
    fn a_place_comes_back_as_it_was_said_and_nothing_else_is_taken_for_one() {
        for index in [0, 960, u64::from(u32::MAX) + 960, (1 << 48) - 1] {
            let packet = packet(index, 320);
            assert_eq!(placed(place(&packet).unwrap(), &packet.opus), Some(packet));
        }
        assert_eq!(placed(Bytes::from_static(&[1; 15]), &[]), None);
    }

    #[test]
    fn what_does_not_fit_goes_another_way() {
        assert!(fits(&packet(0, LONGEST)));
        assert!(!fits(&packet(0, LONGEST + 1)) && !fits(&packet(1 << 48, 320)));
    }
}
