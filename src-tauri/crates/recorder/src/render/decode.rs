//! Opus packets to samples, the same samples whatever is asked for first.
//!
//! A decoder remembers: the spectrum's envelope for a few dozen packets, and the level of the noise for concealment
//! without end (libopus follows it upwards by a fraction of a decibel a packet). So samples are defined by a grid: a
//! segment is cut into chunks, and a chunk's samples are what a fresh decoder gives that starts 100 packets before it.
//! Measured, a decoder forgets its cold start within 38 packets, and a lost packet within 34.
//!
//! Whoever reads on through the end of a chunk has the next one's decoder warm up beside: nobody has to wait for it there.

use roomtone_packets::RangeSet;
use roomtone_protocol::{SAMPLE_RATE, SegmentKey};

use super::chunk::{ChunkDecoder, Place};
use super::plan::Piece;
use super::{PacketSource, RenderError};

/// Samples that a fresh decoder is given before its first one counts: 100 packets of 20 ms.
pub(super) const WARM_UP_SAMPLES: u64 = 100 * 960;

/// Samples of a chunk, 30 s: warming up costs 7 % of them, and a reader anywhere decodes at most this much in vain.
pub(super) const CHUNK_SAMPLES: u64 = 30 * SAMPLE_RATE as u64;

/// Longest packet, 120 ms (RFC 6716, 2.1.4).
pub(super) const MAX_PACKET_SAMPLES: usize = 5_760;

/// Decodes one track, forwards cheaply, anywhere correctly.
#[derive(Debug)]
pub(super) struct TrackDecoder {
    now: ChunkDecoder,
    /// In the chunk after that, once the end of the one at hand is near.
    ahead: ChunkDecoder,
}

impl TrackDecoder {
    pub(super) fn new() -> Result<Self, RenderError> {
        Ok(Self { now: ChunkDecoder::new()?, ahead: ChunkDecoder::new()? })
    }

    /// Gives the samples as captured at `from` and after, all of them inside one island.
    pub(super) fn read(
        &mut self,
        source: &mut dyn PacketSource,
        piece: &Piece,
        island: (u64, u64),
        from: u64,
        out: &mut [f32],
    ) -> Result<(), RenderError> {
        // What was captured at an index leaves the decoder `codec_delay` samples later.
        let mut at = from + piece.codec_delay;
        let mut out = out;
        while !out.is_empty() {
            let chunk = at.saturating_sub(piece.first) / CHUNK_SAMPLES;
            let chunk_end = piece.first + (chunk + 1) * CHUNK_SAMPLES;
            let length = out.len().min(usize::try_from(chunk_end - at).unwrap_or(usize::MAX));
            let (now, later) = out.split_at_mut(length);
            let place = Place { segment: piece.segment, island: island.0, chunk };
            if !self.now.leads_to(place, at) {
                if self.ahead.leads_to(place, at) {
                    std::mem::swap(&mut self.now, &mut self.ahead);
                } else {
                    self.now.restart(place, piece)?;
                }
            }
            self.now.read(source, place, island.1, at, now)?;
            at += length as u64;
            out = later;
            if at + WARM_UP_SAMPLES > chunk_end && at < chunk_end {
                self.look_ahead(source, piece, Place { chunk: chunk + 1, ..place }, island.1, at)?;
            }
        }
        Ok(())
    }

    /// Lets the next chunk's decoder warm up as far as this one has come.
    fn look_ahead(
        &mut self,
        source: &mut dyn PacketSource,
        piece: &Piece,
        place: Place,
        island_end: u64,
        at: u64,
    ) -> Result<(), RenderError> {
        if !self.ahead.leads_to(place, at) {
            self.ahead.restart(place, piece)?;
        }
        self.ahead.read(source, place, island_end, at, &mut [])
    }

    /// More is known of the track: see [`ChunkDecoder::update`].
    pub(super) fn update(&mut self, changed: impl Fn(SegmentKey) -> Option<RangeSet>) {
        self.now.update(&changed);
        self.ahead.update(&changed);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use roomtone_packets::{MapStretch, Packet};
    use roomtone_protocol::{IndexRange, SampleIndex, SegmentId, WakeEpoch};

    use super::*;
    use crate::stretch::ONE;
    use crate::timeline::TimelineFrame;

    const KEY: SegmentKey = SegmentKey { epoch: WakeEpoch(1), segment: SegmentId(0) };

    /// Noise without end: full-band CELT of 20 ms (RFC 6716, 3.1), whose bytes may be any.
    struct Noise;

    impl PacketSource for Noise {
        fn packets(&mut self, range: IndexRange) -> io::Result<Vec<Packet>> {
            let packet = |n: u64| {
                let opus = std::iter::once(0xf8).chain((1..60).map(|byte| ((n + 3) * byte % 251) as u8)).collect();
                Packet { segment: KEY, index: SampleIndex(n * 960), samples: 960, opus }
            };
            Ok((range.from.0 / 960..range.to.0.div_ceil(960)).map(packet).collect())
        }
    }

    fn piece() -> Piece {
        let from = SampleIndex(0);
        let map = MapStretch {
            segment: KEY,
            from,
            frame: 0,
            fraction: 0,
            frames_per_sample: ONE,
            residual_ns: 0,
            uncertainty_ns: 0,
        };
        Piece {
            segment: KEY,
            first: 0,
            codec_delay: 0,
            stretches: vec![map],
            starts: TimelineFrame(0),
            ends: TimelineFrame(i64::MAX),
            covered: RangeSet::default(),
            islands: RangeSet::default(),
            audible: RangeSet::default(),
        }
    }

    #[test]
    fn the_decoder_of_the_next_chunk_is_warm_when_its_turn_comes_and_gives_what_a_fresh_one_does() {
        let (piece, island) = (piece(), (0, 2 * CHUNK_SAMPLES));
        let mut decoder = TrackDecoder::new().unwrap();
        let mut second = vec![0.0; 48_000];
        for at in (0..CHUNK_SAMPLES - 48_000).step_by(48_000) {
            decoder.read(&mut Noise, &piece, island, at, &mut second).unwrap();
        }
        let place = Place { segment: KEY, island: 0, chunk: 1 };
        let at = CHUNK_SAMPLES - 48_000;
        assert!(decoder.ahead.leads_to(place, at) && !decoder.ahead.leads_to(place, at - 960));
        let mut seam = vec![0.0; 96_000];
        decoder.read(&mut Noise, &piece, island, at, &mut seam).unwrap();
        TrackDecoder::new().unwrap().read(&mut Noise, &piece, island, CHUNK_SAMPLES, &mut second).unwrap();
        assert!(second.iter().any(|&sample| sample != 0.0));
        assert!(second == seam[48_000..]);
    }
}
