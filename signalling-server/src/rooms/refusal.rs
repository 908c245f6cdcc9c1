//! What people read when a relay does not serve them.

use roomtone_protocol::{ErrorReport, code, signal};

pub(super) fn room_not_found() -> ErrorReport {
    ErrorReport::new(
        code::ROOM_NOT_FOUND,
        "this relay knows no such room",
        "check that the whole invite was copied, or ask the host for a new one",
    )
}

pub(super) fn room_closed() -> ErrorReport {
    ErrorReport::new(code::ROOM_CLOSED, "the host closed this room", "ask the host for a new invite")
}

pub(super) fn too_many(what: &str) -> ErrorReport {
    ErrorReport::new(
        code::LIMIT_REACHED,
        format!("this relay serves no more {what}"),
        "try again in a few minutes, or use another relay",
    )
}

pub(super) fn too_much() -> ErrorReport {
    ErrorReport::new(code::LIMIT_REACHED, "too many messages in a short time", "connect again and send less")
}

pub(super) fn bad_request(what: &str) -> ErrorReport {
    ErrorReport::new(code::BAD_REQUEST, what, "use a program of the same version as the relay")
}

pub(super) fn unreadable() -> ErrorReport {
    bad_request(&format!("a message is JSON text of at most {} bytes", signal::MAX_MESSAGE_BYTES))
}

pub(super) fn other_version(theirs: u32) -> ErrorReport {
    ErrorReport::new(
        code::VERSION_MISMATCH,
        format!("the relay speaks version {} of the protocol, this program version {theirs}", signal::VERSION),
        "install the same version of Roomtone on both",
    )
}

pub(super) fn wrong_signature() -> ErrorReport {
    ErrorReport::new(
        code::UNAUTHORIZED,
        "the signature does not fit the key and this connection",
        "connect again and sign the nonce of the new connection",
    )
}

pub(super) fn wrong_host_token() -> ErrorReport {
    ErrorReport::new(
        code::UNAUTHORIZED,
        "the host token does not make this key the room's recorder",
        "host with the identity that made the room, or make a new room",
    )
}

pub(super) fn already_present() -> ErrorReport {
    ErrorReport::new(
        code::ALREADY_PRESENT,
        "this identity is in the room from a program that was started later",
        "end the other program first, or use another data directory",
    )
}

pub(super) fn replaced() -> ErrorReport {
    ErrorReport::new(
        code::ALREADY_PRESENT,
        "the same identity connected again",
        "if that was not you, use another data directory here",
    )
}

pub(super) fn not_allowed() -> ErrorReport {
    ErrorReport::new(
        code::NOT_ALLOWED,
        "only the room's recorder may say this",
        "ask the host, who can tell the state of the room and close it",
    )
}
