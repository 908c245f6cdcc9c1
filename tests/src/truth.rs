//! What a recording has to hold, told by what was said and when.

use crate::Outcome;
use crate::signal::{
    Mark, SAMPLE_RATE, Speaker, best_match, constant_offset, laid_over, read_time_code, steady_line, weakest_stretch,
};

/// Marks of one channel lie on one line, to half a millisecond: nothing is dropped, doubled or stretched.
const STEADY: f64 = 24.0;

/// Frames at a recording's begin in which a second is not looked for: filters reach that far.
const EDGE: f64 = 48.0;

/// Likeness of 20 ms to their source: the codec keeps up 0.98 everywhere, and what a decoder makes up for a lost packet
/// falls below this within a few milliseconds.
const REAL: f64 = 0.9;

/// Somebody of whom it is known when their source began to sound, and how well.
#[derive(Debug, Clone)]
pub struct Truth {
    /// What they are called.
    pub name: &'static str,
    /// What they say.
    pub speaker: Speaker,
    /// Unix time in milliseconds at which their source began.
    pub instant_ms: f64,
    /// How far from it the recording may put it, in milliseconds.
    pub tolerance_ms: f64,
    /// How far the clock of whatever plays the source may be off, in parts per million. The recording is on the
    /// recorder's clock, so a device that runs fast says more in a minute than a minute of its source.
    pub clock_ppm: f64,
}

impl Truth {
    /// A file begins to play at the instant that `at` names.
    #[must_use]
    pub fn of_a_file(name: &'static str, speaker: Speaker, at_ms: f64) -> Self {
        Self { name, speaker, instant_ms: at_ms, tolerance_ms: 10.0, clock_ppm: 0.0 }
    }

    /// Every channel holds its own source, whole, at its true time, and nobody else's. Sources are `seconds` long.
    ///
    /// # Panics
    /// It does not.
    pub fn check(outcome: &Outcome, people: &[Self], seconds: usize) {
        let wav = outcome.wav();
        assert_eq!((wav.rate, wav.bits), (48_000, 24));
        assert_eq!(outcome.names(), people.iter().map(|person| person.name).collect::<Vec<_>>());
        assert_eq!(wav.channels.len(), people.len());
        assert_eq!(outcome.metadata["frames"], wav.frames());
        assert!(outcome.gapless, "{}", outcome.metadata);
        let sources: Vec<Vec<f32>> = people.iter().map(|person| person.speaker.says(seconds)).collect();
        for (index, person) in people.iter().enumerate() {
            let (channel, name) = (&wav.channels[index], person.name);
            assert_eq!(outcome.channel(index)["missing_frames"], 0, "{name}: {}", outcome.channel(index));
            let marks = read_time_code(channel, person.speaker);
            let origin = person.line(&marks).unwrap_or_else(|error| panic!("{name}: {error}"));
            // As many whole seconds as there is room for between the source's begin and the end of the file.
            let heard = wav.frames() as f64 - origin.max(0.0);
            let (found, room) = (marks.len() as f64, (heard / SAMPLE_RATE as f64).floor());
            assert!(found >= room - 1.0, "{name}: {found} of {room} seconds were found");
            let expected = (person.instant_ms - outcome.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
            let error_ms = (origin - expected) * 1000.0 / SAMPLE_RATE as f64;
            println!("{name}: {found} seconds, {error_ms:+.2} ms from the truth");
            assert!(error_ms.abs() <= person.tolerance_ms, "{name} is {error_ms:+.2} ms from the truth");
            for (other, source) in people.iter().zip(&sources) {
                let found = if other.name == name && person.clock_ppm > 0.0 {
                    let (heard, said) = second_by_second(channel, &marks, source);
                    best_match(&heard, &said)
                } else {
                    best_match(channel, source)
                };
                if other.name == name {
                    println!("{name}: correlation {:.4} with their own source", found.correlation);
                    assert!(found.correlation > 0.98, "{name}: {found:?}");
                } else {
                    assert!(found.correlation.abs() < 0.1, "{name} sounds like {}: {found:?}", other.name);
                }
            }
        }
    }

    /// Where the source begins in the recording.
    fn line(&self, marks: &[Mark]) -> Result<f64, String> {
        if self.clock_ppm == 0.0 {
            return constant_offset(marks, STEADY);
        }
        let (origin, second) = steady_line(marks, STEADY)?;
        let ppm = (second / SAMPLE_RATE as f64 - 1.0) * 1e6;
        println!("{}: its device's clock is {:.1} ppm off", self.name, -ppm);
        if ppm.abs() > self.clock_ppm {
            return Err(format!("a second of the source takes {second:.2} frames"));
        }
        Ok(origin)
    }

    /// Every 20 ms of every channel are what was said at that time: nothing was filled in by guessing.
    ///
    /// # Panics
    /// Something was.
    pub fn nothing_is_made_up(outcome: &Outcome, people: &[Self], seconds: usize) {
        let wav = outcome.wav();
        for (channel, Self { name, speaker, .. }) in wav.channels.iter().zip(people) {
            let marks = read_time_code(channel, *speaker);
            let origin = constant_offset(&marks, STEADY).unwrap_or_else(|error| panic!("{name}: {error}"));
            #[expect(clippy::cast_possible_truncation, reason = "a frame of the file, or one before it")]
            let origin = origin.round() as i64;
            let (weakest, count) = weakest_stretch(channel, 0..channel.len(), &speaker.says(seconds), origin);
            let weakest = weakest.unwrap_or_else(|| panic!("{name}: nothing was said in the whole recording"));
            println!("{name}: of {count} stretches the weakest is {:.3} like what was said", weakest.likeness);
            assert!(weakest.likeness > REAL, "{name}: {weakest:?} was not said");
        }
    }
}

/// The seconds of a source that another one follows, and what was recorded of them. A device whose clock wanders is
/// followed from node to node of its map, so that each second has a length of its own.
fn second_by_second(channel: &[f32], marks: &[Mark], source: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut heard, mut said) = (Vec::new(), Vec::new());
    // What lies at the very beginning is not whole.
    let whole = |pair: &&[Mark]| pair[1].second == pair[0].second + 1 && pair[0].frame >= EDGE;
    for pair in marks.windows(2).filter(whole) {
        let rate = SAMPLE_RATE as f64 / (pair[1].frame - pair[0].frame);
        let (heard_then, said_then) = laid_over(channel, &pair[..1], source, rate);
        heard.extend(heard_then);
        said.extend(said_then);
    }
    (heard, said)
}
