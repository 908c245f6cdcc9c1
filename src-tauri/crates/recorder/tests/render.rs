//! The render contract: the same journal gives the same bytes, and samples lie where they were captured.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::sync::LazyLock;

use common::{Encoded, Memory, ONE, PACKET, SECOND, encode, key, recorded, segment, stretch, voice};
use proptest::prelude::*;
use roomtone_packets::{MapStretch, Packet, Record};
use roomtone_recorder::{BitDepth, FileFrame, Journal, PacketSource, Renderer, Timeline, TrackNotes, TrackPlan};

/// Long enough for a seam of the decoding grid.
const LONG: usize = 34 * 48_000;
const END: u64 = 44 * SECOND;
const FIRST: u64 = 1_000_000;

static LONG_VOICE: LazyLock<Encoded> = LazyLock::new(|| encode(key(1, 0), FIRST, &voice(3, LONG)));
static SHORT_VOICE: LazyLock<Encoded> = LazyLock::new(|| encode(key(2, 0), 77, &voice(5, 6 * 48_000)));

/// Two segments on a timeline of 45 s, the first one mapped by `stretches`.
fn notes(stretches: Vec<MapStretch>) -> TrackNotes {
    let (long, short) = (key(1, 0), key(2, 0));
    let mut notes = TrackNotes::default();
    notes.segments.insert(long, segment(long, FIRST, LONG_VOICE.codec_delay));
    notes.segments.insert(short, segment(short, 77, SHORT_VOICE.codec_delay));
    notes.stretches.insert(long, stretches);
    notes.stretches.insert(short, vec![stretch(short, 77, 37 * 48_000, 0, ONE)]);
    notes
}

fn timeline() -> Timeline {
    recorded(48_000, 45 * 48_000)
}

fn renderer<'a>(notes: &TrackNotes, memory: &'a Memory) -> Renderer<'a> {
    let mut renderer = Renderer::new(timeline());
    renderer.push_channel(TrackPlan::new(notes, &memory.coverage), Some(Box::new(memory))).unwrap();
    renderer
}

fn render(renderer: &mut Renderer<'_>, from: u64, to: u64) -> Vec<u8> {
    renderer.render(FileFrame(from), FileFrame(to), BitDepth::Float32).unwrap()
}

/// How the first segment lies on the timeline: nominal, drifting, or in pieces of different rates.
fn maps() -> impl Strategy<Value = Vec<MapStretch>> {
    let (segment, middle) = (key(1, 0), FIRST + 20 * SECOND + 123);
    let drift = -400_000i64..400_000;
    prop_oneof![
        Just(vec![stretch(segment, FIRST, 48_000, 0, ONE)]),
        (any::<u32>(), drift.clone()).prop_map(move |(fraction, drift)| vec![stretch(
            segment,
            FIRST,
            48_000,
            fraction,
            ONE.saturating_add_signed(drift)
        )]),
        (any::<u32>(), drift.clone(), drift).prop_map(move |(fraction, before, after)| {
            let rate = ONE.saturating_add_signed(before);
            let at = (48_000i128 << 32) + i128::from(fraction) + i128::from(middle - FIRST) * i128::from(rate);
            vec![
                stretch(segment, FIRST, 48_000, fraction, rate),
                stretch(segment, middle, (at >> 32) as i64, at as u32, ONE.saturating_add_signed(after)),
            ]
        }),
    ]
}

/// Which packets were lost: single ones here and there, and a few runs of any length.
fn losses() -> impl Strategy<Value = Vec<bool>> {
    let packets = LONG / PACKET;
    let runs = prop::collection::vec((0..packets, 1usize..40), 0..6);
    (runs, any::<u64>(), 0u64..30).prop_map(move |(runs, seed, percent)| {
        let mut random = seed | 1;
        let mut lost: Vec<bool> = (0..packets)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % 100 < percent
            })
            .collect();
        for (from, length) in runs {
            lost[from..(from + length).min(packets)].fill(true);
        }
        lost
    })
}

fn survivors(lost: &[bool]) -> Vec<&'static Packet> {
    let long = LONG_VOICE.packets.iter().zip(lost).filter(|(_, lost)| !**lost).map(|(packet, _)| packet);
    long.chain(&SHORT_VOICE.packets).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_partition_in_any_order_gives_the_same_bytes(
        maps in maps(),
        lost in losses(),
        cuts in prop::collection::vec(0..END, 0..12),
        order in any::<u64>(),
    ) {
        let notes = notes(maps);
        let mut memory = Memory::default();
        survivors(&lost).into_iter().for_each(|packet| memory.insert(packet));
        let whole = render(&mut renderer(&notes, &memory), 0, END);

        let mut cuts = [cuts, vec![0, END]].concat();
        cuts.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = cuts.windows(2).map(|cut| (cut[0], cut[1])).collect();
        ranges.sort_by_key(|range| range.0.wrapping_mul(order | 1));
        // One renderer that jumps about, and a fresh one for every range.
        let mut jumping = renderer(&notes, &memory);
        for (from, to) in ranges {
            let expected = &whole[from as usize * 4..to as usize * 4];
            prop_assert!(render(&mut jumping, from, to) == expected, "jumping to {from}..{to}");
            prop_assert!(render(&mut renderer(&notes, &memory), from, to) == expected, "fresh at {from}..{to}");
        }
        // As finalizing does it, in blocks of a size that meets no grid.
        let mut streaming = renderer(&notes, &memory);
        for from in (0..END).step_by(47_777) {
            let to = (from + 47_777).min(END);
            let expected = &whole[from as usize * 4..to as usize * 4];
            prop_assert!(render(&mut streaming, from, to) == expected, "streaming {from}..{to}");
        }
    }

    #[test]
    fn any_order_of_repairs_gives_the_same_bytes(maps in maps(), lost in losses(), order in any::<u64>()) {
        let notes = notes(maps);
        let mut memory = Memory::default();
        survivors(&lost).into_iter().for_each(|packet| memory.insert(packet));
        let before = render(&mut renderer(&notes, &memory), 0, END);

        // Live first, then the repairs in any order, into a real journal.
        let dir = tempfile::tempdir().unwrap();
        let mut journal = common::journal(dir.path(), 1, 48_000, 45 * 48_000);
        let ada = common::participant(1);
        for packet in survivors(&lost) {
            journal.append(ada, &Record::Packet(packet.clone())).unwrap();
        }
        let from_journal = |journal: &Journal| {
            let mut renderer = Renderer::new(timeline());
            let packets = journal.packets(ada).unwrap().unwrap();
            renderer.push_channel(TrackPlan::new(&notes, journal.coverage(ada)), Some(Box::new(packets))).unwrap();
            render(&mut renderer, 0, END)
        };
        prop_assert!(from_journal(&journal) == before, "a journal and memory differ");

        let mut repairs: Vec<&Packet> =
            LONG_VOICE.packets.iter().zip(&lost).filter(|(_, lost)| **lost).map(|(packet, _)| packet).collect();
        repairs.sort_by_key(|packet| packet.index.0.wrapping_mul(order | 1));
        for packet in repairs {
            memory.insert(packet);
            journal.append(ada, &Record::Packet(packet.clone())).unwrap();
        }
        let mut whole = Memory::default();
        survivors(&vec![false; lost.len()]).into_iter().for_each(|packet| whole.insert(packet));
        let expected = render(&mut renderer(&notes, &whole), 0, END);
        prop_assert!(render(&mut renderer(&notes, &memory), 0, END) == expected, "repaired in memory");
        prop_assert!(from_journal(&journal) == expected, "repaired in the journal");
        prop_assert!(from_journal(&Journal::open(dir.path()).unwrap()) == expected, "repaired and opened again");
    }
}

/// One segment at timeline frame 0 with everything there.
fn whole(encoded: &Encoded, map: MapStretch) -> (TrackNotes, Memory) {
    let mut notes = TrackNotes::default();
    notes.segments.insert(map.segment, segment(map.segment, map.from.0, encoded.codec_delay));
    notes.stretches.insert(map.segment, vec![map]);
    let mut memory = Memory::default();
    encoded.packets.iter().for_each(|packet| memory.insert(packet));
    (notes, memory)
}

fn rendered(notes: &TrackNotes, memory: &Memory, frames: u64) -> Vec<f32> {
    let mut renderer = Renderer::new(recorded(0, frames as i64));
    renderer.push_channel(TrackPlan::new(notes, &memory.coverage), Some(Box::new(memory))).unwrap();
    common::floats(&render(&mut renderer, 0, frames))
}

fn loudest(samples: &[f32]) -> usize {
    (0..samples.len()).max_by(|&a, &b| samples[a].abs().total_cmp(&samples[b].abs())).unwrap()
}

#[test]
fn an_impulse_lies_exactly_where_it_was_captured() {
    let mut samples = vec![0.0; 4 * 48_000];
    let impulses = [10_000, 48_123, 96_479, 150_959];
    impulses.iter().for_each(|&at| samples[at] = 0.9);
    let encoded = encode(key(1, 0), 500, &samples);
    assert!(encoded.codec_delay > 0, "there is a delay to compensate");
    let (notes, memory) = whole(&encoded, stretch(key(1, 0), 500, 250, 0, ONE));
    let out = rendered(&notes, &memory, 4 * SECOND);
    for at in impulses {
        let expected = at + 250;
        let around = expected - 4_000..expected + 4_000;
        assert_eq!(around.start + loudest(&out[around.clone()]), expected);
    }
}

#[test]
fn the_decoding_grid_cannot_be_heard() {
    let (notes, memory) = whole(&LONG_VOICE, stretch(key(1, 0), FIRST, 0, 0, ONE));
    let out = rendered(&notes, &memory, LONG as u64);
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut pcm = [0.0; 5_760];
    let mut decoded = Vec::new();
    for packet in &LONG_VOICE.packets {
        let length = decoder.decode_float(&packet.opus, &mut pcm, false).unwrap();
        decoded.extend_from_slice(&pcm[..length]);
    }
    // One decoder from end to end gives the same bits, but for the ramps at both ends.
    let expected = &decoded[LONG_VOICE.codec_delay as usize..];
    let audible = 240..expected.len() - 960;
    assert!(out[audible.clone()] == expected[audible]);
}

#[test]
fn packets_that_straddle_a_read_are_decoded_once() {
    // Packets begin 480 samples off the grid of reads and chunks.
    let source = voice(4, 34 * 48_000);
    let encoded = encode(key(1, 0), 480, &source);
    let (notes, memory) = whole(&encoded, stretch(key(1, 0), 0, 0, 0, ONE));
    let out = rendered(&notes, &memory, 34 * SECOND);
    let likeness = common::correlation(&out[480..], &source[..source.len() - 480]);
    assert!(likeness > 0.99, "{likeness}");
}

#[test]
fn a_stretched_impulse_lies_where_the_map_says() {
    let mut samples = vec![0.0; 20 * 48_000];
    let impulses = [10_000u64, 300_123, 600_479, 900_959];
    impulses.iter().for_each(|&at| samples[at as usize] = 0.9);
    let encoded = encode(key(1, 0), 0, &samples);
    // 100 ppm slow, and a third of a frame late.
    let rate = ONE + ONE / 10_000;
    let (notes, memory) = whole(&encoded, stretch(key(1, 0), 0, 250, u32::MAX / 3, rate));
    let out = rendered(&notes, &memory, 20 * SECOND + 1_000);
    for at in impulses {
        let exact = 250.0 + 1.0 / 3.0 + at as f64 * rate as f64 / ONE as f64;
        let around = exact as usize - 4_000..exact as usize + 4_000;
        let peak = around.start + loudest(&out[around.clone()]);
        assert!((peak as f64 - exact).abs() <= 0.5 + 1e-6, "{peak} is not {exact}");
    }
}

#[test]
fn a_nominal_track_is_what_was_said() {
    let source = voice(1, 10 * 48_000);
    let (notes, memory) = whole(&encode(key(1, 0), 0, &source), stretch(key(1, 0), 0, 0, 0, ONE));
    let out = rendered(&notes, &memory, 10 * SECOND);
    let likeness = common::correlation(&out, &source);
    assert!(likeness > 0.99, "{likeness}");
}

#[test]
fn a_drifting_track_is_what_was_said() {
    let source = voice(1, 10 * 48_000);
    // 300 ppm: 144 samples in ten seconds.
    let rate = ONE - ONE * 3 / 10_000;
    let (notes, memory) = whole(&encode(key(1, 0), 0, &source), stretch(key(1, 0), 0, 0, 0, rate));
    let frames = (10.0 * 48_000.0 * rate as f64 / ONE as f64) as u64;
    let out = rendered(&notes, &memory, frames);
    // The source at the same positions, interpolated without our filter.
    let expected: Vec<f32> = (0..out.len())
        .map(|n| {
            let position = n as f64 * ONE as f64 / rate as f64;
            let (at, between) = (position as usize, (position.fract()) as f32);
            source.get(at + 1).map_or(0.0, |next| source[at] + (next - source[at]) * between)
        })
        .collect();
    let likeness = common::correlation(&out, &expected);
    assert!(likeness > 0.99, "{likeness}");
}

#[test]
fn a_short_gap_is_concealed_and_a_long_one_is_silent_with_ramps() {
    let source: Vec<f32> =
        (0..5 * 48_000).map(|n| 0.5 * (std::f32::consts::TAU * 480.0 * n as f32 / 48_000.0).sin()).collect();
    let encoded = encode(key(1, 0), 0, &source);
    let (notes, _) = whole(&encoded, stretch(key(1, 0), 0, 0, 0, ONE));
    let mut memory = Memory::default();
    // Packets 50..55 are 100 ms, packets 100..106 are more.
    let kept = encoded.packets.iter().enumerate().filter(|(n, _)| !(50..55).contains(n) && !(100..106).contains(n));
    kept.for_each(|(_, packet)| memory.insert(packet));
    let out = rendered(&notes, &memory, 5 * SECOND);
    let level = |from: usize, to: usize| {
        (out[from..to].iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / (to - from) as f64).sqrt()
    };
    assert!(level(50 * 960, 55 * 960) > 0.1, "concealed: {}", level(50 * 960, 55 * 960));
    assert!(out[100 * 960..106 * 960].iter().all(|&sample| sample == 0.0), "silent");
    let ramped: f32 = out[100 * 960 - 24..100 * 960].iter().fold(0.0, |most, s| most.max(s.abs()));
    assert!(ramped < 0.06, "fades out: {ramped}");
    assert!(level(100 * 960 - 1_000, 100 * 960 - 240) > 0.3, "not before its time");
    assert!(out[106 * 960..106 * 960 + 24].iter().all(|s| s.abs() < 0.06), "fades in");
}

#[test]
fn a_later_segment_is_heard_from_its_start_on() {
    let (a, b) = (key(1, 0), key(1, 1));
    let first = encode(a, 0, &vec![0.25; 2 * 48_000]);
    let tone: Vec<f32> =
        (0..2 * 48_000).map(|n| 0.5 * (std::f32::consts::TAU * 1_000.0 * n as f32 / 48_000.0).sin()).collect();
    let second = encode(b, 100_000, &tone);
    let (mut notes, mut memory) = whole(&first, stretch(a, 0, 0, 0, ONE));
    notes.segments.insert(b, segment(b, 100_000, second.codec_delay));
    // It begins on the timeline before the first one has ended.
    notes.stretches.insert(b, vec![stretch(b, 100_000, 48_000, 0, ONE)]);
    second.packets.iter().for_each(|packet| memory.insert(packet));
    let out = rendered(&notes, &memory, 3 * SECOND);
    let likeness = common::correlation(&out[48_000 + 4_800..3 * 48_000 - 960], &tone[4_800..2 * 48_000 - 960]);
    assert!(likeness > 0.99, "{likeness}");
}

#[test]
fn however_many_threads_share_the_channels_they_come_out_the_same() {
    let mut memory = Memory::default();
    SHORT_VOICE.packets.iter().for_each(|packet| memory.insert(packet));
    let rendered = |threads: usize| {
        let mut renderer = Renderer::new(timeline());
        for channel in 0..5u64 {
            let mut notes = notes(Vec::new());
            let drifting = stretch(key(2, 0), 77, 37 * 48_000, 0, ONE + channel * 100_000);
            notes.stretches.insert(key(2, 0), vec![drifting]);
            let source = (channel != 3).then(|| Box::new(&memory) as Box<dyn PacketSource>);
            renderer.push_channel(TrackPlan::new(&notes, &memory.coverage), source).unwrap();
        }
        let mut planar = Vec::new();
        renderer.render_planar(FileFrame(36 * SECOND), FileFrame(END), threads, &mut planar).unwrap();
        planar
    };
    let alone = rendered(1);
    assert!(alone[0] != alone[1] && alone[3].iter().all(|sample| *sample == 0.0));
    for threads in [0, 2, 3, 5, 8] {
        assert!(rendered(threads) == alone, "{threads} threads");
    }
}
