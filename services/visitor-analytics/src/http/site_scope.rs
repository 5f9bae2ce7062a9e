//! Tokens that are limited to sites: the claim `sites`.
//!
//! Every handler takes one of these extractors. The sites that it allows go into the statement
//! that reads the rows, or are compared with the site that the handler itself has parsed: the
//! spelling of a request's path or query cannot part the two. `tests/api/site_scope.rs` walks the
//! `OpenAPI` and fails for a route without one.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use chassis::Problem;
use common::jwt::Claims;

use super::analytics::question::QueryPairs;
use super::list::named_site;
use crate::admission::NewSitePolicy;
use crate::store::SiteLookup;

/// The sites that the request's token is for.
#[derive(Clone, Debug)]
pub(super) struct SiteScope(Arc<Claims>);

/// What concerns every site: a token that is limited to some is refused.
#[derive(Debug)]
pub(super) struct AllSites;

impl<S: Sync> FromRequestParts<S> for SiteScope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let claims = parts.extensions.get::<Arc<Claims>>().cloned();
        // A route without `auth::require` has no claims, and must not mean every site.
        claims.map(Self).ok_or_else(forbidden)
    }
}

impl<S: Sync> FromRequestParts<S> for AllSites {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let scope = SiteScope::from_request_parts(parts, state).await?;
        match scope.sites() {
            None => Ok(Self),
            Some(_) => Err(forbidden()),
        }
    }
}

impl SiteScope {
    /// The domains of the only sites, or `None` for all of them; statements take it as it is.
    pub(super) fn sites(&self) -> Option<&[String]> {
        self.0.sites.as_deref()
    }

    /// Which new sites visits may bring along.
    pub(super) fn new_sites(&self) -> NewSitePolicy {
        match self.sites() {
            None => NewSitePolicy::Limited,
            Some(_) => NewSitePolicy::Refused,
        }
    }

    /// Whose token it is.
    pub(super) fn subject(&self) -> &str {
        &self.0.sub
    }

    /// When the token ends, in seconds since the epoch.
    pub(super) fn token_ends_at(&self) -> i64 {
        self.0.exp
    }

    /// Refuses a site that the token is not for.
    pub(super) fn check(&self, site: &str) -> Result<(), Problem> {
        let sites = self.sites();
        let is_allowed = sites.is_none_or(|sites| sites.iter().any(|one| one == site));
        is_allowed.then_some(()).ok_or_else(forbidden)
    }

    /// The site that a request names. Where it names none and the token has one site, that is
    /// meant.
    pub(super) fn site(&self, named: Option<&str>) -> Result<Option<String>, Problem> {
        if let Some(named) = named {
            let site = named_site(named)?;
            self.check(&site)?;
            return Ok(Some(site));
        }
        match self.sites() {
            None => Ok(None),
            Some([only]) => Ok(Some(only.clone())),
            Some(_) => Err(forbidden()),
        }
    }

    /// The same for a request whose parameters have not been sorted yet: its parameter `site` is
    /// checked each time it is there, and added where the token implies it.
    pub(super) fn limit(&self, mut pairs: QueryPairs) -> Result<ScopedPairs, Problem> {
        if self.sites().is_none() {
            return Ok(ScopedPairs(pairs));
        }
        let mut is_named = false;
        for (_, site) in pairs.iter().filter(|(name, _)| name == "site") {
            self.check(&named_site(site)?)?;
            is_named = true;
        }
        if !is_named && let Some(only) = self.site(None)? {
            pairs.push(("site".to_owned(), only));
        }
        Ok(ScopedPairs(pairs))
    }
}

/// Parameters whose site the token is for; lists and reports take no others.
#[derive(Debug)]
pub(super) struct ScopedPairs(QueryPairs);

impl IntoIterator for ScopedPairs {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What a lookup by id found; `missing` says that there is none at all.
pub(super) fn found<T>(lookup: SiteLookup<T>, missing: &str) -> Result<T, Problem> {
    match lookup {
        SiteLookup::Found(row) => Ok(row),
        SiteLookup::OfAnotherSite => Err(forbidden()),
        SiteLookup::Missing => Err(Problem::not_found(missing)),
    }
}

fn forbidden() -> Problem {
    let detail = "the token is limited to other sites; name one of its own";
    Problem::new(StatusCode::FORBIDDEN, "SITE_FORBIDDEN", detail).field("site")
}
