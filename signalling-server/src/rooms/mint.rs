//! Room ids and host tokens that a relay recognises as its own, without a list of them.
//!
//! The relay keeps one secret and no rooms: after a restart it still knows the ids that it gave out, so that
//! members may wait there for their recorder, and the recorder opens its room again with its host token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use roomtone_protocol::{PublicKey, RoomId};
use sha2::Sha256;

/// Random bytes in a room id: nobody finds a room by trying 2^80 of them.
pub(super) const RANDOM_BYTES: usize = 10;

/// Makes and checks ids and tokens.
#[derive(Clone)]
pub(super) struct Mint([u8; 32]);

impl Mint {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The id that follows from these random bytes; its other six bytes show that it is this relay's.
    pub(super) fn room(&self, random: [u8; RANDOM_BYTES]) -> RoomId {
        let tag = self.mac(b"roomtone room v1\n", &[&random]).finalize().into_bytes();
        let mut id = [0; 16];
        id[..RANDOM_BYTES].copy_from_slice(&random);
        id[RANDOM_BYTES..].copy_from_slice(&tag[..16 - RANDOM_BYTES]);
        RoomId::from_bytes(id)
    }

    /// Whether this relay gave out the id.
    pub(super) fn is_ours(&self, room: RoomId) -> bool {
        let (random, tag) = room.as_bytes().split_at(RANDOM_BYTES);
        self.mac(b"roomtone room v1\n", &[random]).verify_truncated_left(tag).is_ok()
    }

    /// Makes its holder, who also has the private key, the room's recorder.
    pub(super) fn host_token(&self, room: RoomId, recorder: &PublicKey) -> String {
        URL_SAFE_NO_PAD.encode(self.token_mac(room, recorder).finalize().into_bytes())
    }

    /// Whether this relay gave the token for the room to that recorder.
    pub(super) fn is_host(&self, room: RoomId, recorder: &PublicKey, token: &str) -> bool {
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|token| self.token_mac(room, recorder).verify_slice(&token).is_ok())
    }

    fn token_mac(&self, room: RoomId, recorder: &PublicKey) -> Hmac<Sha256> {
        self.mac(b"roomtone host token v1\n", &[room.as_bytes(), String::from(*recorder).as_bytes()])
    }

    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.expect("HMAC takes keys of any length");
        mac.update(purpose);
        parts.iter().for_each(|part| mac.update(part));
        mac
    }
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mint(…)")
    }
}

#[cfg(test)]
mod tests {
    use roomtone_protocol::Identity;

    use super::*;

    #[test]
    fn a_mint_knows_its_own_rooms_and_no_others() {
        let (mint, other) = (Mint::new([1; 32]), Mint::new([2; 32]));
        let room = mint.room([7; RANDOM_BYTES]);
        assert!(Mint::new([1; 32]).is_ours(room));
        assert!(!other.is_ours(room));
        for byte in 0..16 {
            let mut bytes = *room.as_bytes();
            bytes[byte] ^= 1;
            assert!(!mint.is_ours(RoomId::from_bytes(bytes)), "byte {byte}");
        }
    }

    #[test]
    fn a_host_token_is_good_for_one_room_one_key_and_one_relay() {
        let mint = Mint::new([1; 32]);
        let (room, other_room) = (mint.room([7; RANDOM_BYTES]), mint.room([8; RANDOM_BYTES]));
        let (key, other_key) = (Identity::from_seed([1; 32]).public_key(), Identity::from_seed([2; 32]).public_key());
        let token = mint.host_token(room, &key);
        assert!(mint.is_host(room, &key, &token));
        assert!(!mint.is_host(other_room, &key, &token));
        assert!(!mint.is_host(room, &other_key, &token));
        assert!(!Mint::new([2; 32]).is_host(room, &key, &token));
        for forged in ["", "?", &token[1..], "AAAA"] {
            assert!(!mint.is_host(room, &key, forged), "{forged:?}");
        }
    }
}
