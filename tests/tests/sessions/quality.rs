//! Nothing but the codec comes between what was said and what is in the file.

use roomtone_tests::signal::{Quality, SAMPLE_RATE, Speaker, laid_over, read_time_code};
use roomtone_tests::{Outcome, PATIENCE, Stage, now_unix_ms};

/// Length of the sources.
const SOURCE_S: usize = 60;
/// Length of the recording, in ms.
const RECORDED_MS: u64 = 20_000;
/// Frames of a packet of 20 ms.
const PACKET: usize = 960;
/// Bits a second that participants use unless told otherwise.
const BITRATE: i32 = 128_000;
/// What a recording's spectrum may be farther from the source's than the same codec by itself brings it, in dB.
const FARTHER_DB: f64 = 0.1;
/// What its signal-to-noise ratio may be worse.
const NOISIER_DB: f64 = 0.3;
/// Where packets begin in the source is chance in a recording, and worth some tenths of a dB: the codec by itself is as
/// good as it is at the worst of these, in frames.
const PACKETS_BEGIN: [usize; 4] = [0, 240, 480, 720];

/// Seconds of a source lie this near to where its clock puts them, in frames: 1 ms.
const STEADY: f64 = 48.0;

/// Somebody whose device's clock is `skew_ppm` millionths too fast.
struct Person {
    name: &'static str,
    speaker: Speaker,
    skew_ppm: i32,
}

impl Person {
    fn rate(&self) -> f64 {
        1.0 + f64::from(self.skew_ppm) * 1e-6
    }
}

/// Encoded and decoded, with nothing in between; as long as it was, and where it was. Packets begin `begin` frames before
/// the source does.
fn through_opus(source: &[f32], begin: usize) -> Vec<f32> {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(BITRATE)).unwrap();
    encoder.set_complexity(9).unwrap();
    encoder.set_vbr(true).unwrap();
    encoder.set_vbr_constraint(false).unwrap();
    let delay = usize::try_from(encoder.get_lookahead().unwrap()).unwrap();
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono).unwrap();
    let mut input = vec![0.0; begin];
    input.extend_from_slice(source);
    input.resize((input.len() + delay).next_multiple_of(PACKET), 0.0);
    let mut decoded = vec![0.0; input.len()];
    for (input, output) in input.chunks_exact(PACKET).zip(decoded.chunks_exact_mut(PACKET)) {
        decoder.decode_float(&encoder.encode_vec_float(input, 1_275).unwrap(), output, false).unwrap();
    }
    decoded[begin + delay..begin + delay + source.len()].to_vec()
}

/// Records people, and holds each channel against its source and the codec.
fn keeps_what_the_codec_keeps(people: &[Person]) {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&people.iter().map(|person| person.speaker).collect::<Vec<_>>(), SOURCE_S);
    let at_ms = (now_unix_ms() + 500.0).round();
    let programs: Vec<_> = people
        .iter()
        .map(|Person { name, speaker, skew_ppm }| {
            let microphone = format!("{}&skew_ppm={skew_ppm}", stage.microphone(*speaker, SOURCE_S, at_ms));
            let program = stage.join(&host.invite, name, &microphone, &[]);
            host.person("participant_joined", name);
            program
        })
        .collect();
    let recording = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, RECORDED_MS);
    let outcome = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    programs.into_iter().for_each(|program| drop(program.stop(PATIENCE).unwrap()));
    let wav = outcome.wav();
    for (channel, person) in wav.channels.iter().zip(people) {
        let Person { name, speaker, .. } = person;
        let source = speaker.says(SOURCE_S);
        let marks = read_time_code(channel, *speaker);
        let places = marks.iter().map(|mark| mark.frame - f64::from(mark.second) * SAMPLE_RATE as f64 / person.rate());
        let (least, most) = places.fold((f64::MAX, f64::MIN), |(least, most), at| (at.min(least), at.max(most)));
        assert!(most - least <= STEADY, "{name}: seconds lie {:.1} frames apart from where they belong", most - least);
        let (heard, said) = laid_over(channel, &marks, &source, person.rate());
        let seconds = said.len() / SAMPLE_RATE;
        assert!(seconds + 2 >= usize::try_from(RECORDED_MS / 1_000).unwrap(), "{name}: only {seconds} whole seconds");
        // The same seconds, through nothing but the codec.
        let first = usize::try_from(marks.iter().map(|mark| mark.second).min().unwrap()).unwrap() * SAMPLE_RATE;
        let range = first..(first + said.len()).min(source.len());
        let codec = PACKETS_BEGIN
            .map(|begin| Quality::of(&through_opus(&source, begin)[range.clone()], &source[range.clone()]))
            .into_iter()
            .inspect(|codec| println!("{name}: the codec alone {codec:?}"))
            .reduce(|worst, codec| Quality {
                snr_db: worst.snr_db.min(codec.snr_db),
                distance_db: worst.distance_db.max(codec.distance_db),
            })
            .unwrap();
        let found = Quality::of(&heard, &said);
        println!("{name}: {found:?}, over {seconds} s");
        assert!(found.snr_db >= codec.snr_db - NOISIER_DB, "{name}: {found:?}, the codec alone {codec:?}");
        assert!(found.distance_db <= codec.distance_db + FARTHER_DB, "{name}: {found:?}, the codec alone {codec:?}");
    }
}

#[test]
fn a_channel_is_as_good_as_the_codec_alone() {
    keeps_what_the_codec_keeps(&[
        Person { name: "Ada", speaker: Speaker(1), skew_ppm: 0 },
        Person { name: "Ben", speaker: Speaker(2), skew_ppm: 0 },
    ]);
}

#[test]
fn so_is_one_whose_device_runs_fast_or_slow() {
    keeps_what_the_codec_keeps(&[
        Person { name: "Cleo", speaker: Speaker(3), skew_ppm: 300 },
        Person { name: "Dora", speaker: Speaker(4), skew_ppm: -300 },
    ]);
}
