//! One chunk of one track, decoded forwards.

use std::collections::VecDeque;
use std::fmt;

use opus::{Channels, Decoder};
use roomtone_packets::{Packet, RangeSet};
use roomtone_protocol::{IndexRange, SAMPLE_RATE, SampleIndex, SegmentKey};

use super::decode::{CHUNK_SAMPLES, MAX_PACKET_SAMPLES, WARM_UP_SAMPLES};
use super::plan::{MAX_CONCEALED_SAMPLES, Piece};
use super::{PacketSource, RenderError};

/// Samples whose packets are read at once, 10 s.
const READ_SAMPLES: u64 = 10 * SAMPLE_RATE as u64;

/// Concealment comes in multiples of 2.5 ms.
const CONCEALMENT_STEP: usize = 120;

/// Where a decoder stands: within one chunk of one island of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: SegmentKey,
    /// First sample of the island.
    pub(super) island: u64,
    pub(super) chunk: u64,
}

/// A decoder on its way through a chunk.
pub(super) struct ChunkDecoder {
    decoder: Decoder,
    place: Option<Place>,
    /// Packets read and not decoded yet.
    packets: VecDeque<Packet>,
    /// Packets are read up to this sample.
    read_to: u64,
    /// Decoded samples that were not asked for yet.
    decoded: VecDeque<f32>,
    /// The index of the sample behind `decoded`, on the decoder's side of the codec's delay; None before the first packet.
    next: Option<u64>,
    scratch: Box<[f32; MAX_PACKET_SAMPLES]>,
}

impl fmt::Debug for ChunkDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkDecoder").field("place", &self.place).field("next", &self.next).finish_non_exhaustive()
    }
}

impl ChunkDecoder {
    pub(super) fn new() -> Result<Self, RenderError> {
        Ok(Self {
            decoder: Decoder::new(SAMPLE_RATE, Channels::Mono)?,
            place: None,
            packets: VecDeque::new(),
            read_to: 0,
            decoded: VecDeque::new(),
            next: None,
            scratch: Box::new([0.0; MAX_PACKET_SAMPLES]),
        })
    }

    /// Whether it can go on to a sample of a chunk: it stands there already, and not behind the sample.
    pub(super) fn leads_to(&self, place: Place, at: u64) -> bool {
        self.place == Some(place) && self.next.is_none_or(|next| next - self.decoded.len() as u64 <= at)
    }

    /// More is known of the track. Goes on where it stands unless something of what it decoded is in `changed`, a set
    /// of samples on the decoder's side of the codec's delay; `changed` is None where everything is another.
    pub(super) fn update(&mut self, changed: impl Fn(SegmentKey) -> Option<RangeSet>) {
        let Some(place) = self.place else { return };
        let unchanged = self.next.zip(changed(place.segment)).is_some_and(|(next, changed)| {
            let known_from = next - self.decoded.len() as u64;
            changed.within(known_from, next + 1).next().is_none()
        });
        // Packets that were read ahead may have got company.
        self.packets.clear();
        match self.next {
            Some(next) if unchanged => self.read_to = next,
            _ => self.place = None,
        }
    }

    /// Begins a chunk, or what it warms up with.
    pub(super) fn restart(&mut self, place: Place, piece: &Piece) -> Result<(), RenderError> {
        self.decoder.reset_state()?;
        let chunk_from = piece.first + place.chunk * CHUNK_SAMPLES;
        self.place = Some(place);
        self.packets.clear();
        self.read_to = place.island.max(chunk_from.saturating_sub(WARM_UP_SAMPLES));
        self.decoded.clear();
        self.next = None;
        Ok(())
    }

    /// Gives samples from `at` on, on the decoder's side of the codec's delay. Without any, it only comes so far.
    pub(super) fn read(
        &mut self,
        source: &mut dyn PacketSource,
        place: Place,
        island_end: u64,
        at: u64,
        out: &mut [f32],
    ) -> Result<(), RenderError> {
        let end = at + out.len() as u64;
        loop {
            // What lies before `at` was warming up, or nobody asked for it.
            let surplus = self.next.map_or(0, |next| at.saturating_sub(next - self.decoded.len() as u64));
            self.decoded.drain(..usize::try_from(surplus).unwrap_or(usize::MAX).min(self.decoded.len()));
            if self.next.is_some_and(|next| next >= end) {
                break;
            }
            self.step(source, place, island_end)?;
        }
        // A chunk may be entered where its first packet begins later than what is asked for: that stays silent.
        let first = self.next.map_or(end, |next| next - self.decoded.len() as u64);
        let silent = usize::try_from(first.saturating_sub(at)).unwrap_or(usize::MAX).min(out.len());
        let (before, out) = out.split_at_mut(silent);
        before.fill(0.0);
        let length = out.len();
        for (sample, decoded) in out.iter_mut().zip(self.decoded.drain(..length)) {
            *sample = decoded;
        }
        Ok(())
    }

    /// Decodes or conceals one packet's worth.
    fn step(&mut self, source: &mut dyn PacketSource, place: Place, island_end: u64) -> Result<(), RenderError> {
        if self.packets.is_empty() {
            self.refill(source, place.segment, island_end)?;
        }
        match (self.packets.pop_front(), self.next) {
            (Some(packet), None) => {
                self.next = Some(packet.index.0);
                self.decode(&packet, 0);
            }
            (Some(packet), Some(next)) if packet.index.0 > next => {
                self.conceal(packet.index.0 - next);
                self.packets.push_front(packet);
            }
            (Some(packet), Some(next)) => {
                let known = next - packet.index.0;
                if known < u64::from(packet.samples) {
                    self.decode(&packet, usize::try_from(known).unwrap_or(usize::MAX));
                }
            }
            // The island's end: the decoder still holds what the codec delays. Or packets became unreadable.
            (None, Some(_)) => self.conceal(960),
            (None, None) => self.next = Some(place.island.max(self.read_to)),
        }
        Ok(())
    }

    fn refill(
        &mut self,
        source: &mut dyn PacketSource,
        segment: SegmentKey,
        island_end: u64,
    ) -> Result<(), RenderError> {
        while self.packets.is_empty() && self.read_to < island_end {
            let to = (self.read_to + READ_SAMPLES).min(island_end);
            let range = IndexRange { segment, from: SampleIndex(self.read_to), to: SampleIndex(to) };
            // A packet that straddles two reads comes twice; the second time all of it is known.
            self.packets.extend(source.packets(range)?);
            self.read_to = to;
        }
        Ok(())
    }

    /// Appends a packet's samples but for the first `known`.
    fn decode(&mut self, packet: &Packet, known: usize) {
        let samples = usize::from(packet.samples).min(MAX_PACKET_SAMPLES);
        match self.decoder.decode_float(&packet.opus, &mut self.scratch[..], false) {
            Ok(decoded) => {
                // Someone may send packets that hold less than they say.
                self.scratch[decoded.min(samples)..samples].fill(0.0);
                self.push(known.min(samples), samples);
            }
            Err(error) => {
                tracing::debug!(%error, "a packet that is no Opus is concealed");
                self.conceal((samples - known.min(samples)) as u64);
            }
        }
    }

    /// Appends made-up samples; silence where there is too much to make up.
    fn conceal(&mut self, samples: u64) {
        let length = usize::try_from(samples).unwrap_or(usize::MAX).min(MAX_PACKET_SAMPLES);
        let whole = length.next_multiple_of(CONCEALMENT_STEP);
        let concealed = samples <= MAX_CONCEALED_SAMPLES
            && self.decoder.decode_float(&[], &mut self.scratch[..whole], false).is_ok_and(|made| made == whole);
        if !concealed {
            self.scratch[..length].fill(0.0);
        }
        self.push(0, length);
    }

    fn push(&mut self, from: usize, to: usize) {
        self.decoded.extend(&self.scratch[from..to]);
        self.next = self.next.map(|next| next + (to - from) as u64);
    }
}
