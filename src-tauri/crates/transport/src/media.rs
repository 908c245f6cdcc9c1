//! Audio on the wire: RTP (RFC 3550) with Opus in it (RFC 7587).

use std::sync::Arc;

use bytes::Bytes;
use rtc::rtp;
use webrtc::media_stream::track_local::TrackLocal as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::random;

/// The member's audio.
pub(crate) struct OutgoingTrack {
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    payload_type: u8,
    /// Of the next packet; begins at random (RFC 3550, section 5.1).
    sequence: u16,
    started: bool,
}

impl OutgoingTrack {
    pub(crate) fn new(track: Arc<TrackLocalStaticRTP>, ssrc: u32, payload_type: u8) -> Self {
        Self { track, ssrc, payload_type, sequence: u16::from_le_bytes(random::bytes()), started: false }
    }

    /// Sends one packet. The timestamp is the low half of its sample index, so that the recorder finds its place.
    pub(crate) async fn send(&mut self, timestamp: u32, opus: Bytes) -> webrtc::error::Result<()> {
        let packet = rtp::Packet {
            header: rtp::header::Header {
                version: 2,
                // The first packet of a talkspurt (RFC 7587, section 4.1); without DTX there is one.
                marker: !self.started,
                payload_type: self.payload_type,
                sequence_number: self.sequence,
                timestamp,
                ssrc: self.ssrc,
                ..Default::default()
            },
            payload: opus,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.started = true;
        self.track.write_rtp(packet).await
    }
}
