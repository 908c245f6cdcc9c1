//! The link that lets somebody into a room.
//!
//! `{relay}/r/{room}#{recorder key hash}.{room secret}[.{host secret}]`. Programs and browsers keep the
//! fragment to themselves (RFC 3986, section 3.5), so the relay learns the room and none of the rest.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::RoomId;

/// 128 random bits that some people in a room share and the relay does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 16]);

impl Secret {
    /// Takes the bytes as they are; randomness is the caller's business.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept on disk.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Shows knowledge of the secret for `message`: HMAC-SHA-256 (RFC 2104), base64url.
    #[must_use]
    pub fn prove(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(message).finalize().into_bytes())
    }

    /// Whether `proof` was made with this secret for `message`; takes the same time either way.
    #[must_use]
    pub fn proves(&self, message: &[u8], proof: &str) -> bool {
        URL_SAFE_NO_PAD.decode(proof).is_ok_and(|proof| self.mac(message).verify_slice(&proof).is_ok())
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.expect("HMAC takes keys of any length");
        mac.update(message);
        mac
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Everything that a participant needs to enter a room and to know its recorder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The relay's base address, `http` or `https`, without a trailing slash.
    pub relay: String,
    /// The room there.
    pub room: RoomId,
    /// [`crate::PublicKey::hash`] of the recorder's key: another recorder is refused.
    pub recorder: [u8; 16],
    /// Lets its holder in.
    pub secret: Secret,
    /// Gives its holder the host's rights, in the host's own invite.
    pub host_secret: Option<Secret>,
}

/// Why a text is not an invite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The part that goes to the relay.
    #[error("it does not begin with http:// or https:// and hold /r/ and a room")]
    Address,
    /// The part after `#`, which some programs cut off when a link is passed on.
    #[error("the part after # is missing or damaged")]
    Fragment,
}

impl Invite {
    /// The link without its fragment: all that a relay sees of it.
    #[must_use]
    pub fn page(&self) -> String {
        format!("{}/r/{}", self.relay, self.room)
    }

    /// The same invite without the host's rights.
    #[must_use]
    pub fn for_participants(&self) -> Self {
        Self { host_secret: None, ..self.clone() }
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8; 16]| URL_SAFE_NO_PAD.encode(bytes);
        write!(f, "{}#{}.{}", self.page(), text(&self.recorder), text(&self.secret.0))?;
        self.host_secret.as_ref().map_or(Ok(()), |secret| write!(f, ".{}", text(&secret.0)))
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let (address, fragment) = text.trim().split_once('#').ok_or(InviteError::Fragment)?;
        let (relay, room) = address.rsplit_once("/r/").ok_or(InviteError::Address)?;
        let host = relay.strip_prefix("https://").or_else(|| relay.strip_prefix("http://"));
        if host.is_none_or(str::is_empty) {
            return Err(InviteError::Address);
        }
        let room = room.trim_end_matches('/').parse().map_err(|_| InviteError::Address)?;
        let mut parts = fragment.split('.').map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| InviteError::Fragment)?;
            <[u8; 16]>::try_from(bytes).map_err(|_| InviteError::Fragment)
        });
        let recorder = parts.next().ok_or(InviteError::Fragment)??;
        let secret = Secret(parts.next().ok_or(InviteError::Fragment)??);
        let host_secret = parts.next().transpose()?.map(Secret);
        if parts.next().is_some() {
            return Err(InviteError::Fragment);
        }
        Ok(Self { relay: relay.to_owned(), room, recorder, secret, host_secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(host_secret: Option<Secret>) -> Invite {
        Invite {
            relay: "https://relay.example:7880/base".into(),
            room: RoomId::from_bytes([3; 16]),
            recorder: [4; 16],
            secret: Secret([5; 16]),
            host_secret,
        }
    }

    #[test]
    fn invites_round_trip_with_and_without_the_hosts_rights() {
        for invite in [invite(None), invite(Some(Secret([6; 16])))] {
            assert_eq!(invite.to_string().parse(), Ok(invite));
        }
    }

    #[test]
    fn a_damaged_invite_says_which_part_is_damaged() {
        let whole = invite(None).to_string();
        let (page, fragment) = whole.split_once('#').unwrap();
        assert_eq!(page.parse::<Invite>(), Err(InviteError::Fragment));
        assert_eq!(format!("{page}#{}", &fragment[1..]).parse::<Invite>(), Err(InviteError::Fragment));
        assert_eq!(format!("ftp://x/r/y#{fragment}").parse::<Invite>(), Err(InviteError::Address));
    }

    #[test]
    fn a_secret_proves_itself_for_one_message() {
        let secret = Secret([1; 16]);
        let proof = secret.prove(b"a");
        assert!(secret.proves(b"a", &proof));
        assert!(!secret.proves(b"b", &proof));
        assert!(!Secret([2; 16]).proves(b"a", &proof));
        assert!(!secret.proves(b"a", "not base64!"));
    }
}
