//! The keys that sign and verify tokens.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};

use super::Claims;

/// RFC 7518 §3.2 requires 256 bits for HS256.
const MIN_SECRET_BYTES: usize = 32;

/// Why the configured keys are invalid.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("no keys to verify tokens with: set JWT_SECRETS (at least 32 characters) or JWKS_URL")]
    NoKeys,
    /// Holds the position of the secret, from 1.
    #[error(
        "JWT_SECRETS: secret {0} has fewer than 32 characters; create one with \
         `openssl rand -hex 32`"
    )]
    SecretTooShort(usize),
    /// Probably several secrets without commas. Holds the position of the secret, from 1.
    #[error("JWT_SECRETS: secret {0} contains a line break; separate secrets by commas")]
    LineBreakInSecret(usize),
    #[error(
        "JWT_PRIVATE_KEY is not an Ed25519 key in PKCS#8 PEM; create one with \
         `openssl genpkey -algorithm ed25519`"
    )]
    InvalidPrivateKey,
}

/// The keys of a service: shared secrets (HS256; the first signs, all verify), public keys of a key
/// set (`EdDSA`), and optionally a private key that signs.
pub struct Keyring {
    secrets: Vec<DecodingKey>,
    public_keys: RwLock<Arc<HashMap<String, DecodingKey>>>,
    signer: Option<(Header, EncodingKey)>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("secrets", &self.secrets.len())
            .field("can_sign", &self.signer.is_some())
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Creates a keyring from shared secrets and an optional private key (key id, PEM).
    /// `has_key_set` means that public keys will be fetched from a key set.
    pub fn new(
        secrets: &[SecretString],
        private: Option<(&str, &SecretString)>,
        has_key_set: bool,
    ) -> Result<Self, KeyError> {
        if secrets.is_empty() && !has_key_set {
            return Err(KeyError::NoKeys);
        }
        let bytes = |secret: &SecretString| secret.expose_secret().as_bytes().to_vec();
        if let Some(short) = secrets
            .iter()
            .position(|s| bytes(s).len() < MIN_SECRET_BYTES)
        {
            return Err(KeyError::SecretTooShort(short + 1));
        }
        let has_break = |s: &SecretString| bytes(s).iter().any(u8::is_ascii_control);
        if let Some(broken) = secrets.iter().position(has_break) {
            return Err(KeyError::LineBreakInSecret(broken + 1));
        }
        let signer = match private {
            Some((kid, pem)) => {
                let key = EncodingKey::from_ed_pem(pem.expose_secret().as_bytes())
                    .map_err(|_| KeyError::InvalidPrivateKey)?;
                let mut header = Header::new(Algorithm::EdDSA);
                header.kid = Some(kid.to_owned());
                Some((header, key))
            }
            None => secrets.first().map(|secret| {
                let key = EncodingKey::from_secret(&bytes(secret));
                (Header::new(Algorithm::HS256), key)
            }),
        };
        Ok(Self {
            secrets: secrets
                .iter()
                .map(|s| DecodingKey::from_secret(&bytes(s)))
                .collect(),
            public_keys: RwLock::default(),
            signer,
        })
    }

    /// Replaces the public keys by those of a key set (RFC 7517). Uses only Ed25519 keys with an
    /// id. Returns the number of keys.
    pub fn set_public_keys(&self, set: &JwkSet) -> usize {
        let keys: HashMap<_, _> = set
            .keys
            .iter()
            .filter_map(|jwk| {
                let key = DecodingKey::from_jwk(jwk).ok()?;
                let ed25519 = key.family() == jsonwebtoken::AlgorithmFamily::Ed;
                Some((jwk.common.key_id.clone()?, key)).filter(|_| ed25519)
            })
            .collect();
        let count = keys.len();
        *self.public_keys.write().expect(NOT_POISONED) = Arc::new(keys);
        count
    }

    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.signer.is_some()
    }

    /// Creates a signed token. `None` if there is no signing key.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let (header, key) = self.signer.as_ref()?;
        jsonwebtoken::encode(header, claims, key).ok()
    }

    pub(super) fn secrets(&self) -> &[DecodingKey] {
        &self.secrets
    }

    pub(super) fn public_key(&self, kid: &str) -> Option<DecodingKey> {
        self.public_keys
            .read()
            .expect(NOT_POISONED)
            .get(kid)
            .cloned()
    }
}

const NOT_POISONED: &str = "no code panics while it holds this lock";
