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
    Start { title: Option<&'static str> },
    Stop,
    Unsupported(u8),
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
}

/// Texts as people give them; some are padded, empty or refused.
const TEXTS: [&str; 6] = ["Ann", "Ben", " Ann ", "", "bad\nname", "\u{202e}nnA"];

fn text() -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::of(proptest::sample::select(TEXTS.to_vec()))
}

fn who() -> impl Strategy<Value = u8> {
    0..PEOPLE
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        8 => text().prop_map(|title| Ask::Start { title }),
        5 => Just(Ask::Stop),
        1 => (0..4_u8).prop_map(Ask::Unsupported),
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
    (record_by, proptest::bool::weighted(0.95), grace_ms, any::<bool>(), events).prop_map(
        |(record_by, recording_enabled, grace_ms, punctual, events)| Script {
            record_by,
            recording_enabled,
            grace_ms,
            punctual,
            events,
        },
    )
}
