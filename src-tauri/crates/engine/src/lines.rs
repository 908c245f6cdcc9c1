//! What a room's state says in single lines.

use roomtone_protocol::state::{Person, RecordingStatus, RoomState};

use crate::events::{PersonLine, RecordingLine};

/// The recordings of a state, the current one last.
pub(crate) fn recording_lines(state: &RoomState) -> Vec<RecordingLine> {
    state.finalizing.iter().chain(&state.current).map(recording_line).collect()
}

fn recording_line(status: &RecordingStatus) -> RecordingLine {
    RecordingLine {
        recording: status.recording,
        state: status.state,
        elapsed_ms: status.elapsed_ms,
        failure: status.failure.clone(),
        waiting: status.waiting.as_deref().cloned(),
    }
}

/// Somebody in a line.
pub(crate) fn person_line(person: &Person) -> PersonLine {
    PersonLine { participant: person.participant, name: person.name.clone(), channel: person.channel }
}
