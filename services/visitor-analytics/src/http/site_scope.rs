//! The site scope of a token: the claim `sites`.
//!
//! Every handler takes one of the extractors of this module. The allowed sites are part of the
//! statement that reads the rows, or are compared with the site that the handler has parsed. The
//! check therefore never depends on how a path or query is spelled. `tests/api/site_scope.rs`
//! walks the `OpenAPI` document and fails for a route without an extractor.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use chassis::Problem;
use common::jwt::Claims;

use super::query_params::{QueryPairs, parse_site};
use crate::app::admission::NewSitePolicy;
use crate::store::SiteLookup;

/// The sites for which the token of the request is valid.
#[derive(Clone, Debug)]
pub(super) struct SiteScope(Arc<Claims>);

/// For endpoints that concern all sites: refuses tokens with a site scope.
#[derive(Debug)]
pub(super) struct AllSites;

impl<S: Sync> FromRequestParts<S> for SiteScope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let claims = parts.extensions.get::<Arc<Claims>>().cloned();
        // A route without `auth::require_scope` has no claims. It must not grant access to all sites.
        claims.map(Self).ok_or_else(site_forbidden)
    }
}

impl<S: Sync> FromRequestParts<S> for AllSites {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let scope = SiteScope::from_request_parts(parts, state).await?;
        match scope.sites() {
            None => Ok(Self),
            Some(_) => Err(site_forbidden()),
        }
    }
}

impl SiteScope {
    /// The domains of the allowed sites; `None` allows all sites. Bound to statements unchanged.
    pub(super) fn sites(&self) -> Option<&[String]> {
        self.0.sites.as_deref()
    }

    /// Whether visits may create sites.
    pub(super) fn new_site_policy(&self) -> NewSitePolicy {
        match self.sites() {
            None => NewSitePolicy::Limited,
            Some(_) => NewSitePolicy::Refused,
        }
    }

    pub(super) fn subject(&self) -> &str {
        &self.0.sub
    }

    /// Expiry of the token, in seconds since the Unix epoch.
    pub(super) fn token_expires_at(&self) -> i64 {
        self.0.exp
    }

    /// Refuses a site outside the scope.
    pub(super) fn check_site(&self, site: &str) -> Result<(), Problem> {
        let sites = self.sites();
        let is_allowed = sites.is_none_or(|sites| sites.iter().any(|one| one == site));
        is_allowed.then_some(()).ok_or_else(site_forbidden)
    }

    /// Parses and checks the site that a request names. Defaults to the token's site if the token
    /// has exactly one.
    pub(super) fn resolve_site(&self, named: Option<&str>) -> Result<Option<String>, Problem> {
        if let Some(named) = named {
            let site = parse_site(named)?;
            self.check_site(&site)?;
            return Ok(Some(site));
        }
        match self.sites() {
            None => Ok(None),
            Some([only]) => Ok(Some(only.clone())),
            Some(_) => Err(site_forbidden()),
        }
    }

    /// Applies the scope to unparsed query parameters: checks every parameter `site`, and adds it
    /// if it is missing and the token has exactly one site.
    pub(super) fn restrict(&self, mut pairs: QueryPairs) -> Result<ScopedPairs, Problem> {
        if self.sites().is_none() {
            return Ok(ScopedPairs(pairs));
        }
        let mut is_named = false;
        for (_, site) in pairs.iter().filter(|(name, _)| name == "site") {
            self.check_site(&parse_site(site)?)?;
            is_named = true;
        }
        if !is_named && let Some(only) = self.resolve_site(None)? {
            pairs.push(("site".to_owned(), only));
        }
        Ok(ScopedPairs(pairs))
    }
}

/// Query parameters whose `site` was checked. Lists and reports accept no others.
#[derive(Debug)]
pub(super) struct ScopedPairs(QueryPairs);

impl IntoIterator for ScopedPairs {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Converts the result of a lookup by id; `missing` is the detail of the 404.
pub(super) fn require_found<T>(lookup: SiteLookup<T>, missing: &str) -> Result<T, Problem> {
    match lookup {
        SiteLookup::Found(row) => Ok(row),
        SiteLookup::OtherSite => Err(site_forbidden()),
        SiteLookup::Missing => Err(Problem::not_found(missing)),
    }
}

fn site_forbidden() -> Problem {
    let detail = "the token is limited to other sites; name one of the sites in its claim `sites`";
    Problem::new(StatusCode::FORBIDDEN, "SITE_FORBIDDEN", detail).field("site")
}
