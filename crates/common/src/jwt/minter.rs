//! Making tokens.

use std::sync::{Arc, Mutex};

use super::{Claims, Keyring, Scope, ScopeSet};
use crate::clock::Clock;

/// Tokens between services live this many seconds.
const TOKEN_LIFETIME_SECONDS: i64 = 300;
/// A token is renewed when fewer seconds than this are left.
const RENEWAL_MARGIN_SECONDS: i64 = 60;

/// Makes a service's short-lived tokens for one peer, and keeps the present one.
#[derive(Debug)]
pub struct TokenIssuer {
    keys: Arc<Keyring>,
    clock: Clock,
    subject: &'static str,
    scopes: ScopeSet,
    current: Mutex<Option<(i64, Arc<str>)>>,
}

impl TokenIssuer {
    /// Makes tokens in which the service `subject` is allowed `scope`.
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

    /// A token that is good for at least another minute; `None` where no key can sign.
    pub fn token(&self) -> Option<Arc<str>> {
        let now = self.clock.now().timestamp();
        let mut current = self.current.lock().expect("minting does not panic");
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
    /// Claims for `subject`, meant for every service that honours one of `scopes`, from `now`
    /// (seconds since the epoch) for `lifetime` seconds.
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

    /// The same, about these sites only (their domains); about all where there are none.
    #[must_use]
    pub fn limited_to(mut self, sites: &[String]) -> Self {
        self.sites = (!sites.is_empty()).then(|| sites.to_vec());
        self
    }
}
