//! Verifies tokens.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;

use super::{Claims, Keyring};
use crate::clock::Clock;

/// Tolerated difference between the clocks of two machines.
const CLOCK_LEEWAY_SECONDS: i64 = 5;
/// Size of the cache of verified tokens. An entry takes about 1 kB.
const MAX_CACHED_TOKENS: u64 = 10_000;
const MAX_TOKEN_BYTES: usize = 4096;

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is malformed or is not signed with a known key")]
    Invalid,
    #[error("the algorithm of the token is not supported; use HS256 or EdDSA")]
    UnsupportedAlgorithm,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is not valid for this service; see its claim aud")]
    WrongAudience,
}

/// Verifies tokens for one audience. Caches verified tokens until they expire, because an Ed25519
/// verification is slow.
#[derive(Clone, Debug)]
pub struct TokenVerifier {
    keys: Arc<Keyring>,
    audience: &'static str,
    clock: Clock,
    cache: Cache<String, Arc<Claims>>,
}

impl TokenVerifier {
    /// Creates a verifier that accepts tokens for the service `audience`.
    #[must_use]
    pub fn new(keys: Arc<Keyring>, audience: &'static str, clock: Clock) -> Self {
        Self {
            keys,
            audience,
            clock,
            cache: Cache::new(MAX_CACHED_TOKENS),
        }
    }

    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Checks signature, time and audience of a token, and returns its claims.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        if let Some(claims) = self.cache.get(token) {
            return self
                .check_validity(&claims)
                .map(|()| claims)
                .inspect_err(|_| {
                    self.cache.invalidate(token);
                });
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let claims = Arc::new(self.decode(token)?);
        if claims.sub.contains(char::is_control) {
            return Err(TokenError::Invalid);
        }
        self.check_validity(&claims)?;
        if !claims.aud.iter().any(|aud| aud == self.audience) {
            return Err(TokenError::WrongAudience);
        }
        self.cache.insert(token.to_owned(), claims.clone());
        Ok(claims)
    }

    /// Clears the cache. Call this after keys were removed.
    pub fn clear_cache(&self) {
        self.cache.invalidate_all();
    }

    fn check_validity(&self, claims: &Claims) -> Result<(), TokenError> {
        let now = self.clock.now().timestamp();
        if claims.exp.saturating_add(CLOCK_LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        match claims.nbf {
            Some(begins) if begins > now + CLOCK_LEEWAY_SECONDS => Err(TokenError::NotYetValid),
            _ => Ok(()),
        }
    }

    fn decode(&self, token: &str) -> Result<Claims, TokenError> {
        // jsonwebtoken cannot parse a header with `alg: none`.
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => TokenError::UnsupportedAlgorithm,
            _ => TokenError::Invalid,
        })?;
        // No critical header parameter is supported (RFC 7515 §4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        match header.alg {
            Algorithm::HS256 => self
                .keys
                .secrets()
                .iter()
                .find_map(|key| decode_with(key, header.alg, token).ok())
                .ok_or(TokenError::Invalid),
            Algorithm::EdDSA => {
                let kid = header.kid.ok_or(TokenError::Invalid)?;
                let key = self.keys.public_key(&kid).ok_or(TokenError::Invalid)?;
                decode_with(&key, header.alg, token)
            }
            _ => Err(TokenError::UnsupportedAlgorithm),
        }
    }
}

/// Checks only the signature. The verifier checks time and audience with its own clock.
fn decode_with(key: &DecodingKey, algorithm: Algorithm, token: &str) -> Result<Claims, TokenError> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    jsonwebtoken::decode(token, key, &validation)
        .map(|data| data.claims)
        .map_err(|_| TokenError::Invalid)
}
