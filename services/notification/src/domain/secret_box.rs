//! Encryption of stored secrets with AES-256-GCM, if a key is configured.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Prefix of an encrypted secret, before the base64 of nonce and ciphertext.
pub const SEALED_PREFIX: &str = "aes256gcm:";
pub const KEY_BYTES: usize = 32;

/// Encrypts and decrypts secrets. Without a key, secrets stay in plain text.
#[derive(Debug, Default)]
pub struct SecretBox(Option<RandomizedNonceKey>);

/// The key is missing, invalid or not the one that encrypted the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret cannot be decrypted")]
pub struct SealError;

impl SecretBox {
    /// Uses a key of 32 bytes in base64.
    pub fn new(key: &str) -> Result<Self, SealError> {
        let key = STANDARD.decode(key.trim()).map_err(|_| SealError)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| SealError)?;
        Ok(Self(Some(key)))
    }

    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// Encrypts a secret for `owner`, which is authenticated and needed to decrypt it. Without a
    /// key, returns the secret unchanged.
    pub fn seal(&self, owner: &str, secret: &str) -> Result<String, SealError> {
        let Some(key) = &self.0 else {
            return Ok(secret.to_owned());
        };
        let mut sealed = secret.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(owner), &mut sealed);
        let mut whole = nonce.map_err(|_| SealError)?.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(format!("{SEALED_PREFIX}{}", STANDARD.encode(whole)))
    }

    /// Decrypts a secret of `owner`. A secret in plain text is returned unchanged.
    pub fn open(&self, owner: &str, kept: &str) -> Result<String, SealError> {
        let Some(sealed) = kept.strip_prefix(SEALED_PREFIX) else {
            return Ok(kept.to_owned());
        };
        let key = self.0.as_ref().ok_or(SealError)?;
        let mut whole = STANDARD.decode(sealed).map_err(|_| SealError)?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError)?;
        let opened = key.open_in_place(nonce, Aad::from(owner), sealed);
        let opened = opened.map_err(|_| SealError)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_for_the_same_owner() {
        let key = |byte: u8| SecretBox::new(&STANDARD.encode([byte; KEY_BYTES])).unwrap();
        let sealed = key(1).seal("webhook:a", "whsec_x").unwrap();
        assert!(sealed.starts_with(SEALED_PREFIX) && !sealed.contains("whsec"));
        assert_ne!(key(1).seal("webhook:a", "whsec_x").unwrap(), sealed);
        assert_eq!(key(1).open("webhook:a", &sealed).unwrap(), "whsec_x");
        assert_eq!(key(1).open("webhook:b", &sealed), Err(SealError));
        assert_eq!(key(2).open("webhook:a", &sealed), Err(SealError));
        assert_eq!(
            SecretBox::default().open("webhook:a", &sealed),
            Err(SealError)
        );
        assert_eq!(key(1).open("webhook:a", "aes256gcm:AAAA"), Err(SealError));
    }

    #[test]
    fn without_a_key_it_stays_as_it_is() {
        let vault = SecretBox::default();
        assert_eq!(vault.seal("webhook:a", "whsec_x").unwrap(), "whsec_x");
        assert_eq!(vault.open("webhook:a", "whsec_x").unwrap(), "whsec_x");
        assert!(SecretBox::new("c2hvcnQ=").is_err());
    }
}
