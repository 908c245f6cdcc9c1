//! The ruler itself: sources are found where they lie, after a real codec, and never taken for each other.

#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use roomtone_tests::signal::{SAMPLE_RATE, Speaker, best_match, constant_offset, read_time_code};

/// Mono Opus at 128 kb/s and 20 ms, as Roomtone sends it; the decoded sound lags by the encoder's lookahead.
fn through_opus(samples: &[f32]) -> (Vec<f32>, usize) {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(128_000)).unwrap();
    let lookahead = usize::try_from(encoder.get_lookahead().unwrap()).unwrap();
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut decoded = Vec::with_capacity(samples.len());
    let mut frame = [0.0; 960];
    for chunk in samples.chunks_exact(960) {
        let packet = encoder.encode_vec_float(chunk, 1500).unwrap();
        let count = decoder.decode_float(&packet, &mut frame, false).unwrap();
        decoded.extend_from_slice(&frame[..count]);
    }
    (decoded, lookahead)
}

/// A recording that begins `late` frames after the source.
fn recorded(speaker: Speaker, seconds: usize, late: usize) -> (Vec<f32>, usize) {
    let (decoded, lookahead) = through_opus(&speaker.says(seconds));
    (decoded[late..].to_vec(), lookahead)
}

#[test]
fn a_source_is_found_within_a_sample_after_opus() {
    let (recording, lookahead) = recorded(Speaker(1), 12, 123_457);
    let found = best_match(&recording, &Speaker(1).says(12));
    let truth = i64::try_from(lookahead).unwrap() - 123_457;
    assert!((found.lag - truth).abs() <= 1, "{found:?}, truth {truth}");
    assert!(found.correlation > 0.98, "{found:?}");
}

#[test]
fn no_speaker_resembles_another() {
    let sources: Vec<Vec<f32>> = (0..5).map(|number| Speaker(number).says(12)).collect();
    for (a, one) in sources.iter().enumerate() {
        for (b, other) in sources.iter().enumerate().filter(|&(b, _)| b != a) {
            let found = best_match(one, other);
            assert!(found.correlation.abs() < 0.1, "{a} and {b}: {found:?}");
        }
    }
}

#[test]
fn the_time_is_read_from_the_sound_alone() {
    let late = 3 * SAMPLE_RATE + 30_001;
    let (mut recording, lookahead) = recorded(Speaker(7), 12, late);
    recording.iter_mut().for_each(|sample| *sample *= 0.05);
    let marks = read_time_code(&recording, Speaker(7));
    assert_eq!(marks.iter().map(|mark| mark.second).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9, 10, 11]);
    let origin = constant_offset(&marks, 0.5).unwrap();
    assert!((origin - (lookahead as f64 - late as f64)).abs() < 0.5, "{origin}");
    assert_eq!(read_time_code(&recording, Speaker(8)), []);
}

#[test]
fn a_lost_and_a_shifted_stretch_are_noticed() {
    let said = Speaker(3).says(10);
    let mut without_a_second = said.clone();
    without_a_second[4 * SAMPLE_RATE..5 * SAMPLE_RATE].fill(0.0);
    let error = constant_offset(&read_time_code(&without_a_second, Speaker(3)), 1.0).unwrap_err();
    assert!(error.contains("second 4 is missing"), "{error}");

    let mut spliced = said[..5 * SAMPLE_RATE].to_vec();
    spliced.extend_from_slice(&said[5 * SAMPLE_RATE + 20..]);
    assert!(constant_offset(&read_time_code(&spliced, Speaker(3)), 2.0).is_err());
}

#[test]
fn silence_holds_no_source() {
    assert_eq!(read_time_code(&vec![0.0; 5 * SAMPLE_RATE], Speaker(1)), []);
    assert!(best_match(&vec![0.0; SAMPLE_RATE], &Speaker(1).says(1)).correlation.abs() < 0.1);
}
