//! Creates tokens.

use std::sync::{Arc, Mutex};

use super::{Claims, Keyring, Scope, ScopeSet};
use crate::clock::Clock;

/// Lifetime of tokens between services.
const TOKEN_LIFETIME_SECONDS: i64 = 300;
/// A token is replaced this long before it expires.
const RENEWAL_MARGIN_SECONDS: i64 = 60;

/// Creates short-lived tokens for calls to one service, and caches the current token.
#[derive(Debug)]
pub struct TokenIssuer {
    keys: Arc<Keyring>,
    clock: Clock,
    subject: &'static str,
    scopes: ScopeSet,
    current: Mutex<Option<(i64, Arc<str>)>>,
}

impl TokenIssuer {
    /// Creates tokens for the service `subject` with `scope`.
    #[must_use]
    pub fn new(keys: Arc<Keyring>, clock: Clock, subject: &'static str, scope: Scope) -> Self {
        Self {
            keys,
            clock,
            subject,
            scopes: [scope].into_iter().collect(),
            current: Mutex::new(None),
        }
    }

    /// Returns a token that is valid for at least one more minute. `None` if there is no signing
    /// key.
    pub fn token(&self) -> Option<Arc<str>> {
        let now = self.clock.now().timestamp();
        let mut current = self
            .current
            .lock()
            .expect("no code panics while it holds this lock");
        if let Some((exp, token)) = current.as_ref()
            && *exp > now + RENEWAL_MARGIN_SECONDS
        {
            return Some(token.clone());
        }
        let claims = Claims::new(self.subject, self.scopes, now, TOKEN_LIFETIME_SECONDS);
        let token: Arc<str> = self.keys.sign(&claims)?.into();
        *current = Some((claims.exp, token.clone()));
        Some(token)
    }
}

impl Claims {
    /// Claims for `subject`. The audience are all services that use one of `scopes`. The token is
    /// valid from `now` (a Unix timestamp) for `lifetime` seconds.
    #[must_use]
    pub fn new(subject: &str, scopes: ScopeSet, now: i64, lifetime: i64) -> Self {
        let mut aud: Vec<String> = Vec::new();
        for audience in scopes.iter().flat_map(Scope::audiences) {
            if !aud.iter().any(|known| known == audience) {
                aud.push((*audience).to_owned());
            }
        }
        Self {
            iss: Some("tetralto".into()),
            sub: subject.to_owned(),
            aud,
            exp: now + lifetime,
            nbf: None,
            iat: Some(now),
            scope: scopes,
            sites: None,
        }
    }

    /// Restricts the token to the sites with these domains. An empty list means no restriction.
    #[must_use]
    pub fn restricted_to_sites(mut self, sites: &[String]) -> Self {
        self.sites = (!sites.is_empty()).then(|| sites.to_vec());
        self
    }
}
