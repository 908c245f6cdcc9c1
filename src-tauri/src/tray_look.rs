//! What the icon in the menu bar shows and what its item would do, for a given view.

use roomtone_protocol::state::{RecordBy, RecordingState};
use roomtone_studio::view::{Connection, Phase, RoomView, View};

/// The picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picture {
    /// Nothing is recorded.
    Idle,
    /// A recording runs: red.
    Recording,
    /// It is interrupted.
    Paused,
}

/// What the first item of the menu asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toggle {
    /// Begin a recording.
    Start,
    /// Finish it.
    Stop,
}

/// Icon and menu in one value, so that only a change of it touches the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The picture.
    pub(crate) picture: Picture,
    /// What the item does.
    pub(crate) toggle: Toggle,
    /// Whether that is possible now.
    pub(crate) enabled: bool,
}

impl Look {
    /// How the icon looks before anything is known.
    pub(crate) const IDLE: Self = Self { picture: Picture::Idle, toggle: Toggle::Start, enabled: false };

    /// How it looks for a view.
    pub(crate) fn of(view: &View) -> Self {
        let (Phase::Room, Some(room)) = (view.phase, &view.room) else { return Self::IDLE };
        let current = room.state.as_ref().and_then(|state| state.current.as_ref());
        let picture = match current.map(|recording| recording.state) {
            Some(RecordingState::Preparing | RecordingState::Recording) => Picture::Recording,
            Some(RecordingState::Paused) => Picture::Paused,
            _ => Picture::Idle,
        };
        let toggle = if picture == Picture::Idle { Toggle::Start } else { Toggle::Stop };
        Self { picture, toggle, enabled: room.recorder == Connection::Connected && may_record(room) }
    }

    /// The item's text.
    pub(crate) const fn label(self) -> &'static str {
        match self.toggle {
            Toggle::Start => "Record",
            Toggle::Stop => "Stop recording",
        }
    }
}

/// Whether this person may start and stop. The recorder decides; this only spares a refusal.
fn may_record(room: &RoomView) -> bool {
    let Some(state) = &room.state else { return false };
    let host = room.hosting || state.person(room.me).is_some_and(|me| me.host);
    host || state.record_by == RecordBy::Everyone
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::state::{RecordingStatus, RoomState};
    use roomtone_protocol::{ParticipantId, RecordingId, RoomId};

    use super::*;

    fn view(recording: Option<RecordingState>, record_by: RecordBy, hosting: bool, recorder: Connection) -> View {
        let status = |state| RecordingStatus {
            recording: RecordingId::from_bytes([1; 16]),
            state,
            elapsed_ms: 0,
            title: None,
            started_by: None,
            failure: None,
            notes: None,
            markers: 0,
            remaining_ms: None,
            waiting: None,
            upload: None,
        };
        let state = RoomState {
            epoch: 1,
            sequence: 1,
            room: RoomId::from_bytes([2; 16]),
            name: "Room".into(),
            record_by,
            people: vec![],
            current: recording.map(status),
            finalizing: vec![],
            auto_record: None,
            disk_left_ms: None,
        };
        let room = RoomView {
            me: ParticipantId::from_bytes([3; 16]),
            hosting,
            invite: String::new(),
            recorder,
            state: Some(state),
            recordings: vec![],
            microphone: None,
            safe_to_quit: true,
            recordings_total: 0,
            more_recordings: None,
        };
        View { phase: Phase::Room, room: Some(room), error: None }
    }

    #[test]
    fn outside_a_room_there_is_nothing_to_record() {
        assert_eq!(Look::of(&View { phase: Phase::Lobby, room: None, error: None }), Look::IDLE);
    }

    #[test]
    fn picture_label_and_action_follow_the_recording() {
        let look = |state| Look::of(&view(state, RecordBy::Everyone, false, Connection::Connected));
        let idle = look(None);
        assert_eq!(
            (idle.picture, idle.toggle, idle.label(), idle.enabled),
            (Picture::Idle, Toggle::Start, "Record", true)
        );
        for state in [RecordingState::Preparing, RecordingState::Recording] {
            let running = look(Some(state));
            assert_eq!((running.picture, running.toggle), (Picture::Recording, Toggle::Stop));
            assert_eq!(running.label(), "Stop recording");
        }
        let paused = look(Some(RecordingState::Paused));
        assert_eq!((paused.picture, paused.toggle), (Picture::Paused, Toggle::Stop));
    }

    #[test]
    fn the_item_is_off_for_who_may_not_record_and_while_nobody_would_hear() {
        assert!(!Look::of(&view(None, RecordBy::Host, false, Connection::Connected)).enabled);
        assert!(Look::of(&view(None, RecordBy::Host, true, Connection::Connected)).enabled);
        assert!(!Look::of(&view(None, RecordBy::Everyone, true, Connection::Unreachable)).enabled);
    }
}
