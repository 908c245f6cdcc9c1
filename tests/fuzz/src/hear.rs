//! What becomes of a journal: its ledger, and a moment of sound wherever there is any.

use roomtone_packets::Record;
use roomtone_protocol::ClockNs;
use roomtone_recorder::{
    ChannelLedger, ChannelSpec, Evidence, FileFrame, Journal, PacketSource, Renderer, Timeline, TimelineFrame,
    TrackClock, TrackPlan,
};

/// Frames rendered at each place that is looked at: 50 ms.
const FRAMES: u64 = 2_400;

/// Places that are looked at. A chunk is decoded from 2 s before, so each of them costs some milliseconds.
const PLACES: usize = 4;

/// Listens to a journal as finalizing does, at a few places instead of everywhere: a hostile one can claim centuries.
pub(crate) fn hear(journal: &Journal, open_end: Option<ClockNs>) {
    let timeline = Timeline::new(&journal.notes().intervals, open_end);
    let mut renderer = Renderer::new(timeline.clone());
    let mut places = vec![0, timeline.frames().saturating_sub(FRAMES)];
    for channel in ChannelSpec::from_journal(journal).iter().take(4) {
        let participant = channel.participant;
        let Some(notes) = journal.track(participant) else { continue };
        let coverage = journal.coverage(participant);
        let evidence = Evidence { timeline: &timeline, notes, coverage, left: &channel.left_at };
        let ledger = ChannelLedger::new(&evidence);
        assert!(ledger.gaps.windows(2).all(|pair| pair[0].to <= pair[1].from), "gaps are in order: {:?}", ledger.gaps);
        assert!(ledger.gaps.iter().all(|gap| gap.from < gap.to && gap.to <= timeline.frames()), "{:?}", ledger.gaps);
        let stretches = notes.stretches.values().flatten();
        places.extend(stretches.map(|stretch| timeline.to_file_or_next(TimelineFrame(stretch.frame)).0));
        let packets = journal.packets(participant).expect("the disk is in memory");
        let source = packets.map(|packets| Box::new(packets) as Box<dyn PacketSource>);
        renderer.push_channel(TrackPlan::new(notes, coverage), source).expect("a decoder can be made");
    }
    places.truncate(PLACES);
    let mut planar = Vec::new();
    for from in places {
        let to = from.saturating_add(FRAMES).min(timeline.frames());
        renderer.render_planar(FileFrame(from.min(to)), FileFrame(to), 1, &mut planar).expect("the disk is in memory");
        assert!(planar.iter().all(|channel| channel.len() as u64 == to - from.min(to)));
    }
}

/// The maps of a journal that has none, noted in it.
pub(crate) fn decide(journal: &mut Journal) {
    let participants: Vec<_> = journal.participants().collect();
    for participant in participants {
        let mut clock = TrackClock::default();
        journal.replay(participant, |record| clock.restore(&record)).expect("the disk is in memory");
        for stretch in clock.conclude(None) {
            journal.append(participant, &Record::MapStretch(stretch)).expect("the disk is in memory");
        }
    }
}
