//! Links to files of a folder bucket, signed by the host and served by its relay.
//!
//! `{base}/files/{key}?expires={unix seconds}&signature={base64url}`; the signature is HMAC-SHA-256 over key and expiry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Signs and checks links. Whoever makes links and whoever serves them hold the same key.
#[derive(Clone)]
pub struct FileLinkKey([u8; 32]);

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileLinkError {
    /// It was made with another key, or for another file or time.
    #[error("the link is not genuine")]
    Forged,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
}

impl FileLinkKey {
    /// Takes the bytes as they are; randomness is the caller's business.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The signature of a link to `key` that works until `expires`, in seconds since 1970.
    #[must_use]
    pub fn sign(&self, key: &str, expires: i64) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(key, expires).finalize().into_bytes())
    }

    /// Checks a link at the time `now`, in seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with it; forgery is told before expiry, so that nobody learns of files by asking.
    pub fn check(&self, key: &str, expires: i64, signature: &str, now: i64) -> Result<(), FileLinkError> {
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| FileLinkError::Forged)?;
        self.mac(key, expires).verify_slice(&signature).map_err(|_| FileLinkError::Forged)?;
        if now < expires { Ok(()) } else { Err(FileLinkError::Expired) }
    }

    fn mac(&self, key: &str, expires: i64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.expect("HMAC takes keys of any length");
        mac.update(format!("roomtone file link v1\n{expires}\n{key}").as_bytes());
        mac
    }
}

impl std::fmt::Debug for FileLinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileLinkKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_own_file_until_its_time_is_over() {
        let links = FileLinkKey::from_bytes([1; 32]);
        let signature = links.sign("recordings/a.wav", 100);
        assert_eq!(links.check("recordings/a.wav", 100, &signature, 99), Ok(()));
        assert_eq!(links.check("recordings/a.wav", 100, &signature, 100), Err(FileLinkError::Expired));
        assert_eq!(links.check("recordings/b.wav", 100, &signature, 99), Err(FileLinkError::Forged));
        assert_eq!(links.check("recordings/a.wav", 101, &signature, 99), Err(FileLinkError::Forged));
        assert_eq!(links.check("recordings/a.wav", 100, "?", 99), Err(FileLinkError::Forged));
    }
}
