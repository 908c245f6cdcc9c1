//! What following a drifting device costs: CPU seconds a channel and minute, beside decoding and beside rubato.
//!
//! ```text
//! cargo run --release -p roomtone-recorder --example resample_cost -- [minutes] [ppm]
//! ```
//!
//! The difference between a drifting and a nominal device is all that resampling brings with it: positions, filter,
//! and the windows that it reads. rubato carries state from block to block, so it could not render any range by itself;
//! it stands here for what good resamplers cost.
#![allow(clippy::unwrap_used, reason = "the tests' helpers fail where they cannot go on")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Duration;

use common::{Memory, ONE, SECOND, encode, key, recorded, segment, stretch, voice};
use roomtone_recorder::{FileFrame, Renderer, TrackNotes, TrackPlan};
use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

/// Frames rendered at once, as finalizing does it.
const BLOCK: u64 = SECOND;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let minutes: u64 = arguments.next().map_or(5, |text| text.parse().expect("a number of minutes"));
    let ppm: u64 = arguments.next().map_or(50, |text| text.parse().expect("parts per million"));
    let frames = minutes * 60 * SECOND;
    let source = voice(1, frames as usize + 96_000);
    let encoded = encode(key(1, 0), 0, &source);
    let mut memory = Memory::default();
    encoded.packets.iter().for_each(|packet| memory.insert(packet));
    let per = |spent: Duration| spent.as_secs_f64() / minutes as f64;
    let rendered = |rate: u64| {
        let mut notes = TrackNotes::default();
        notes.segments.insert(key(1, 0), segment(key(1, 0), 0, encoded.codec_delay));
        notes.stretches.insert(key(1, 0), vec![stretch(key(1, 0), 0, 0, 0, rate)]);
        let mut renderer = Renderer::new(recorded(0, frames as i64));
        renderer.push_channel(TrackPlan::new(&notes, &memory.coverage), Some(Box::new(&memory))).expect("a decoder");
        let mut planar = Vec::new();
        let before = cpu_time();
        for from in (0..frames).step_by(BLOCK as usize) {
            renderer.render_planar(FileFrame(from), FileFrame(from + BLOCK), 1, &mut planar).expect("audio");
            black_box(&planar);
        }
        per(cpu_time() - before)
    };
    // One pass to warm up.
    rendered(ONE);
    let nominal = rendered(ONE);
    let drifting = rendered(ONE + ONE / 1_000_000 * ppm);
    println!("{minutes} min, {ppm} ppm, CPU s per channel-minute");
    println!("decode, nominal:        {nominal:.4}");
    println!("decode, drifting:       {drifting:.4}");
    println!("resampling alone:       {:.4}", drifting - nominal);
    for (length, oversampling, interpolation) in [
        (64, 256, SincInterpolationType::Linear),
        (256, 256, SincInterpolationType::Linear),
        (64, 256, SincInterpolationType::Cubic),
    ] {
        let spent = rubato(&source[..frames as usize], ppm, length, oversampling, interpolation);
        println!("rubato sinc {length:>3}, {interpolation:?}: {:.4}", per(spent));
    }
}

fn rubato(
    source: &[f32],
    ppm: u64,
    length: usize,
    oversampling: usize,
    interpolation: SincInterpolationType,
) -> Duration {
    let parameters = SincInterpolationParameters {
        sinc_len: length,
        f_cutoff: None,
        oversampling_factor: oversampling,
        interpolation,
        window: WindowFunction::BlackmanHarris2,
    };
    let ratio = 1.0 + ppm as f64 * 1e-6;
    let mut resampler = Async::<f32>::new_sinc(ratio, 1.01, &parameters, 1_024, 1, FixedAsync::Input).expect("a ratio");
    let mut out = vec![0.0f32; resampler.output_frames_max()];
    let room = out.len();
    let before = cpu_time();
    for block in source.chunks_exact(1_024) {
        let from = SequentialSlice::new(block, 1, 1_024).expect("a block");
        let mut to = SequentialSlice::new_mut(&mut out, 1, room).expect("room");
        resampler.process_into_buffer(&from, &mut to, None).expect("a block");
        black_box(&out);
    }
    cpu_time() - before
}

/// CPU time of this process: user and system, in ticks of 10 ms on Linux; nothing elsewhere.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
