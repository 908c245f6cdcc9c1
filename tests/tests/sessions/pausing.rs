//! A recording that is paused, marked and described: the pause is cut out of the file, and everything that was said
//! about it is in it.

use std::time::Duration;

use roomtone_tests::signal::{CODE_FRAMES, Mark, SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{Deadline, Outcome, PATIENCE, Stage, now_unix_ms, readers};

const PEOPLE: [(&str, Speaker); 2] = [("Ada", Speaker(1)), ("Ben", Speaker(2))];

/// How long the pause lasts at least.
const PAUSE: Duration = Duration::from_secs(4);

/// Commands take effect when they are given, to within what a busy machine takes to carry them.
const SLACK_MS: f64 = 1_000.0;

/// The first marker of this text.
fn marker(outcome: &Outcome, text: &str) -> u64 {
    let markers = outcome.metadata["markers"].as_array().unwrap();
    let found = markers.iter().find(|marker| marker["text"] == text);
    found.unwrap_or_else(|| panic!("no marker {text:?} in {markers:?}"))["frame"].as_u64().unwrap()
}

/// Where the label of a cue point stands in the file's bytes.
fn has_label(file: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    file.windows(text.len() + 12).any(|window| &window[..4] == b"labl" && &window[12..] == text)
}

#[test]
fn a_pause_is_cut_out_and_what_was_said_about_the_recording_is_in_the_file() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&PEOPLE.map(|(_, speaker)| speaker), 60);
    let at_ms = (now_unix_ms() + 500.0).round();
    let people = PEOPLE.map(|(name, speaker)| {
        let program = stage.join(&host.invite, name, &stage.microphone(speaker, 60, at_ms), &[]);
        host.person("participant_joined", name);
        program
    });
    let invite = host.invite.clone();
    let record = |more: &[&str]| {
        let mut arguments = vec!["record", &invite];
        arguments.extend_from_slice(more);
        stage.ask(&arguments)
    };
    let started = record(&["start", "--title", "Pilot", "--notes", "in the kitchen"]).unwrap();
    let recording = started["recording"].as_str().unwrap().to_owned();
    host.recorded(&recording, 4_000);
    record(&["mark", "good one"]).unwrap();
    host.recorded(&recording, 6_000);
    let paused_ms = now_unix_ms();
    let paused = record(&["pause"]).unwrap();
    assert_eq!(paused["state"], "paused", "{paused}");
    assert_eq!(record(&["pause"]).unwrap_err().code, "already_changed");
    record(&["mark", "at the seam"]).unwrap();
    record(&["describe", "--title", "Pilot 2"]).unwrap();
    let over = paused_ms + PAUSE.as_secs_f64() * 1_000.0;
    Deadline::after(PATIENCE).poll(|| (now_unix_ms() >= over).then_some(())).unwrap();
    let status = record(&["status"]).unwrap();
    assert_eq!((&status["state"], &status["elapsed_ms"]), (&"paused".into(), &paused["elapsed_ms"]), "it stands still");
    let resumed_ms = now_unix_ms();
    assert_eq!(record(&["resume"]).unwrap()["state"], "recording");
    assert_eq!(record(&["resume"]).unwrap_err().code, "already_changed");
    host.recorded(&recording, 11_000);
    let outcome = Outcome::of(&record(&["stop", "--wait"]).unwrap());
    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }

    assert!(outcome.gapless, "a pause is no gap: {}", outcome.metadata);
    let seam = marker(&outcome, "Pause");
    assert_eq!(marker(&outcome, "at the seam"), seam);
    assert!((190_000..seam).contains(&marker(&outcome, "good one")), "{}", outcome.metadata["markers"]);
    assert_eq!((&outcome.metadata["title"], &outcome.metadata["notes"]), (&"Pilot 2".into(), &"in the kitchen".into()));
    let paused_elapsed = paused["elapsed_ms"].as_u64().unwrap() * 48;
    assert!(seam.abs_diff(paused_elapsed) <= 48, "the seam {seam} is where the clock stood still, {paused_elapsed}");

    let frames = |ms: f64| ms * SAMPLE_RATE as f64 / 1_000.0;
    let wav = outcome.wav();
    for (index, (name, speaker)) in PEOPLE.into_iter().enumerate() {
        let mut marks = read_time_code(&wav.channels[index], speaker);
        // Of a mark that somebody resumed in the middle of, the end is there, and its place is where it would have begun.
        marks.retain(|mark| !(mark.frame..mark.frame + CODE_FRAMES as f64).contains(&(seam as f64)));
        let (before, after): (Vec<Mark>, Vec<Mark>) = marks.iter().partition(|mark| mark.frame < seam as f64);
        assert!(before.len() >= 4 && after.len() >= 4, "{name}: {marks:?}");
        for side in [&before, &after] {
            let steady = side.iter().all(|mark| (mark.origin() - side[0].origin()).abs() < 24.0);
            assert!(steady, "{name}: {side:?}");
        }
        let expected = frames(at_ms - outcome.started_ms());
        assert!((before[0].origin() - expected).abs() < frames(10.0), "{name}: {before:?} but for {expected}");
        // What lies between the two sides of the seam is as long as the pause was.
        let cut = before[0].origin() - after[0].origin();
        let pause = resumed_ms - paused_ms;
        println!("{name}: {:.0} ms were cut out, the pause took {pause:.0} ms", cut * 1_000.0 / SAMPLE_RATE as f64);
        assert!((cut - frames(pause)).abs() < frames(SLACK_MS), "{name}: {cut} frames for {pause} ms");
        // Nothing of the pause: a second that began in it is nowhere.
        let inside = |mark: &&Mark| {
            let instant = at_ms + f64::from(mark.second) * 1_000.0;
            instant > paused_ms + SLACK_MS && instant < resumed_ms
        };
        assert_eq!(marks.iter().find(inside), None, "{name}");
    }

    let file = std::fs::read(&outcome.path).unwrap();
    for text in ["good one", "Pause", "at the seam"] {
        assert!(has_label(&file, text), "the label of {text:?}");
    }
    let contains = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(file[..4_096].windows(7).any(|window| window == b"Pilot 2"), "bext tells the title");
    assert!(contains("<NAME>Ada</NAME>"), "iXML tells the names");
    assert_eq!(readers::all(&outcome.path).frames, outcome.metadata["frames"].as_u64().unwrap());
}
