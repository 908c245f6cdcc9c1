//! Random sequences of events.

use proptest::prelude::*;
use proptest::sample::Index;
use roomtone_protocol::state::{RecordBy, Role};
use roomtone_session::Path;

/// People of a script, by number.
pub(crate) const PEOPLE: u8 = 5;

/// A room and everything that happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) record_by: RecordBy,
    pub(crate) recording_enabled: bool,
    pub(crate) grace_ms: u64,
    pub(crate) time_limit_ms: Option<u64>,
    pub(crate) auto_record: Option<u32>,
    /// Whether the driver answers at once when a recording is to begin by itself.
    pub(crate) prompt: bool,
    /// Whether the driver ticks at every deadline, or only comes back with the next event.
    pub(crate) punctual: bool,
    /// Nanoseconds since the event before, and what happens.
    pub(crate) events: Vec<(i64, Event)>,
}

/// Something that happens. Recordings are picked among all that there ever were.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Tick,
    Enter {
        who: u8,
        observer: bool,
        host: bool,
        name: Option<&'static str>,
        microphone: bool,
    },
    Presence {
        who: u8,
        path: Path,
        up: bool,
    },
    Leave {
        who: u8,
    },
    Relay {
        lost: bool,
    },
    Command {
        who: u8,
        host: bool,
        passing: bool,
        based_on: Basis,
        ask: Ask,
    },
    /// One of the last commands is delivered again.
    Repeat(Index),
    Recording(Index, Step),
    /// News of a recording that nobody knows.
    Unknown(Step),
    Recovered {
        finalized: bool,
    },
    Continued(Earlier),
    AutoStart,
    /// The disk has room for so many seconds of one channel, beside the reserve; None: not even that.
    Disk(Option<u64>),
}

/// What an earlier run was in the middle of, in milliseconds before now.
#[derive(Debug, Clone)]
pub(crate) struct Earlier {
    pub(crate) begun: i64,
    pub(crate) recorded: u64,
    pub(crate) running_since: Option<i64>,
    pub(crate) last_there: i64,
    pub(crate) channels: Vec<u8>,
}

impl Event {
    pub(crate) fn role(observer: bool) -> Role {
        if observer { Role::Observer } else { Role::Participant }
    }
}

/// Which state somebody saw when they gave a command.
#[derive(Debug, Clone)]
pub(crate) enum Basis {
    None,
    Newest,
    /// One of the published ones.
    Published(Index),
    /// One of an earlier run of the recorder.
    EarlierRun,
}

#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Start {
        title: Option<&'static str>,
        notes: Option<&'static str>,
    },
    Stop,
    Pause,
    Resume,
    /// A recording, or the current one.
    Cancel(Option<Index>),
    Mark(&'static str),
    Describe {
        of: Option<Index>,
        title: Option<&'static str>,
        notes: Option<&'static str>,
    },
    Status,
    SetName(Option<&'static str>),
    SetMuted(bool),
    CloseRoom,
}

/// What becomes of a recording.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Prepared,
    Finalized,
    Empty,
    Completed,
    Failed,
    CutShort,
    Trouble(bool),
    /// Waits for these people, for a minute at most.
    Waiting(&'static [u8]),
    /// The bucket has so many percent.
    GoesUp(u8),
}

/// Texts as people give them; some are padded, empty or refused.
const TEXTS: [&str; 6] = ["Ann", "Ben", " Ann ", "", "bad\nname", "\u{202e}nnA"];

fn text() -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::of(proptest::sample::select(TEXTS.to_vec()))
}

fn of() -> impl Strategy<Value = Option<Index>> {
    proptest::option::of(any::<Index>())
}

fn who() -> impl Strategy<Value = u8> {
    0..PEOPLE
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        8 => (text(), text()).prop_map(|(title, notes)| Ask::Start { title, notes }),
        4 => Just(Ask::Stop),
        5 => Just(Ask::Pause),
        6 => Just(Ask::Resume),
        3 => of().prop_map(Ask::Cancel),
        3 => proptest::sample::select(TEXTS.to_vec()).prop_map(Ask::Mark),
        3 => (of(), text(), text()).prop_map(|(of, title, notes)| Ask::Describe { of, title, notes }),
        1 => Just(Ask::Status),
        3 => text().prop_map(Ask::SetName),
        2 => any::<bool>().prop_map(Ask::SetMuted),
    ]
}

fn basis() -> impl Strategy<Value = Basis> {
    prop_oneof![
        4 => Just(Basis::None),
        3 => Just(Basis::Newest),
        3 => any::<Index>().prop_map(Basis::Published),
        1 => Just(Basis::EarlierRun),
    ]
}

fn command() -> impl Strategy<Value = Event> {
    let rights = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.2));
    (who(), rights, basis(), ask()).prop_map(|(who, (host, passing), based_on, ask)| Event::Command {
        who,
        host,
        passing,
        based_on,
        ask,
    })
}

fn close() -> impl Strategy<Value = Event> {
    (who(), any::<bool>()).prop_map(|(who, host)| Event::Command {
        who,
        host,
        passing: false,
        based_on: Basis::None,
        ask: Ask::CloseRoom,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Prepared),
        6 => Just(Step::Finalized),
        1 => Just(Step::Empty),
        4 => Just(Step::Completed),
        1 => Just(Step::Failed),
        1 => Just(Step::CutShort),
        2 => any::<bool>().prop_map(Step::Trouble),
        2 => proptest::sample::select(vec![&[][..], &[1], &[1, 2]]).prop_map(Step::Waiting),
        2 => (0..=100_u8).prop_map(Step::GoesUp),
    ]
}

fn enter() -> impl Strategy<Value = Event> {
    let kind = (proptest::bool::weighted(0.15), proptest::bool::weighted(0.2), proptest::bool::weighted(0.8));
    (who(), kind, text()).prop_map(|(who, (observer, host, microphone), name)| Event::Enter {
        who,
        observer,
        host,
        name,
        microphone,
    })
}

fn presence() -> impl Strategy<Value = Event> {
    (who(), any::<bool>(), proptest::bool::weighted(0.4)).prop_map(|(who, link, up)| Event::Presence {
        who,
        path: if link { Path::Link } else { Path::Relay },
        up,
    })
}

fn earlier() -> impl Strategy<Value = Earlier> {
    let ago = || 0..30_000_i64;
    let channels = proptest::collection::vec(who(), 0..4);
    (ago(), 0..30_000_u64, proptest::option::weighted(0.7, ago()), ago(), channels).prop_map(
        |(begun, recorded, running_since, last_there, channels)| Earlier {
            begun,
            recorded,
            running_since,
            last_there,
            channels,
        },
    )
}

/// On both sides of every warning.
fn disk() -> impl Strategy<Value = Option<u64>> {
    let rooms = vec![0, 100, 299, 300, 301, 700, 1_799, 1_800, 3_600, 20_000];
    proptest::option::weighted(0.9, proptest::sample::select(rooms))
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => Just(Event::Tick),
        120 => enter(),
        160 => presence(),
        80 => who().prop_map(|who| Event::Leave { who }),
        30 => proptest::bool::weighted(0.4).prop_map(|lost| Event::Relay { lost }),
        240 => command(),
        20 => any::<Index>().prop_map(Event::Repeat),
        180 => (any::<Index>(), step()).prop_map(|(of, step)| Event::Recording(of, step)),
        10 => step().prop_map(Event::Unknown),
        10 => any::<bool>().prop_map(|finalized| Event::Recovered { finalized }),
        10 => earlier().prop_map(Event::Continued),
        10 => Just(Event::AutoStart),
        30 => disk().prop_map(Event::Disk),
        2 => close(),
    ]
}

/// Time that goes by, in nanoseconds; a clock that runs back must not hurt either.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        30 => Just(0),
        40 => 0..1_500_000_000_i64,
        20 => (0..40_i64).prop_map(|quarters| quarters * 250_000_000),
        10 => 0..30_000_000_000_i64,
        3 => -2_000_000_000..0_i64,
    ]
}

/// Any room, and one to two hundred events.
pub(crate) fn scripts() -> impl Strategy<Value = Script> {
    let record_by = prop_oneof![3 => Just(RecordBy::Everyone), 1 => Just(RecordBy::Host)];
    let grace_ms = proptest::sample::select(vec![0, 1_000, 2_500, 10_000, 20_000]);
    let events = proptest::collection::vec((time(), event()), 1..=200);
    let time_limit_ms =
        proptest::sample::select(vec![None, None, Some(2_300), Some(20_000), Some(90_700), Some(400_000)]);
    let auto_record = proptest::sample::select(vec![None, None, Some(0), Some(1), Some(2), Some(3)]);
    let limits = (grace_ms, time_limit_ms, auto_record);
    (record_by, proptest::bool::weighted(0.95), limits, any::<(bool, bool)>(), events).prop_map(
        |(record_by, recording_enabled, (grace_ms, time_limit_ms, auto_record), (punctual, prompt), events)| Script {
            record_by,
            recording_enabled,
            grace_ms,
            time_limit_ms,
            auto_record,
            prompt,
            punctual,
            events,
        },
    )
}
