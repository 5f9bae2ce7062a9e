//! Checking tokens.

use std::sync::Arc;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;

use super::{Claims, Keyring};
use crate::clock::Clock;

/// Clocks of two machines may differ by this many seconds.
const CLOCK_LEEWAY_SECONDS: i64 = 5;
/// Verified tokens that are remembered; a token costs about a kilobyte.
const MAX_CACHED_TOKENS: u64 = 10_000;
/// A longer text is no token of ours.
const MAX_TOKEN_BYTES: usize = 4096;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JWT, or its signature is not from a known key.
    #[error("the token is malformed or was not signed with a known key")]
    Invalid,
    /// It is signed with an algorithm that is not accepted, such as `none`.
    #[error("the token's algorithm is not accepted; HS256 and EdDSA are")]
    Algorithm,
    /// It has ended.
    #[error("the token has expired")]
    Expired,
    /// It has not begun.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is meant for another service.
    #[error("the token is meant for another audience")]
    Audience,
}

/// Checks tokens for one audience and remembers those it has verified until they end, so that
/// Ed25519 costs nothing per request.
#[derive(Clone, Debug)]
pub struct TokenVerifier {
    keys: Arc<Keyring>,
    audience: &'static str,
    clock: Clock,
    verified: Cache<String, Arc<Claims>>,
}

impl TokenVerifier {
    /// A verifier for the service called `audience`.
    #[must_use]
    pub fn new(keys: Arc<Keyring>, audience: &'static str, clock: Clock) -> Self {
        Self {
            keys,
            audience,
            clock,
            verified: Cache::new(MAX_CACHED_TOKENS),
        }
    }

    /// The keys that are trusted.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// The claims of a token, when its signature, time and audience hold.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        if let Some(claims) = self.verified.get(token) {
            return self.in_time(&claims).map(|()| claims).inspect_err(|_| {
                self.verified.invalidate(token);
            });
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let claims = Arc::new(self.decode(token)?);
        if claims.sub.contains(char::is_control) {
            return Err(TokenError::Invalid);
        }
        self.in_time(&claims)?;
        if !claims.aud.iter().any(|aud| aud == self.audience) {
            return Err(TokenError::Audience);
        }
        self.verified.insert(token.to_owned(), claims.clone());
        Ok(claims)
    }

    /// Forgets what was verified, for when keys were withdrawn.
    pub fn forget(&self) {
        self.verified.invalidate_all();
    }

    fn in_time(&self, claims: &Claims) -> Result<(), TokenError> {
        let now = self.clock.now().timestamp();
        if claims.exp.saturating_add(CLOCK_LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        match claims.nbf {
            Some(begins) if begins > now + CLOCK_LEEWAY_SECONDS => Err(TokenError::NotYet),
            _ => Ok(()),
        }
    }

    fn decode(&self, token: &str) -> Result<Claims, TokenError> {
        // `alg: none` is not even a header that jsonwebtoken can read.
        let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
            ErrorKind::Json(_) => TokenError::Algorithm,
            _ => TokenError::Invalid,
        })?;
        // Nothing that could be called critical is understood here (RFC 7515 §4.1.11).
        if header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        match header.alg {
            Algorithm::HS256 => self
                .keys
                .secrets()
                .iter()
                .find_map(|key| signed_by(key, header.alg, token).ok())
                .ok_or(TokenError::Invalid),
            Algorithm::EdDSA => {
                let kid = header.kid.ok_or(TokenError::Invalid)?;
                let key = self.keys.public(&kid).ok_or(TokenError::Invalid)?;
                signed_by(&key, header.alg, token)
            }
            _ => Err(TokenError::Algorithm),
        }
    }
}

/// Checks the signature only; time and audience are checked by the verifier with its own clock.
fn signed_by(key: &DecodingKey, algorithm: Algorithm, token: &str) -> Result<Claims, TokenError> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    jsonwebtoken::decode(token, key, &validation)
        .map(|data| data.claims)
        .map_err(|_| TokenError::Invalid)
}
