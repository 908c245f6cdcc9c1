use super::*;

const MS: i64 = 1_000_000;

fn track() -> Track {
    Track::new(WakeEpoch(3), 64_000).unwrap()
}

fn start(at_ms: i64, cause: Option<GapCause>) -> Start<'static> {
    Start { at: ClockNs(at_ms * MS), rate: 48_000.0, device: "mic", device_rate: 44_100, cause }
}

fn events(track: &mut Track) -> Vec<CaptureEvent> {
    std::iter::from_fn(|| track.poll_event()).collect()
}

fn packets(events: &[CaptureEvent]) -> Vec<(u32, u64, i64)> {
    let packet = |event: &CaptureEvent| match event {
        CaptureEvent::Packet { packet, captured_at } => {
            Some((packet.segment.segment.0, packet.index.0, captured_at.0 / MS))
        }
        _ => None,
    };
    events.iter().filter_map(packet).collect()
}

#[test]
fn samples_become_packets_with_their_index_and_time() {
    let mut track = track();
    track.begin(&start(1_000, None));
    // In pieces that are no packets.
    for _ in 0..30 {
        track.push(&[0.1; 100]);
    }
    let events = events(&mut track);
    let CaptureEvent::Segment(segment) = &events[0] else { panic!("{events:?}") };
    assert_eq!((segment.first, segment.device_rate, segment.codec_delay), (SampleIndex(0), 44_100, 312));
    assert_eq!(packets(&events), [(0, 0, 1_000), (0, 960, 1_020), (0, 1_920, 1_040)]);
}

#[test]
fn a_new_segment_lies_above_by_the_time_that_passed() {
    let mut track = track();
    track.begin(&start(0, None));
    track.push(&[0.1; 4_800]);
    track.begin(&start(600, Some(GapCause::CaptureStall)));
    track.push(&[0.1; 960]);
    let events = events(&mut track);
    let hole = events.iter().find_map(|event| if let CaptureEvent::Hole(hole) = event { Some(*hole) } else { None });
    let hole = hole.unwrap();
    assert_eq!((hole.range.from.0, hole.range.to.0), (4_800, 28_800), "half a second from the last sample on");
    assert_eq!((hole.range.segment.segment.0, hole.cause), (0, GapCause::CaptureStall));
    // Five packets, a sixth that brings out what the encoder held, then the new segment.
    let packets = packets(&events);
    assert_eq!(packets[4..], [(0, 3_840, 80), (0, 4_800, 100), (1, 28_800, 600)]);
}

#[test]
fn the_index_never_goes_back() {
    let mut track = track();
    let mut above = 0;
    for at in [0, 30, 30, 0, 5_000, 31] {
        track.begin(&start(at, Some(GapCause::DeviceChange)));
        track.push(&[0.1; 1_500]);
        for (_, index, _) in packets(&events(&mut track)) {
            assert!(index >= above, "{index} after {above}");
            above = index + 960;
        }
    }
}

#[test]
fn a_change_without_a_pause_leaves_no_hole() {
    let mut track = track();
    track.begin(&start(0, None));
    track.push(&[0.1; 4_800]);
    track.begin(&start(100, Some(GapCause::DeviceChange)));
    assert!(!events(&mut track).iter().any(|event| matches!(event, CaptureEvent::Hole(_))));
}

#[test]
fn the_end_brings_out_all_that_went_in() {
    for samples in [0_usize, 1, 648, 649, 960, 961, 1_000] {
        let mut track = track();
        track.begin(&start(0, None));
        track.push(&vec![0.1; samples]);
        track.end();
        let covered = packets(&events(&mut track)).len() * 960;
        assert!(samples == 0 && covered == 0 || covered >= samples + 312 && covered < samples + 312 + 960, "{samples}");
    }
}

#[test]
fn muting_counts_from_the_next_sample_and_crosses_segments() {
    let mut track = track();
    track.begin(&start(0, None));
    track.push(&[0.5; 100]);
    track.set_muted(true);
    track.set_muted(true);
    track.push(&[0.5; 100]);
    track.begin(&start(1_000, Some(GapCause::DeviceChange)));
    track.push(&[0.5; 960 * 5]);
    track.set_muted(false);
    let events = events(&mut track);
    let muted = |event: &CaptureEvent| match event {
        CaptureEvent::Muted { segment, from, muted } => Some((segment.segment.0, from.0, *muted)),
        _ => None,
    };
    let muted: Vec<_> = events.iter().filter_map(muted).collect();
    assert_eq!(muted, [(0, 100, true), (1, 48_000, true), (1, 52_800, false)]);
    let levels: Vec<f32> =
        events.iter().filter_map(|e| if let CaptureEvent::Level { dbfs } = e { Some(*dbfs) } else { None }).collect();
    assert!(levels[0] > -20.0, "100 samples were still to be heard");
}

#[test]
fn anchors_move_the_packets_that_follow() {
    let mut track = track();
    track.begin(&start(0, None));
    track.push(&[0.0; 960]);
    track.anchor(SampleIndex(480), ClockNs(15 * MS));
    track.push(&[0.0; 960]);
    let events = events(&mut track);
    assert_eq!(packets(&events), [(0, 0, 0), (0, 960, 25)]);
    assert!(events.iter().any(|event| matches!(event, CaptureEvent::Anchor(a) if a.index.0 == 480)));
}
