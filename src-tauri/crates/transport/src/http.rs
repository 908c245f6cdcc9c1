//! What the relay says over HTTP: new rooms, and errors.

use std::time::Duration;

use roomtone_protocol::signal::{CreateRoom, RoomCreated};
use roomtone_protocol::{ErrorReport, PublicKey, code};
use serde::Deserialize;

/// A relay that does not answer within this time is not there.
pub(crate) const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Bytes of an answer that are looked at: an error or a room takes a few hundred.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Asks a relay for a new room, whose recorder will be the holder of `recorder_key`.
///
/// # Errors
/// `relay_unreachable`, or what the relay says.
pub async fn create_room(relay: &str, recorder_key: PublicKey) -> Result<RoomCreated, ErrorReport> {
    use_ring();
    let address = format!("{}/api/rooms", relay.trim_end_matches('/'));
    let unreachable = |error: reqwest::Error| unreachable(&error.without_url().to_string());
    let client = reqwest::Client::builder().timeout(ANSWER_TIME).build().map_err(unreachable)?;
    let mut answer = client.post(address).json(&CreateRoom { recorder_key }).send().await.map_err(unreachable)?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(no_relay());
        }
    }
    if !(200..300).contains(&status) {
        return Err(error_of(status, &body));
    }
    serde_json::from_slice(&body).map_err(|_| no_relay())
}

/// The program holds two TLS providers, by way of its dependencies, and rustls then refuses to choose.
pub(crate) fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none()
        && rustls::crypto::ring::default_provider().install_default().is_err()
    {
        tracing::debug!("the TLS provider was chosen elsewhere in the same moment");
    }
}

/// The error behind an answer that is not a success.
pub(crate) fn error_of(status: u16, body: &[u8]) -> ErrorReport {
    #[derive(Deserialize)]
    struct Body {
        error: ErrorReport,
    }
    if let Ok(Body { error }) = serde_json::from_slice(body) {
        return error;
    }
    match status {
        404 => ErrorReport::new(
            code::ROOM_NOT_FOUND,
            "the relay knows no such room",
            "check that the whole invite was copied, or ask the host for a new one",
        ),
        401 => ErrorReport::new(code::UNAUTHORIZED, "the relay did not accept this key", "ask for a new invite"),
        403 => ErrorReport::new(code::NOT_ALLOWED, "the relay does not allow this", "ask the host"),
        429 | 503 => ErrorReport::new(code::LIMIT_REACHED, "the relay is full", "try again in a minute"),
        _ => no_relay(),
    }
}

/// Something answered that is not a relay.
fn no_relay() -> ErrorReport {
    unreachable("what answers there is not a Roomtone relay")
}

/// The error for a relay that cannot be reached; `why` must hold no address.
pub(crate) fn unreachable(why: &str) -> ErrorReport {
    ErrorReport::new(
        code::RELAY_UNREACHABLE,
        format!("the relay cannot be reached: {why}"),
        "check the address and the network, or start the relay",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relays_own_error_is_passed_on_and_a_bare_status_still_means_something() {
        let body = br#"{"error":{"code":"room_closed","message":"m","hint":"h"}}"#;
        assert_eq!(error_of(404, body), ErrorReport::new(code::ROOM_CLOSED, "m", "h"));
        let codes: Vec<String> = [404, 401, 403, 503, 500].map(|status| error_of(status, b"<html>").code).to_vec();
        let expected =
            [code::ROOM_NOT_FOUND, code::UNAUTHORIZED, code::NOT_ALLOWED, code::LIMIT_REACHED, code::RELAY_UNREACHABLE];
        assert_eq!(codes, expected);
    }

    #[tokio::test]
    async fn nobody_at_the_address_is_relay_unreachable_with_and_without_tls() {
        let key = roomtone_protocol::Identity::from_seed([1; 32]).public_key();
        // Port 1 is reserved and nothing listens there.
        for relay in ["http://127.0.0.1:1", "https://127.0.0.1:1/"] {
            assert_eq!(create_room(relay, key).await.unwrap_err().code, code::RELAY_UNREACHABLE);
        }
    }
}
