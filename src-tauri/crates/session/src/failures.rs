//! Why a room refuses something, in words for the person who asked.

use roomtone_protocol::{ErrorReport, code};

pub(crate) fn hosts_only(what: &str) -> ErrorReport {
    ErrorReport::new(code::NOT_ALLOWED, format!("only the host may {what} in this room"), "ask the host to do it")
}

pub(crate) fn observers_only_watch() -> ErrorReport {
    ErrorReport::new(
        code::NOT_ALLOWED,
        "an observer cannot control the recording",
        "join as a participant, or ask somebody in the room",
    )
}

pub(crate) fn not_in_the_room() -> ErrorReport {
    ErrorReport::new(code::NOT_ALLOWED, "you are not in the room", "join the room first")
}

pub(crate) fn recording_disabled() -> ErrorReport {
    ErrorReport::new(
        code::RECORDING_DISABLED,
        "recording is switched off on the host",
        "set ENABLE_AUDIO_RECORDING=true there and start the host again",
    )
}

pub(crate) fn already_changed() -> ErrorReport {
    ErrorReport::new(
        code::ALREADY_CHANGED,
        "the recording changed before your command arrived",
        "look at the room as it is now and decide again",
    )
}

pub(crate) fn not_recording() -> ErrorReport {
    ErrorReport::new(code::NOT_RECORDING, "nothing is being recorded", "start a recording first")
}

pub(crate) fn paused_already() -> ErrorReport {
    ErrorReport::new(code::ALREADY_CHANGED, "the recording is paused already", "resume it, or leave it as it is")
}

pub(crate) fn running_already() -> ErrorReport {
    ErrorReport::new(code::ALREADY_CHANGED, "the recording is not paused", "pause it, or leave it as it is")
}

pub(crate) fn completed_already() -> ErrorReport {
    ErrorReport::new(
        code::ALREADY_CHANGED,
        "the recording is completed and cannot be cancelled any more",
        "delete it from the list of recordings",
    )
}

pub(crate) fn not_yours_to_cancel() -> ErrorReport {
    ErrorReport::new(
        code::NOT_ALLOWED,
        "only the host, or who started a recording, may cancel it",
        "stop it instead, or ask one of them",
    )
}

pub(crate) fn disk_full() -> ErrorReport {
    ErrorReport::new(
        code::DISK_FULL,
        "the host's disk has no room for a recording",
        "free some space on the host's computer, then start again",
    )
}

pub(crate) fn disk_filled_up() -> ErrorReport {
    ErrorReport::new(
        code::DISK_FULL,
        "the host's disk filled up, and the recording was ended with all that was recorded",
        "free some space on the host's computer, then start again",
    )
}

pub(crate) fn too_many(what: &str, hint: &str) -> ErrorReport {
    ErrorReport::new(code::LIMIT_REACHED, format!("this recording has too many {what}"), hint)
}

pub(crate) fn recording_not_found() -> ErrorReport {
    ErrorReport::new(
        code::RECORDING_NOT_FOUND,
        "there is no recording of this id in progress",
        "look at the room as it is now, or at the list of recordings",
    )
}

pub(crate) fn not_the_rooms_own() -> ErrorReport {
    ErrorReport::new(
        code::BAD_REQUEST,
        "this request is about the recordings, not about the room",
        "ask it of the list of recordings",
    )
}

pub(crate) fn recording_exists() -> ErrorReport {
    ErrorReport::new(code::BAD_REQUEST, "a recording with this id exists already", "send the command again")
}

pub(crate) fn room_closed() -> ErrorReport {
    ErrorReport::new(code::ROOM_CLOSED, "the host closed this room", "ask the host for a new invite")
}

pub(crate) fn not_finalized() -> ErrorReport {
    ErrorReport::new(
        code::NOT_FINALIZED,
        "the recording is still in progress",
        "it can be downloaded after it was stopped and uploaded",
    )
}

pub(crate) fn not_uploaded() -> ErrorReport {
    ErrorReport::new(
        code::NOT_UPLOADED,
        "the recording is finished and on its way to the bucket",
        "try again when its state is completed",
    )
}

pub(crate) fn recording_failed(failure: &str) -> ErrorReport {
    ErrorReport::new(
        code::RECORDING_FAILED,
        format!("the recording failed: {failure}"),
        "its audio is kept on the host's computer; ask the host",
    )
}

pub(crate) fn cancelled() -> ErrorReport {
    ErrorReport::new(code::RECORDING_NOT_FOUND, "the recording was discarded", "there is nothing of it to download")
}
