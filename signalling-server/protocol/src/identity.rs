//! Who somebody is: an Ed25519 key on their disk (RFC 8032).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ParticipantId;

/// The signature does not belong to this key and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the key")]
pub struct SignatureMismatch;

/// A private key and all that follows from it.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// The identity of a 32-byte secret, which the caller drew at random and keeps.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The secret, to be kept on disk.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// What others may know.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The id that this key gives its holder.
    #[must_use]
    pub fn participant(&self) -> ParticipantId {
        self.public_key().participant()
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes().to_vec())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.participant())
    }
}

/// An Ed25519 public key; base64url in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The id of whoever holds the private key.
    #[must_use]
    pub fn participant(&self) -> ParticipantId {
        ParticipantId::from_bytes(self.hash())
    }

    /// The first 16 bytes of the key's SHA-256: a second preimage costs 2^128 trials.
    #[must_use]
    pub fn hash(&self) -> [u8; 16] {
        let digest = Sha256::digest(self.0);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        hash
    }

    /// Checks that the holder of the private key signed `message`.
    ///
    /// # Errors
    /// [`SignatureMismatch`] also for keys and signatures that are malformed.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureMismatch> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureMismatch)?;
        let signature = ed25519_dalek::Signature::from_slice(&signature.0).map_err(|_| SignatureMismatch)?;
        key.verify_strict(message, &signature).map_err(|_| SignatureMismatch)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "a public key is base64url")?;
        Ok(Self(bytes.try_into().map_err(|_| "a public key has 32 bytes")?))
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        URL_SAFE_NO_PAD.encode(key.0)
    }
}

/// An Ed25519 signature; base64url in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature(Vec<u8>);

impl TryFrom<String> for Signature {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "a signature is base64url")?;
        if bytes.len() == 64 { Ok(Self(bytes)) } else { Err("a signature has 64 bytes") }
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> String {
        URL_SAFE_NO_PAD.encode(signature.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_key_and_message_only() {
        let (one, two) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        let signature = one.sign(b"words");
        assert_eq!(one.public_key().verify(b"words", &signature), Ok(()));
        assert_eq!(one.public_key().verify(b"other", &signature), Err(SignatureMismatch));
        assert_eq!(two.public_key().verify(b"words", &signature), Err(SignatureMismatch));
    }

    #[test]
    fn the_same_seed_is_the_same_participant() {
        let (once, again) = (Identity::from_seed([7; 32]), Identity::from_seed([7; 32]));
        assert_eq!(once.participant(), again.participant());
        assert_ne!(once.participant(), Identity::from_seed([8; 32]).participant());
    }
}
