//! A scripted sound system plays what goes wrong with microphones; time is arithmetic.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use roomtone_protocol::WakeEpoch;
use roomtone_protocol::channel::{Hole, Segment};
use roomtone_protocol::metadata::GapCause;

use super::*;
use crate::device::{DeviceIdentity, OpenDevice, OpenStream};
use crate::feed::{ErrorLatch, Feeder, feed};

mod alarms;
mod quiet;

const MS: i64 = 1_000_000;
const STEP_MS: i64 = 20;

/// One stream that was opened.
struct Stream {
    identity: DeviceIdentity,
    feeder: Feeder,
    failure: ErrorLatch,
    closed: Arc<Mutex<bool>>,
    /// Whether it calls.
    flows: bool,
    /// What it hears, repeated.
    sound: Vec<f32>,
    heard: usize,
}

/// What the system has, and how it answers.
struct System {
    identity: DeviceIdentity,
    /// Why nothing can be opened.
    refuses: Option<CaptureError>,
    hangs: bool,
    hides_denial: bool,
    /// What streams that are opened hear.
    sound: Vec<f32>,
    streams: Vec<Stream>,
    given_up: u32,
}

#[derive(Clone)]
struct Script(Arc<Mutex<System>>);

struct Scripted {
    system: Script,
    replies: VecDeque<Reply>,
}

/// Tells when the stream is closed.
struct Closing(Arc<Mutex<bool>>);

impl Drop for Closing {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

impl Attendant for Scripted {
    fn request(&mut self, request: Request) {
        let mut system = self.system.0.lock().unwrap();
        if system.hangs {
            return;
        }
        let identity = system.identity.clone();
        let result = system.refuses.clone().map_or(Ok(()), Err);
        let (hides_denial, sound) = (system.hides_denial, system.sound.clone());
        self.replies.push_back(match request {
            Request::Identify => Reply::Identified(Ok(identity)),
            Request::Open { .. } => Reply::Opened(result.map(|()| {
                let (feeder, intake) = feed(identity.rate);
                let (failure, closed) = (ErrorLatch::default(), Arc::new(Mutex::new(false)));
                let device = OpenDevice {
                    identity: identity.clone(),
                    intake,
                    failure: Arc::clone(&failure),
                    hides_denial,
                    _stream: OpenStream::new(Closing(Arc::clone(&closed))),
                };
                system.streams.push(Stream { identity, feeder, failure, closed, flows: true, sound, heard: 0 });
                device
            })),
        });
    }

    fn reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    fn give_up(&mut self) {
        self.system.0.lock().unwrap().given_up += 1;
    }
}

struct Rig {
    capture: DeviceCapture<Scripted>,
    system: Script,
    now_ms: i64,
    events: Vec<CaptureEvent>,
    first: mpsc::Receiver<Result<(), CaptureError>>,
}

fn identity(name: &str, rate: u32) -> DeviceIdentity {
    DeviceIdentity { id: name.to_owned(), name: name.to_owned(), rate, channels: 1, instead_of: None }
}

impl Rig {
    fn new(identity: DeviceIdentity) -> Self {
        let system = System {
            identity,
            refuses: None,
            hangs: false,
            hides_denial: false,
            sound: vec![0.25],
            streams: Vec::new(),
            given_up: 0,
        };
        let system = Script(Arc::new(Mutex::new(system)));
        let (tell, first) = mpsc::channel();
        let attendant = Scripted { system: system.clone(), replies: VecDeque::new() };
        let track = Track::new(WakeEpoch(9), 32_000).unwrap();
        let capture = DeviceCapture::new(attendant, track, tell, ClockNs(0));
        Self { capture, system, now_ms: 0, events: Vec::new(), first }
    }

    /// Lets time pass; streams that flow deliver 20 ms every 20 ms.
    fn run(&mut self, ms: i64) {
        let end = self.now_ms + ms;
        while self.now_ms < end {
            self.now_ms += STEP_MS;
            self.deliver(STEP_MS);
            self.step();
        }
    }

    fn step(&mut self) {
        self.capture.step(ClockNs(self.now_ms * MS));
        self.events.extend(std::iter::from_fn(|| self.capture.poll_event()));
    }

    /// What was captured in the last `ms`.
    fn deliver(&mut self, ms: i64) {
        let at = ClockNs(self.now_ms * MS);
        for stream in &mut self.system.0.lock().unwrap().streams {
            if stream.flows && !*stream.closed.lock().unwrap() {
                let frames = usize::try_from(i64::from(stream.identity.rate) * ms / 1_000).unwrap();
                let channels = usize::from(stream.identity.channels);
                let sample = |n: usize| stream.sound[(stream.heard + n / channels) % stream.sound.len()];
                let interleaved: Vec<f32> = (0..frames * channels).map(sample).collect();
                stream.heard += frames;
                stream.feeder.push(&interleaved, stream.identity.channels, at, ms * MS);
            }
        }
    }

    /// What everything hears from now on.
    fn hear(&self, sound: &[f32]) {
        self.script(|system| {
            system.sound = sound.to_vec();
            system.streams.iter_mut().for_each(|stream| stream.sound = sound.to_vec());
        });
    }

    /// Lets time pass until an alarm of this kind begins or ends; the milliseconds that it took.
    fn until_alarm(&mut self, kind: AlarmKind, active: bool) -> i64 {
        let (begun, told) = (self.now_ms, self.alarms().len());
        while !self.alarms()[told..].contains(&(kind, active)) {
            assert!(self.now_ms < begun + 60_000, "no {kind:?} within a minute: {:?}", self.alarms());
            self.run(STEP_MS);
        }
        self.now_ms - begun
    }

    fn alarms(&self) -> Vec<(AlarmKind, bool)> {
        let alarm = |e: &CaptureEvent| if let CaptureEvent::Alarm(a) = e { Some((a.kind, a.active)) } else { None };
        self.events.iter().filter_map(alarm).collect()
    }

    fn opened(&self) -> usize {
        self.system.0.lock().unwrap().streams.len()
    }

    fn script(&self, change: impl FnOnce(&mut System)) {
        change(&mut self.system.0.lock().unwrap());
    }

    fn segments(&self) -> Vec<&Segment> {
        self.events.iter().filter_map(|e| if let CaptureEvent::Segment(s) = e { Some(s) } else { None }).collect()
    }

    fn holes(&self) -> Vec<&Hole> {
        self.events.iter().filter_map(|e| if let CaptureEvent::Hole(h) = e { Some(h) } else { None }).collect()
    }

    fn problems(&self) -> Vec<Option<DeviceProblem>> {
        let problem =
            |e: &CaptureEvent| if let CaptureEvent::Device { problem, .. } = e { Some(problem.clone()) } else { None };
        self.events.iter().filter_map(problem).collect()
    }

    /// What must hold whatever happened: indices only rise, segments begin where they say, times fit indices.
    fn check(&self) {
        let (mut above, mut segment, mut until) = (0, None, i64::MIN);
        for event in &self.events {
            match event {
                CaptureEvent::Segment(begun) => {
                    assert!(begun.first.0 >= above, "segment at {} after {above}", begun.first.0);
                    assert!(begun.captured_at.0 + 50_000 >= until, "time is given out once");
                    above = begun.first.0;
                    segment = Some(begun);
                }
                CaptureEvent::Packet { packet, captured_at } => {
                    let begun = segment.expect("a segment comes first");
                    assert_eq!((packet.segment, packet.index.0), (begun.segment, above), "packets follow each other");
                    let nominal = begun.captured_at.0 + (above - begun.first.0) as i64 * 62_500 / 3;
                    assert!((captured_at.0 - nominal).abs() < 2 * MS, "a time that fits the index");
                    above += 960;
                    // The last packets of a segment are filled up with silence: at most two.
                    until = captured_at.0 - 20 * MS;
                }
                _ => {}
            }
        }
    }

    /// Milliseconds of packets.
    fn sound_ms(&self) -> i64 {
        20 * i64::try_from(self.events.iter().filter(|e| matches!(e, CaptureEvent::Packet { .. })).count()).unwrap()
    }
}

#[test]
fn a_good_device_is_one_segment_with_an_anchor_a_second() {
    for rate in [48_000, 44_100] {
        let mut rig = Rig::new(identity("good", rate));
        rig.run(20_000);
        assert_eq!(rig.first.try_recv(), Ok(Ok(())));
        rig.check();
        let segments = rig.segments();
        assert_eq!((segments.len(), segments[0].cause, segments[0].device_rate), (1, None, rate));
        assert!(segments[0].captured_at.0.abs() <= 20 * MS, "{}", segments[0].captured_at.0);
        assert!((19_800..=20_000).contains(&rig.sound_ms()), "{}", rig.sound_ms());
        let anchors: Vec<_> =
            rig.events.iter().filter_map(|e| if let CaptureEvent::Anchor(a) = e { Some(a) } else { None }).collect();
        assert!((18..=20).contains(&anchors.len()));
        for anchor in anchors {
            let exact = segments[0].captured_at.0 + anchor.index.0.cast_signed() * 62_500 / 3;
            assert!((anchor.at.0 - exact).abs() < 30_000, "{} of {exact}", anchor.at.0);
        }
        assert_eq!(rig.problems(), [None]);
    }
}

#[test]
fn a_stall_is_a_hole_of_its_true_length() {
    let mut rig = Rig::new(identity("stalls", 48_000));
    rig.run(5_000);
    rig.script(|system| system.streams[0].flows = false);
    rig.run(5_000);
    rig.check();
    let (segments, holes) = (rig.segments(), rig.holes());
    assert_eq!((segments.len(), segments[1].cause), (2, Some(GapCause::CaptureStall)));
    let missing = (holes[0].range.to.0 - holes[0].range.from.0) / 48;
    assert_eq!((holes.len(), holes[0].cause), (1, GapCause::CaptureStall));
    // Two seconds until it counts as dead, and two steps to open it again.
    assert!((2_000..2_100).contains(&missing), "{missing} ms");
    let quiet = segments[1].captured_at.0 / MS - 5_000;
    assert!((quiet - missing.cast_signed()).abs() <= 1, "{quiet} ms");
    assert_eq!(rig.problems(), [None, Some(DeviceProblem::Stalled), None]);
    assert!(*rig.system.0.lock().unwrap().streams[0].closed.lock().unwrap());
}

#[test]
fn frames_lost_behind_our_back_are_found() {
    let mut rig = Rig::new(identity("drops", 48_000));
    rig.run(5_000);
    // Time goes on, calls go on, 300 ms of frames are missing.
    rig.now_ms += 300;
    rig.run(5_000);
    rig.check();
    let holes = rig.holes();
    assert_eq!((rig.segments().len(), holes.len()), (2, 1));
    assert_eq!((holes[0].range.to.0 - holes[0].range.from.0) / 48, 300);
    assert_eq!(rig.segments()[1].cause, Some(GapCause::CaptureStall));
}

#[test]
fn an_overrun_of_the_ring_is_a_hole() {
    let mut rig = Rig::new(identity("busy", 48_000));
    rig.run(5_000);
    // The worker does not run for twelve seconds.
    for _ in 0..600 {
        rig.now_ms += STEP_MS;
        rig.deliver(STEP_MS);
    }
    rig.step();
    rig.run(5_000);
    rig.check();
    let holes = rig.holes();
    assert_eq!((rig.segments().len(), holes.len()), (2, 1), "{:?}", rig.problems());
    assert_eq!((holes[0].range.to.0 - holes[0].range.from.0) / 48, 2_000);
}

#[test]
fn an_error_is_answered_with_a_new_stream() {
    let mut rig = Rig::new(identity("unplugged", 48_000));
    rig.run(5_000);
    let error = CaptureError::Device { reason: "gone".to_owned() };
    rig.script(|system| {
        system.streams[0].failure.set(error.clone()).unwrap();
        system.identity = identity("other", 16_000);
    });
    rig.run(5_000);
    rig.check();
    let segments = rig.segments();
    assert_eq!(segments[1].cause, Some(GapCause::DeviceChange));
    assert_eq!((segments[1].device.as_str(), segments[1].device_rate), ("other", 16_000));
    let missing = (rig.holes()[0].range.to.0 - rig.holes()[0].range.from.0) / 48;
    assert!((200..400).contains(&missing), "{missing} ms");
    assert_eq!(rig.problems(), [None, Some(DeviceProblem::Failed(error)), None]);
}

#[test]
fn a_default_device_that_moves_is_followed_without_a_hole() {
    let mut rig = Rig::new(identity("first", 48_000));
    rig.run(5_000);
    rig.script(|system| system.identity = identity("second", 44_100));
    rig.run(6_000);
    rig.check();
    let segments = rig.segments();
    assert_eq!((segments.len(), segments[1].device.as_str()), (2, "second"));
    assert_eq!(segments[1].cause, Some(GapCause::DeviceChange));
    assert_eq!(rig.holes().len(), 0);
    assert!(rig.sound_ms() >= 10_900, "{}", rig.sound_ms());
}

#[test]
fn a_rate_that_flips_under_us_is_a_device_change() {
    let mut rig = Rig::new(identity("headset", 48_000));
    rig.run(5_000);
    rig.script(|system| system.identity.rate = 16_000);
    rig.run(6_000);
    rig.check();
    let rates: Vec<_> = rig.segments().iter().map(|segment| segment.device_rate).collect();
    assert_eq!(rates, [48_000, 16_000]);
}

#[test]
fn the_old_device_goes_on_while_the_new_one_cannot_be_opened() {
    let mut rig = Rig::new(identity("old", 48_000));
    rig.run(5_000);
    rig.script(|system| system.identity = identity("new", 48_000));
    rig.run(1_100);
    rig.script(|system| system.refuses = Some(CaptureError::NoDefault));
    rig.run(10_000);
    assert_eq!((rig.segments().len(), rig.holes().len()), (1, 0));
    rig.script(|system| system.refuses = None);
    rig.run(40_000);
    rig.check();
    assert_eq!(rig.segments().len(), 2);
    assert_eq!(rig.holes().len(), 0);
}

#[test]
fn a_sound_system_that_hangs_and_comes_back_costs_only_the_time() {
    let mut rig = Rig::new(identity("mic", 48_000));
    rig.run(5_000);
    rig.script(|system| {
        system.streams[0].flows = false;
        system.hangs = true;
    });
    rig.run(30_000);
    rig.script(|system| {
        assert!(system.given_up >= 2);
        system.hangs = false;
    });
    rig.run(40_000);
    rig.check();
    let (segments, holes) = (rig.segments(), rig.holes());
    assert_eq!((segments.len(), holes.len()), (2, 1));
    let missing = (holes[0].range.to.0 - holes[0].range.from.0).cast_signed() / 48;
    assert!((missing - (segments[1].captured_at.0 / MS - 5_000)).abs() <= 1);
    assert!(missing > 29_000);
}

#[test]
fn sleep_is_a_hole_as_long_as_the_sleep() {
    let mut rig = Rig::new(identity("laptop", 48_000));
    rig.run(5_000);
    rig.script(|system| system.streams[0].flows = false);
    rig.now_ms += 3_600_000;
    rig.run(5_000);
    rig.check();
    let missing = (rig.holes()[0].range.to.0 - rig.holes()[0].range.from.0) / 48_000;
    assert!((3_600..3_604).contains(&missing), "{missing} s");
}

#[test]
fn sleep_under_a_stream_that_goes_on_is_a_hole_and_a_new_segment() {
    let mut rig = Rig::new(identity("laptop", 48_000));
    rig.run(5_000);
    rig.now_ms += 3_600_000;
    rig.run(5_000);
    rig.check();
    assert_eq!(rig.segments().len(), 2);
    assert_eq!((rig.holes()[0].range.to.0 - rig.holes()[0].range.from.0) / 48, 3_600_000);
    assert_eq!(rig.alarms(), []);
}

#[test]
fn channels_that_flip_under_us_are_a_device_change() {
    let mut rig = Rig::new(identity("headset", 48_000));
    rig.run(5_000);
    rig.script(|system| system.identity.channels = 2);
    rig.run(6_000);
    rig.check();
    assert_eq!((rig.segments().len(), rig.holes().len()), (2, 0));
    assert_eq!(rig.segments()[1].cause, Some(GapCause::DeviceChange));
}

#[test]
fn a_frame_size_that_flips_under_us_costs_nothing() {
    let mut rig = Rig::new(identity("bluetooth", 48_000));
    rig.run(5_000);
    for piece_ms in [10, 60, 40, 20] {
        for _ in 0..100 {
            rig.now_ms += piece_ms;
            rig.deliver(piece_ms);
            rig.step();
        }
    }
    rig.check();
    assert_eq!((rig.segments().len(), rig.holes().len()), (1, 0));
    assert!(rig.sound_ms() >= 17_800, "{}", rig.sound_ms());
}

#[test]
fn a_device_that_stands_in_for_another_is_named() {
    let mut rig = Rig::new(identity("chosen", 48_000));
    rig.run(2_000);
    let stand_in = DeviceIdentity { instead_of: Some("chosen".to_owned()), ..identity("built-in", 48_000) };
    rig.script(|system| system.identity = stand_in);
    rig.run(4_000);
    let replaced = DeviceProblem::Replaced { wanted: "chosen".to_owned() };
    assert_eq!(rig.problems(), [None, Some(replaced)]);
    assert_eq!(rig.alarms(), [(AlarmKind::WrongDevice, true)]);
    rig.script(|system| system.identity = identity("chosen", 48_000));
    rig.run(4_000);
    assert_eq!(rig.problems().last(), Some(&None));
    rig.check();
}

#[test]
fn a_first_attempt_that_fails_is_told_to_who_started() {
    let mut rig = Rig::new(identity("mic", 48_000));
    let error = CaptureError::UnknownDevice { name: "x".to_owned(), available: vec!["y".to_owned(), "z".to_owned()] };
    rig.script(|system| system.refuses = Some(error.clone()));
    rig.run(100);
    assert_eq!(rig.first.try_recv(), Ok(Err(error.clone())));
    assert_eq!(error.hint(), "choose one of: y, z");
}

#[test]
fn stopping_brings_out_what_was_captured() {
    let mut rig = Rig::new(identity("mic", 48_000));
    rig.run(300);
    assert_eq!(rig.sound_ms(), 0, "the first second is looked at before it is placed");
    rig.capture.finish();
    rig.events.extend(std::iter::from_fn(|| rig.capture.poll_event()));
    rig.check();
    assert!(rig.sound_ms() >= 260, "{}", rig.sound_ms());
}
