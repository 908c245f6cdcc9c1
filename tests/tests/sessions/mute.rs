//! Somebody mutes themselves: their channel goes on, silent, and the ledger says why.
//!
//! The headless program has no way to mute, so the participant runs in this process.

use roomtone_protocol::channel::Command;
use roomtone_studio::{DEFAULT_BITRATE, DataDir, Participant, ParticipantOptions};
use roomtone_tests::signal::{Mark, SAMPLE_RATE, Speaker, read_time_code};
use roomtone_tests::{Host, Outcome, PATIENCE, Stage, now_unix_ms};
use tokio::runtime::Runtime;

const ADA: Speaker = Speaker(1);
const SOURCE_S: usize = 60;

/// Nobody hears that: -66 dBFS.
const SILENT: f32 = 0.0005;
/// Five packets, in frames: the codec lets what is around a silence sound into its edges.
const EDGE: usize = 4_800;

/// Ada, who is here, and who has not said what she is called.
fn join(runtime: &Runtime, stage: &Stage, host: &mut Host, at_ms: f64) -> Participant {
    let data_dir = DataDir::open(Some(&stage.data_dir("ada"))).unwrap();
    let start = data_dir.start().unwrap();
    let microphone = stage.microphone(ADA, SOURCE_S, at_ms).parse().unwrap();
    let options = ParticipantOptions { name: None, microphone, bitrate: DEFAULT_BITRATE, stay: true };
    let here = vec!["127.0.0.1".parse().unwrap()];
    let joining = Participant::join(&data_dir, &start, host.invite.parse().unwrap(), options, here);
    let (ada, mut events) = runtime.block_on(joining).unwrap();
    runtime.spawn(async move {
        // Held as long as she is in the room.
        let _data_dir = data_dir;
        while events.recv().await.is_some() {}
    });
    let joined = host.program.wait_for("somebody without a name", PATIENCE, |event| {
        event["event"] == "participant_joined" && event["name"].is_null()
    });
    assert_eq!(joined.unwrap()["participant"], ada.id().to_string());
    ada
}

/// Frames of the one gap that channel 0 may have, which is because of the mute.
fn muted(outcome: &Outcome) -> (usize, usize) {
    let channel = outcome.channel(0);
    let gaps = channel["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["cause"], "muted", "{gaps:?}");
    assert_eq!((&channel["missing_frames"], &channel["gapless"]), (&0.into(), &true.into()), "{channel}");
    assert!(outcome.gapless, "who mutes themselves lacks nothing: {}", outcome.metadata);
    let frame = |key: &str| usize::try_from(gaps[0][key].as_u64().unwrap()).unwrap();
    (frame("from"), frame("to"))
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

#[test]
fn who_mutes_themselves_has_a_channel_that_goes_on_silent() {
    let stage = Stage::new();
    let runtime = Runtime::new().unwrap();
    let mut host = stage.host(&[]);
    stage.prepare(&[ADA], SOURCE_S);
    let at_ms = (now_unix_ms() + 500.0).round();
    let ada = join(&runtime, &stage, &mut host, at_ms);
    let begin = |host: &Host| {
        let started = stage.ask(&["record", &host.invite, "start"]).unwrap();
        started["recording"].as_str().unwrap().to_owned()
    };
    let recording = begin(&host);
    host.recorded(&recording, 5_000);
    let muted_ms = now_unix_ms();
    runtime.block_on(ada.set_muted(true)).unwrap();
    host.recorded(&recording, 10_000);
    let unmuted_ms = now_unix_ms();
    runtime.block_on(ada.set_muted(false)).unwrap();
    runtime.block_on(ada.request(Command::SetName { name: Some("Ada".to_owned()) })).unwrap();
    assert_eq!(host.person("participant_renamed", "Ada")["participant"], ada.id().to_string());
    host.recorded(&recording, 15_000);
    let first = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());

    // Who is muted when a recording begins is muted in it, and has a channel all the same.
    runtime.block_on(ada.set_muted(true)).unwrap();
    let recording = begin(&host);
    host.recorded(&recording, 3_000);
    let second = Outcome::of(&stage.ask(&["record", &host.invite, "stop", "--wait"]).unwrap());
    runtime.block_on(ada.leave());

    assert_eq!((first.names(), second.names()), (vec!["Ada"], vec!["Ada"]), "the name she took is in the file");
    let (from, to) = muted(&first);
    let wav = first.wav();
    // The mute takes hold when the button is pressed, to within what the microphone holds back.
    for (frame, pressed_ms) in [(from, muted_ms), (to, unmuted_ms)] {
        let at_ms = first.started_ms() + frame as f64 * 1000.0 / SAMPLE_RATE as f64;
        println!("{:+.0} ms from the order", at_ms - pressed_ms);
        assert!((-300.0..2_000.0).contains(&(at_ms - pressed_ms)), "{} ms from the order", at_ms - pressed_ms);
    }
    let channel = &wav.channels[0];
    let silence = &channel[from + EDGE..to - EDGE];
    assert!(peak(silence) < SILENT, "{}", peak(silence));
    let marks = read_time_code(channel, ADA);
    let (before, after): (Vec<Mark>, Vec<Mark>) = marks.iter().partition(|mark| mark.frame < from as f64);
    assert!(before.len() >= 3 && after.len() >= 3, "{marks:?}");
    assert!(after.iter().all(|mark| mark.frame + 1.0 >= to as f64), "{marks:?} within {from} to {to}");
    let expected = (at_ms - first.started_ms()) * SAMPLE_RATE as f64 / 1000.0;
    for mark in &marks {
        assert!((mark.origin() - expected).abs() < 480.0, "{mark:?}, the source begins at {expected}");
        assert!((mark.origin() - marks[0].origin()).abs() < 24.0, "{mark:?} is not where {:?} puts it", marks[0]);
    }

    assert_eq!(muted(&second), (0, second.wav().frames()));
    assert!(peak(&second.wav().channels[0]) < SILENT, "{}", peak(&second.wav().channels[0]));
}
