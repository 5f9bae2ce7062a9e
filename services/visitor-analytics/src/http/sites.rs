//! `GET`, `POST` and `PATCH /sites`.

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error;
use super::list::{named_site, within, wrong};
use super::site_scope::{AllSites, SiteScope};
use crate::domain::site::{SiteSettings, SubmittedSite, SubmittedSiteSettings};
use crate::domain::visit;
use crate::store::{Site, SiteUpdateOutcome};

/// The parameters of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SiteListParams {
    /// At most so many, 1 to 1,000; 50 without it.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of sites.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SitePage)]
pub(super) struct SitePage {
    /// In alphabetical order.
    data: Vec<SiteResponse>,
    /// Leads to the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// A site.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Site)]
pub(super) struct SiteResponse {
    domain: String,
    /// Whose days are the site's days.
    time_zone: String,
    /// Other domains: what is recorded for them is the site's.
    aliases: Vec<String>,
    /// Networks (CIDR) whose visits are not stored.
    ignored_addresses: Vec<String>,
    /// Paths whose visits are not stored; `*` stands for anything.
    ignored_paths: Vec<String>,
    /// Properties of visits that reports count.
    properties: Vec<String>,
    /// For how many days its visits are kept, where it says so itself.
    retention_days: Option<i32>,
    /// Visits that came and were not stored; a few seconds old.
    ignored_visits: i64,
    created_at: DateTime<Utc>,
}

/// Sites, those that visits have brought along too.
#[utoipa::path(get, path = "/sites", tag = "sites", params(SiteListParams),
    responses(
        (status = 200, body = SitePage, description = "A page of sites"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Query(parameters): Query<SiteListParams>,
) -> Result<axum::Json<SitePage>, Problem> {
    let limit = within(parameters.limit)?;
    let after = parameters.cursor.map(|cursor| {
        let text = BASE64
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.filter(|text| !text.contains('\0'));
        text.ok_or_else(|| wrong("cursor", "this is no cursor of this list"))
    });
    let found = state
        .store
        .sites(scope.sites(), after.transpose()?.as_deref(), limit)
        .await;
    let mut found = found.map_err(|e| error::store(&e))?;
    let limit = usize::try_from(limit).unwrap_or_default();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    Ok(axum::Json(SitePage {
        next_cursor: last.map(|site| BASE64.encode(&site.domain)),
        data: found.into_iter().map(line).collect(),
    }))
}

/// Adds a site before its first visit.
#[utoipa::path(post, path = "/sites", tag = "sites", request_body = SubmittedSite,
    responses(
        (status = 201, body = SiteResponse, description = "The site"),
        (status = 409,
            description = "The domain, or an alias, is a site's already; `field` names which"),
        (status = 422, description = "The site cannot be accepted; `field` names why"),
    ))]
pub(super) async fn add(
    State(state): State<super::SharedState>,
    _: AllSites,
    Json(wanted): Json<SubmittedSite>,
) -> Result<(StatusCode, axum::Json<SiteResponse>), Problem> {
    let domain = visit::site(&wanted.domain)
        .map_err(|e| Problem::invalid("domain", "SITE_INVALID", e.to_string()))?;
    let settings =
        SiteSettings::accept(&domain, wanted.settings).map_err(|e| error::invalid(&e))?;
    let done = state
        .store
        .add_site(&domain, &settings, state.clock.now())
        .await;
    refresh(&state).await?;
    Ok((
        StatusCode::CREATED,
        changed(done.map_err(|e| error::store(&e))?)?,
    ))
}

/// Changes a site.
///
/// With another time zone or other properties all its days are made anew, in the background;
/// reports tell the new days at once.
#[utoipa::path(patch, path = "/sites/{domain}", tag = "sites", request_body = SubmittedSiteSettings,
    params(("domain" = String, Path, description = "The site's domain")),
    responses(
        (status = 200, body = SiteResponse, description = "The site"),
        (status = 404, description = "There is no such site"),
        (status = 409, description = "An alias is a site's already"),
        (status = 422, description = "The settings cannot be accepted; `field` names why"),
    ))]
pub(super) async fn change(
    State(state): State<super::SharedState>,
    _: AllSites,
    Path(domain): Path<String>,
    Json(wanted): Json<SubmittedSiteSettings>,
) -> Result<axum::Json<SiteResponse>, Problem> {
    let domain = named_site(&domain)?;
    let settings = SiteSettings::accept(&domain, wanted).map_err(|e| error::invalid(&e))?;
    let done = state
        .store
        .change_site(&domain, &settings, state.clock.now())
        .await;
    refresh(&state).await?;
    changed(done.map_err(|e| error::store(&e))?)
}

/// What was asked for holds here at once, and on other replicas within seconds.
async fn refresh(state: &super::SharedState) -> Result<(), Problem> {
    let refreshed = state.wishes.refresh(&state.store).await;
    refreshed.map_err(|e| error::store(&e))
}

fn changed(done: SiteUpdateOutcome) -> Result<axum::Json<SiteResponse>, Problem> {
    match done {
        SiteUpdateOutcome::Done(site) => Ok(axum::Json(line(site))),
        SiteUpdateOutcome::Taken(field) => {
            let detail = "this domain is a site's already";
            Err(Problem::new(StatusCode::CONFLICT, "SITE_EXISTS", detail).field(field))
        }
        SiteUpdateOutcome::Missing => Err(Problem::not_found("there is no such site")),
    }
}

fn line(site: Site) -> SiteResponse {
    SiteResponse {
        domain: site.domain,
        time_zone: site.time_zone,
        aliases: site.aliases,
        ignored_addresses: site.ignored_addresses,
        ignored_paths: site.ignored_paths,
        properties: site.properties,
        retention_days: site.retention_days,
        ignored_visits: site.ignored_visits,
        created_at: site.created_at,
    }
}
