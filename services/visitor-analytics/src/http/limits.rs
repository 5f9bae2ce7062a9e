//! Tokens that are limited to sites: the claim `sites`.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use chassis::Problem;
use common::jwt::Claims;
use uuid::Uuid;

use super::error;
use super::list::named_site;

/// What tells which site a request is about.
enum About {
    /// The parameter `site`.
    Parameter,
    /// The visit with the path's id.
    Visit,
    /// The session with the path's id.
    Session,
    /// The import with the path's id.
    Import,
    /// What the handler reads; it calls [`check`].
    Content,
    /// No site, or all of them.
    Nothing,
}

/// A route that is not named here is not for limited tokens.
fn about(method: &Method, route: &str) -> About {
    match route {
        "/visits/{id}" | "/visits/{id}/explain" | "/visits/{id}/engagement" => About::Visit,
        "/sessions/{id}" => About::Session,
        "/imports/{id}" => About::Import,
        "/visits"
        | "/visits/live"
        | "/export/visits"
        | "/import"
        | "/imports"
        | "/sessions"
        | "/visitors/{id}"
        | "/visitors/{id}/data"
        | "/users/{user_id}/data"
        | "/analytics/bots"
        | "/analytics/events"
        | "/analytics/events/by-type"
        | "/analytics/events/date-range"
        | "/analytics/users/{user_id}/events"
        | "/analytics/summary"
        | "/analytics/timeseries"
        | "/analytics/breakdown"
        | "/analytics/realtime"
        | "/analytics/journeys"
        | "/analytics/retention" => About::Parameter,
        "/goals" if method.is_safe() => About::Parameter,
        "/sites" | "/segments" if !method.is_safe() => About::Nothing,
        // Segments are no site's.
        "/analytics/funnel" | "/sites" | "/segments" => About::Content,
        _ => About::Nothing,
    }
}

/// Lets a limited token's request pass where it is about one of the token's sites.
pub(super) async fn limit(
    State(state): State<super::State>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let claims = request.extensions().get::<Arc<Claims>>().cloned();
    let Some(claims) = claims.filter(|claims| claims.sites.is_some()) else {
        return Ok(next.run(request).await);
    };
    let route = request.extensions().get::<MatchedPath>();
    let about = about(request.method(), route.map_or("", MatchedPath::as_str));
    let mut parts = request.uri().path().split('/');
    // What is not there is told by the handler.
    let id = parts.find_map(|part| Uuid::try_parse(part).ok());
    let id = id.unwrap_or_default();
    let store = &state.store;
    let site = match about {
        About::Nothing => return Err(forbidden()),
        About::Content => None,
        About::Parameter => {
            name_site(&claims, &mut request)?;
            None
        }
        About::Visit => {
            let visit = store.visit(id).await.map_err(|e| error::store(&e))?;
            visit.map(|visit| visit.site)
        }
        About::Session => {
            let session = store.session(id).await.map_err(|e| error::store(&e))?;
            session.map(|session| session.entry.site)
        }
        About::Import => {
            let import = store.import(id).await.map_err(|e| error::store(&e))?;
            import.map(|import| import.site.unwrap_or_default())
        }
    };
    if let Some(site) = site {
        check(&claims, &site)?;
    }
    Ok(next.run(request).await)
}

/// Checks the parameter `site`; where there is none, and the token has one site, that is meant.
fn name_site(claims: &Claims, request: &mut Request) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let mut named = pairs.filter(|(name, _)| name == "site").peekable();
    if named.peek().is_some() {
        for (_, site) in named {
            check(claims, &named_site(&site)?)?;
        }
        return Ok(());
    }
    let [only] = claims.sites.as_deref().unwrap_or_default() else {
        return Err(forbidden());
    };
    let site = url::form_urlencoded::byte_serialize(only.as_bytes());
    let site: String = site.collect();
    let path = request.uri().path();
    let joint = if query.is_empty() { "" } else { "&" };
    let uri = format!("{path}?{query}{joint}site={site}").parse::<Uri>();
    *request.uri_mut() = uri.map_err(|_| forbidden())?;
    Ok(())
}

/// Refuses what is about a site that the token is not for.
pub(super) fn check(claims: &Claims, site: &str) -> Result<(), Problem> {
    if allows(claims, site) {
        return Ok(());
    }
    Err(forbidden())
}

/// Whether the token may be about this site.
pub(super) fn allows(claims: &Claims, site: &str) -> bool {
    let sites = claims.sites.as_ref();
    sites.is_none_or(|sites| sites.iter().any(|one| one == site))
}

fn forbidden() -> Problem {
    let detail = "the token is limited to other sites; name one of its own";
    Problem::new(StatusCode::FORBIDDEN, "SITE_FORBIDDEN", detail).field("site")
}
