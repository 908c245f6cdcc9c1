use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};
use roomtone_protocol::WakeEpoch;

use super::*;

const WALL: i64 = 1_800_000_000_000_000_000;
const NOW: ClockNs = ClockNs(77_000_000_000);

/// Mono float samples at a rate.
fn write(path: &Path, rate: u32, samples: &[f32]) {
    let spec = WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut writer = WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

/// A slow chirp: no two stretches of it are alike.
fn chirp(samples: usize, rate: f64) -> Vec<f32> {
    let phase = |n: usize| {
        let t = n as f64 / rate;
        std::f64::consts::TAU * (200.0 * t + 150.0 * t * t)
    };
    (0..samples).map(|n| 0.5 * phase(n).sin() as f32).collect()
}

struct Played {
    /// Decoded, with the codec's delay taken out: sample 0 is index 0.
    audio: Vec<f32>,
    events: Vec<CaptureEvent>,
}

/// Plays a file, for at most `seconds`, without waiting.
fn play(spec: &FileSpec, seconds: f64) -> Played {
    let track = Track::new(WakeEpoch(1), 128_000).unwrap();
    let mut microphone = FileMicrophone::open(spec, track, NOW, WALL).unwrap();
    let end = ClockNs(NOW.0 + (seconds * 1e9) as i64);
    let mut now = NOW;
    let mut events = Vec::new();
    while now <= end {
        let due = microphone.step(now);
        events.extend(std::iter::from_fn(|| microphone.poll_event()));
        let Some(due) = due else { break };
        now = due;
    }
    microphone.finish();
    events.extend(std::iter::from_fn(|| microphone.poll_event()));
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut audio = Vec::new();
    for event in &events {
        if let CaptureEvent::Packet { packet, .. } = event {
            assert_eq!(packet.index.0, audio.len() as u64, "file microphones have no holes");
            let mut frame = vec![0.0; 960];
            decoder.decode_float(&packet.opus, &mut frame, false).unwrap();
            audio.extend(frame);
        }
    }
    let Some(CaptureEvent::Segment(segment)) = events.first() else { panic!("no segment first") };
    assert_eq!((segment.captured_at, segment.first), (NOW, SampleIndex(0)));
    audio.drain(..audio.len().min(segment.codec_delay as usize));
    Played { audio, events }
}

/// Where `wanted` lies in `audio`, near `near`, and how well it fits there.
fn find(audio: &[f32], wanted: &[f32], near: usize) -> (usize, f64) {
    let energy = |x: &[f32]| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    let fit = |at: usize| {
        let heard = &audio[at..at + wanted.len()];
        let product: f64 = heard.iter().zip(wanted).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        product / (energy(heard) * energy(wanted)).sqrt().max(1e-9)
    };
    let places = near.saturating_sub(40)..=(near + 40).min(audio.len() - wanted.len());
    places.map(|at| (at, fit(at))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    (folder, path)
}

fn at_ms(offset_ms: i64) -> Option<i64> {
    Some(WALL / 1_000_000 + offset_ms)
}

#[test]
fn it_begins_at_once_and_finishes() {
    let (_folder, path) = folder();
    let sound = chirp(48_000 + 500, 48_000.0);
    write(&path, 48_000, &sound);
    let played = play(&FileSpec::new(&path), 10.0);
    let (at, fit) = find(&played.audio, &sound, 0);
    assert!(at == 0 && fit > 0.98, "{at} {fit}");
    assert_eq!(played.events.last(), Some(&CaptureEvent::Finished));
    let finished = played.events.len();
    assert!(matches!(played.events[finished - 2], CaptureEvent::Packet { .. } | CaptureEvent::Level { .. }));
}

#[test]
fn its_first_sample_lies_where_at_says_at_any_rate_and_skew() {
    for (rate, offset_ms, skew_ppm) in
        [(48_000, 437, 0.0), (44_100, 437, 0.0), (48_000, 1_503, 2_000.0), (16_000, 1_503, -2_000.0), (96_000, 1, 50.0)]
    {
        let (_folder, path) = folder();
        write(&path, rate, &chirp(rate as usize, f64::from(rate)));
        let spec = FileSpec { at_unix_ms: at_ms(offset_ms), skew_ppm, ..FileSpec::new(&path) };
        let played = play(&spec, 10.0);
        let wanted = (offset_ms as f64 * 48.0 * (1.0 + skew_ppm * 1e-6)).round() as usize;
        // Without the file's edges, which a filter rounds off.
        let (at, fit) = find(&played.audio, &chirp(48_000, 48_000.0)[480..47_000], wanted + 480);
        assert!(at.abs_diff(wanted + 480) <= 1 && fit > 0.98, "{rate} Hz, {skew_ppm} ppm: {at}, not {wanted}; {fit}");
        assert!(played.audio[..wanted.saturating_sub(200)].iter().all(|sample| sample.abs() < 0.02));
    }
}

#[test]
fn in_the_past_it_starts_in_the_middle() {
    for rate in [48_000, 44_100] {
        let (_folder, path) = folder();
        write(&path, rate, &chirp(rate as usize * 2, f64::from(rate)));
        let played = play(&FileSpec { at_unix_ms: at_ms(-777), ..FileSpec::new(&path) }, 10.0);
        let wanted = chirp(96_000, 48_000.0);
        let from = 777 * 48;
        let (at, fit) = find(&played.audio, &wanted[from + 400..95_000], 400);
        assert!(at.abs_diff(400) <= 1 && fit > 0.98, "{rate}: {at} {fit}");
        assert_eq!(played.audio.len().div_ceil(960), (96_000 - from + 312).div_ceil(960));
    }
    let (_folder, path) = folder();
    write(&path, 48_000, &chirp(48_000, 48_000.0));
    let over = play(&FileSpec { at_unix_ms: at_ms(-5_000), ..FileSpec::new(&path) }, 10.0);
    assert_eq!((over.audio.len(), over.events.last()), (0, Some(&CaptureEvent::Finished)));
}

#[test]
fn a_loop_goes_on_without_a_seam() {
    for (rate, at) in [(48_000, 0), (44_100, -12_345)] {
        let (_folder, path) = folder();
        write(&path, rate, &chirp(rate as usize / 2, f64::from(rate)));
        let spec = FileSpec { repeat: true, at_unix_ms: at_ms(at), ..FileSpec::new(&path) };
        let played = play(&spec, 3.0);
        let begun = (at.unsigned_abs() as usize * 48) % 24_000;
        let wanted = &chirp(24_000, 48_000.0)[600..23_400];
        for turn in 1..4 {
            let expected = turn * 24_000 - begun + 600;
            let (found, fit) = find(&played.audio, wanted, expected);
            assert!(found.abs_diff(expected) <= 1 && fit > 0.98, "{rate}: turn {turn} at {found}, not {expected}");
        }
        assert_eq!(played.events.last().map(|event| matches!(event, CaptureEvent::Finished)), Some(false));
    }
}

#[test]
fn packets_come_when_the_simulated_clock_says() {
    let (_folder, path) = folder();
    write(&path, 48_000, &chirp(48_000 * 3, 48_000.0));
    let rate = 48_000.0 * 1.001;
    let track = Track::new(WakeEpoch(1), 64_000).unwrap();
    let spec = FileSpec { skew_ppm: 1_000.0, ..FileSpec::new(&path) };
    let mut microphone = FileMicrophone::open(&spec, track, NOW, WALL).unwrap();
    let mut now = NOW;
    let (mut packets, mut anchors) = (0_u64, 0);
    while let Some(due) = microphone.step(now) {
        for event in std::iter::from_fn(|| microphone.poll_event()) {
            let exact = |index: u64| NOW.0 as f64 + index as f64 * 1e9 / rate;
            match event {
                CaptureEvent::Packet { packet, captured_at } => {
                    assert_eq!(packet.index.0, packets * 960);
                    assert!((captured_at.0 as f64 - exact(packet.index.0)).abs() <= 1.0);
                    assert!(now.0 as f64 + 1.0 >= exact(packet.index.0 + 960), "not before it is captured");
                    packets += 1;
                }
                CaptureEvent::Anchor(anchor) => {
                    assert!((anchor.at.0 as f64 - exact(anchor.index.0)).abs() <= 1.0);
                    anchors += 1;
                }
                _ => {}
            }
        }
        assert!(due > now);
        now = due;
    }
    assert_eq!(anchors, 3);
}

#[test]
fn gain_and_channels_and_formats() {
    let (_folder, path) = folder();
    let spec = WavSpec { channels: 2, sample_rate: 48_000, bits_per_sample: 24, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::create(&path, spec).unwrap();
    let sound = chirp(48_000, 48_000.0);
    for &sample in &sound {
        writer.write_sample((sample * 8_388_607.0) as i32).unwrap();
        writer.write_sample(0).unwrap();
    }
    writer.finalize().unwrap();
    let played = play(&FileSpec { gain_db: 6.0206, ..FileSpec::new(&path) }, 10.0);
    let loudness = |x: &[f32]| (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
    let ratio = loudness(&played.audio[..48_000]) / loudness(&sound);
    assert!((ratio - 1.0).abs() < 0.02, "half by mixing, double by gain: {ratio}");
}

#[test]
fn memory_stays_small_while_catching_up() {
    let (_folder, path) = folder();
    write(&path, 48_000, &chirp(48_000, 48_000.0));
    let spec = FileSpec { repeat: true, ..FileSpec::new(&path) };
    let mut microphone = FileMicrophone::open(&spec, Track::new(WakeEpoch(1), 6_000).unwrap(), NOW, WALL).unwrap();
    let later = ClockNs(NOW.0 + 3_600_000_000_000);
    assert_eq!(microphone.step(later), Some(later), "it comes back at once, and listens in between");
    assert!(std::iter::from_fn(|| microphone.poll_event()).count() < 200);
}

#[test]
fn files_that_cannot_be_played_say_why() {
    let (folder, path) = folder();
    let reason = |path: &Path| {
        let track = Track::new(WakeEpoch(1), 64_000).unwrap();
        let error = FileMicrophone::open(&FileSpec::new(path), track, NOW, WALL).err().unwrap();
        assert_eq!(error.code(), "microphone");
        error.to_string()
    };
    assert!(reason(&path).contains("no such file"));
    std::fs::write(&path, b"hello").unwrap();
    assert!(reason(&path).contains("no WAV file"), "{}", reason(&path));
    std::fs::write(&path, b"OggS this is something else altogether").unwrap();
    assert!(reason(&path).contains("no WAV file"), "{}", reason(&path));
    write(&path, 48_000, &[]);
    assert!(reason(&path).contains("no samples"));
    assert!(!reason(folder.path()).is_empty());
}

#[test]
fn a_file_cut_short_ends_and_says_so() {
    let (_folder, path) = folder();
    write(&path, 48_000, &chirp(48_000, 48_000.0));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let played = play(&FileSpec::new(&path), 10.0);
    assert!(played.audio.len() > 20_000);
    let told = |event: &CaptureEvent| matches!(event, CaptureEvent::Device { problem: Some(_), .. });
    assert!(played.events.iter().any(told));
    assert_eq!(played.events.last(), Some(&CaptureEvent::Finished));
}
