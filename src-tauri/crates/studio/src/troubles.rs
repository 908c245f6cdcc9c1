//! What goes wrong in a room, for whoever hosts it in a window.

use roomtone_engine::{HostEvent, WarningKind};
use roomtone_protocol::{ErrorReport, code};

use crate::view::RoomView;

/// What whoever hosts must know of. Their own microphone's alarms they are told as its person.
pub(crate) fn trouble(room: Option<&RoomView>, event: HostEvent) -> Option<ErrorReport> {
    match event {
        HostEvent::Problem { error } | HostEvent::UploadRetrying { error, .. } => Some(error),
        HostEvent::Alarm { participant, active: true, message, .. } => {
            let room = room.filter(|room| room.me != participant)?;
            let person = room.state.as_ref().and_then(|state| state.person(participant));
            let name = person.map_or_else(|| participant.short(), |person| person.label.clone());
            let hint = "tell them: they have been told, too, and may not look";
            Some(ErrorReport::new(code::MICROPHONE, format!("{name}: {message}"), hint))
        }
        HostEvent::RecordingWarning { kind: WarningKind::Disk, left_ms, .. } if left_ms > 0 => {
            let message = format!("the disk has room for {} more of recording", minutes(left_ms));
            Some(ErrorReport::new(code::DISK_FULL, message, "free some space on this computer"))
        }
        HostEvent::RecordingWarning { kind: WarningKind::TimeLimit, left_ms, .. } => {
            let message = format!("the time limit ends this recording in {}", minutes(left_ms));
            Some(ErrorReport::new(code::LIMIT_REACHED, message, "start another recording then to go on"))
        }
        _ => None,
    }
}

/// A length in words: whole minutes, rounded up.
fn minutes(ms: u64) -> String {
    match ms.div_ceil(60_000) {
        0 | 1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use roomtone_engine::AlarmKind;
    use roomtone_protocol::{ParticipantId, RecordingId};

    use super::*;
    use crate::view::Connection;

    #[test]
    fn who_hosts_in_a_window_is_told_of_other_peoples_microphones_and_of_what_ends_a_recording() {
        let [me, ada] = [1, 2].map(|byte| ParticipantId::from_bytes([byte; 16]));
        let room = RoomView {
            me,
            hosting: true,
            invite: String::new(),
            recorder: Connection::Connected,
            state: None,
            recordings: Vec::new(),
            microphone: None,
            safe_to_quit: true,
            recordings_total: 0,
            more_recordings: None,
        };
        let alarm = |participant, active| HostEvent::Alarm {
            kind: AlarmKind::SilentMic,
            participant,
            active,
            message: "nothing but silence".into(),
        };
        let told = |event| trouble(Some(&room), event).map(|error| error.message);
        assert_eq!(told(alarm(ada, true)), Some(format!("{}: nothing but silence", ada.short())));
        assert_eq!(told(alarm(ada, false)), None);
        assert_eq!(told(alarm(me, true)), None, "told as my own");
        let recording = RecordingId::from_bytes([3; 16]);
        let warning = |kind, left_ms| HostEvent::RecordingWarning { recording, kind, left_ms };
        assert_eq!(
            told(warning(WarningKind::Disk, 29 * 60_000 + 1)),
            Some("the disk has room for 30 minutes more of recording".to_owned())
        );
        assert_eq!(
            told(warning(WarningKind::TimeLimit, 60_000)),
            Some("the time limit ends this recording in a minute".to_owned())
        );
    }
}
