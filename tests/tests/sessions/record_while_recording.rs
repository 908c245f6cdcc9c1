//! Record while recording: the old one is finalized, a fresh one begins, and nothing is lost between the two.

use roomtone_tests::signal::{Speaker, best_match, constant_offset, read_time_code};
use roomtone_tests::{Outcome, PATIENCE, Stage, now_unix_ms, unix_ms};

const PEOPLE: [(&str, Speaker); 2] = [("Ada", Speaker(1)), ("Ben", Speaker(2))];

#[test]
fn the_second_file_begins_where_the_first_ends() {
    let stage = Stage::new();
    let mut host = stage.host(&[]);
    stage.prepare(&PEOPLE.map(|(_, speaker)| speaker), 60);
    let at_ms = (now_unix_ms() + 500.0).round();
    let people = PEOPLE.map(|(name, speaker)| {
        let program = stage.join(&host.invite, name, &stage.microphone(speaker, 60, at_ms), &[]);
        host.person("participant_joined", name);
        program
    });
    let first = stage.ask(&["record", &host.invite, "start"]).unwrap()["recording"].as_str().unwrap().to_owned();
    host.recorded(&first, 6_500);
    let answer = stage.ask(&["record", &host.invite, "start"]).unwrap();
    let second = answer["recording"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let first = host.completed(&first);
    host.recorded(&second, 6_500);
    let second = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    for person in people {
        assert!(person.stop(PATIENCE).unwrap().status.success());
    }

    assert_ne!(first.key, second.key);
    assert!(first.gapless && second.gapless, "{} {}", first.metadata, second.metadata);
    let instant = |outcome: &Outcome, key: &str| unix_ms(outcome.metadata[key].as_str().unwrap());
    let seam_ms = instant(&second, "started_at") - instant(&first, "ended_at");
    assert!(seam_ms.abs() < 1.0, "{seam_ms} ms between the end of the first and the begin of the second");

    let (before, after) = (first.wav(), second.wav());
    for (index, (name, speaker)) in PEOPLE.into_iter().enumerate() {
        assert_eq!((first.names()[index], second.names()[index]), (name, name));
        // Laid end to end they are one recording: every second is there, also the one that the seam cuts, and each
        // lies within a sample of where the others put it.
        let whole = [before.channels[index].as_slice(), after.channels[index].as_slice()].concat();
        let marks = read_time_code(&whole, speaker);
        let origin = constant_offset(&marks, 1.0).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{name}: {} seconds over the seam, the source begins at frame {origin:.2}", marks.len());
        assert!(marks.len() >= 12, "{name}: {marks:?}");
        let found = best_match(&whole, &speaker.says(60));
        assert!(found.correlation > 0.98, "{name}: {found:?}");
    }
}
