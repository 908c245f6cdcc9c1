//! Who is at the other end: the first message of either side, bound to the DTLS certificates of both, so that a relay
//! that put itself in between is found out (spec G6). Pure: keys, secrets and fingerprints in, a verdict out.

use roomtone_protocol::channel::{Hello, MAX_NAME_CHARS, VERSION, hello_transcript};
use roomtone_protocol::state::Role;
use roomtone_protocol::{ErrorReport, Identity, RoomId, Secret, WakeEpoch, code};

use crate::Peer;

/// The connection that a hello belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) room: RoomId,
    /// Of the member's certificate, from its description.
    pub(crate) member: String,
    /// Of the recorder's.
    pub(crate) recorder: String,
}

impl Binding {
    fn transcript(&self, from_recorder: bool, nonce: &str) -> Vec<u8> {
        hello_transcript(self.room, from_recorder, nonce, &self.member, &self.recorder)
    }
}

/// What one says of oneself.
#[derive(Debug, Clone)]
pub(crate) struct Introduction {
    pub(crate) identity: Identity,
    pub(crate) secret: Secret,
    pub(crate) host_secret: Option<Secret>,
    pub(crate) epoch: WakeEpoch,
    pub(crate) role: Role,
    pub(crate) passing: bool,
    pub(crate) name: Option<String>,
}

impl Introduction {
    /// The hello for one connection.
    pub(crate) fn hello(&self, binding: &Binding, from_recorder: bool, nonce: String) -> Hello {
        let transcript = binding.transcript(from_recorder, &nonce);
        Hello {
            version: VERSION,
            capabilities: Vec::new(),
            public_key: self.identity.public_key(),
            signature: self.identity.sign(&transcript),
            room_proof: self.secret.prove(&transcript),
            host_proof: self.host_secret.as_ref().map(|secret| secret.prove(&transcript)),
            nonce,
            epoch: self.epoch,
            role: self.role,
            passing: self.passing,
            name: self.name.clone(),
        }
    }
}

/// Shortest nonce taken, in characters: 16 random bytes in base64url.
const MIN_NONCE_CHARS: usize = 22;
/// Longest: what is hashed for an unknown sender stays bounded.
const MAX_NONCE_CHARS: usize = 128;

/// The recorder looks at a member's hello.
pub(crate) fn verify_member(
    hello: Hello,
    binding: &Binding,
    secret: &Secret,
    host_secret: &Secret,
) -> Result<Peer, ErrorReport> {
    let transcript = verify(&hello, binding, false, secret)?;
    // A wrong host proof is an error, not a downgrade: the person would wonder where their rights went.
    let host = match &hello.host_proof {
        None => false,
        Some(proof) if host_secret.proves(&transcript, proof) => true,
        Some(_) => return Err(unauthorized("the invite's host key is not this room's", "ask for a new host invite")),
    };
    Ok(peer(hello, host))
}

/// A member looks at the recorder's hello; `recorder` is the key hash that the invite names.
pub(crate) fn verify_recorder(
    hello: Hello,
    binding: &Binding,
    secret: &Secret,
    recorder: &[u8; 16],
) -> Result<Peer, ErrorReport> {
    if hello.public_key.hash() != *recorder {
        return Err(wrong_recorder());
    }
    verify(&hello, binding, true, secret)?;
    Ok(peer(hello, true))
}

/// The error for a recorder that is not the invite's.
pub(crate) fn wrong_recorder() -> ErrorReport {
    ErrorReport::new(
        code::WRONG_RECORDER,
        "the recorder's key is not the one that the invite names",
        "ask the host for a new invite, over a channel that you trust",
    )
}

fn verify(hello: &Hello, binding: &Binding, from_recorder: bool, secret: &Secret) -> Result<Vec<u8>, ErrorReport> {
    if hello.version != VERSION {
        return Err(ErrorReport::new(
            code::VERSION_MISMATCH,
            format!("the other side speaks version {} of the channel, this side {VERSION}", hello.version),
            "update Roomtone on both sides",
        ));
    }
    if !(MIN_NONCE_CHARS..=MAX_NONCE_CHARS).contains(&hello.nonce.len()) {
        return Err(ErrorReport::new(code::BAD_REQUEST, "the hello's nonce has no valid length", "update Roomtone"));
    }
    let transcript = binding.transcript(from_recorder, &hello.nonce);
    if hello.public_key.verify(&transcript, &hello.signature).is_err() {
        return Err(unauthorized(
            "the other side's signature does not fit this connection: somebody may be listening in",
            "use another relay, or ask the host",
        ));
    }
    if !secret.proves(&transcript, &hello.room_proof) {
        return Err(unauthorized("the invite's key is not this room's", "ask the host for a new invite"));
    }
    Ok(transcript)
}

fn unauthorized(message: &str, hint: &str) -> ErrorReport {
    ErrorReport::new(code::UNAUTHORIZED, message, hint)
}

fn peer(hello: Hello, host: bool) -> Peer {
    Peer {
        participant: hello.public_key.participant(),
        role: hello.role,
        host,
        passing: hello.passing,
        epoch: hello.epoch,
        name: hello.name.map(|name| name.chars().take(MAX_NAME_CHARS).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret::from_bytes([5; 16]);
    const HOST_SECRET: Secret = Secret::from_bytes([6; 16]);

    fn binding() -> Binding {
        Binding { room: RoomId::from_bytes([1; 16]), member: "AA:01".into(), recorder: "BB:02".into() }
    }

    fn introduction(seed: u8) -> Introduction {
        Introduction {
            identity: Identity::from_seed([seed; 32]),
            secret: SECRET,
            host_secret: None,
            epoch: WakeEpoch(3),
            role: Role::Participant,
            passing: false,
            name: Some("Ada".into()),
        }
    }

    fn nonce() -> String {
        "n".repeat(MIN_NONCE_CHARS)
    }

    fn member(introduction: &Introduction, seen: &Binding) -> Result<Peer, String> {
        let hello = introduction.hello(&binding(), false, nonce());
        verify_member(hello, seen, &SECRET, &HOST_SECRET).map_err(|error| error.code)
    }

    #[test]
    fn a_member_with_the_rooms_secret_is_who_its_key_says() {
        let peer = member(&introduction(7), &binding()).unwrap();
        assert_eq!(peer.participant, Identity::from_seed([7; 32]).participant());
        assert_eq!((peer.epoch, peer.host, peer.name.as_deref()), (WakeEpoch(3), false, Some("Ada")));
    }

    #[test]
    fn host_rights_need_the_hosts_secret() {
        let host = Introduction { host_secret: Some(HOST_SECRET), ..introduction(7) };
        assert!(member(&host, &binding()).unwrap().host);
        let liar = Introduction { host_secret: Some(SECRET), ..introduction(7) };
        assert_eq!(member(&liar, &binding()), Err(code::UNAUTHORIZED.into()));
    }

    #[test]
    fn another_secret_room_or_certificate_is_refused() {
        let stranger = Introduction { secret: Secret::from_bytes([9; 16]), ..introduction(7) };
        assert_eq!(member(&stranger, &binding()), Err(code::UNAUTHORIZED.into()));
        let forged = [
            Binding { member: "AA:02".into(), ..binding() },
            Binding { recorder: "BB:03".into(), ..binding() },
            Binding { room: RoomId::from_bytes([2; 16]), ..binding() },
        ];
        for seen in forged {
            assert_eq!(member(&introduction(7), &seen), Err(code::UNAUTHORIZED.into()), "{seen:?}");
        }
    }

    #[test]
    fn a_hello_does_not_serve_for_another_key_nonce_or_direction() {
        let check = |hello| verify_member(hello, &binding(), &SECRET, &HOST_SECRET).map_err(|error| error.code);
        let hello = introduction(7).hello(&binding(), false, nonce());
        let other_key = Identity::from_seed([8; 32]).public_key();
        assert_eq!(check(Hello { public_key: other_key, ..hello.clone() }), Err(code::UNAUTHORIZED.into()));
        assert_eq!(check(Hello { nonce: "m".repeat(30), ..hello.clone() }), Err(code::UNAUTHORIZED.into()));
        assert_eq!(check(Hello { nonce: "short".into(), ..hello }), Err(code::BAD_REQUEST.into()));
        let mirrored = introduction(7).hello(&binding(), true, nonce());
        assert_eq!(check(mirrored), Err(code::UNAUTHORIZED.into()));
    }

    #[test]
    fn the_recorder_must_be_the_one_of_the_invite() {
        let recorder = introduction(1);
        let hello = recorder.hello(&binding(), true, nonce());
        let pinned = recorder.identity.public_key().hash();
        assert!(verify_recorder(hello.clone(), &binding(), &SECRET, &pinned).is_ok());
        let other = verify_recorder(hello, &binding(), &SECRET, &[0; 16]).unwrap_err();
        assert_eq!(other.code, code::WRONG_RECORDER);
    }

    #[test]
    fn another_version_is_refused_with_a_clear_error() {
        let hello = Hello { version: VERSION + 1, ..introduction(7).hello(&binding(), false, nonce()) };
        let error = verify_member(hello, &binding(), &SECRET, &HOST_SECRET).unwrap_err();
        assert_eq!(error.code, code::VERSION_MISMATCH);
    }

    #[test]
    fn a_name_is_cut_to_what_the_protocol_allows() {
        let long = Introduction { name: Some("é".repeat(500)), ..introduction(7) };
        assert_eq!(member(&long, &binding()).unwrap().name.unwrap().chars().count(), MAX_NAME_CHARS);
    }
}
