//! `GET`, `POST` and `PATCH /sites`.

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::error;
use super::query_params::{ListParams, check_limit, parse_cursor, parse_site, truncate_page};
use super::site_scope::{AllSites, SiteScope};
use super::state::SharedState;
use crate::domain::site::{SiteSettings, SubmittedSite, SubmittedSiteSettings};
use crate::domain::visit;
use crate::store::{Site, SiteUpdateOutcome};

/// A page of sites.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SitePage)]
pub(super) struct SitePage {
    /// The sites, ordered by domain.
    data: Vec<SiteResponse>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// A site.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Site)]
pub(super) struct SiteResponse {
    /// Domain of the site.
    domain: String,
    /// IANA name of the time zone that defines the site's days.
    time_zone: String,
    /// Other domains of the site. Visits and events for an alias are recorded for the site.
    aliases: Vec<String>,
    /// Networks (CIDR) whose visits are ignored.
    ignored_addresses: Vec<String>,
    /// Paths whose visits are ignored; `*` matches any characters.
    ignored_paths: Vec<String>,
    /// Visit properties by which reports group and filter.
    properties: Vec<String>,
    /// Days for which the site's visits are kept; `null` if only the service's retention applies.
    retention_days: Option<i32>,
    /// Visits that were ignored, counted with a delay of a few seconds.
    ignored_visits: i64,
    /// Time of creation.
    created_at: DateTime<Utc>,
}

/// List sites.
///
/// Includes sites that were created by their first visit.
#[utoipa::path(get, path = "/sites", tag = "sites", params(ListParams),
    responses(
        (status = 200, body = SitePage, description = "A page of sites"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(parameters): Query<ListParams>,
) -> Result<axum::Json<SitePage>, Problem> {
    let limit = check_limit(parameters.limit)?;
    let after = parse_cursor(parameters.cursor.as_deref(), |cursor| {
        let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
        Some(text).filter(|text| !text.contains('\0'))
    })?;
    let found = state
        .store
        .sites
        .list(scope.sites(), after.as_deref(), limit)
        .await;
    let mut found = found?;
    Ok(axum::Json(SitePage {
        next_cursor: truncate_page(&mut found, limit, |site| BASE64.encode(&site.domain)),
        data: found.into_iter().map(to_response).collect(),
    }))
}

/// Create a site.
///
/// The first visit or event of an unknown site also creates the site, with default settings, within
/// the limit on new sites and only for tokens without a site scope.
#[utoipa::path(post, path = "/sites", tag = "sites", request_body = SubmittedSite,
    responses(
        (status = 201, body = SiteResponse, description = "The new site"),
        (status = 409, description = "The domain or an alias belongs to a site (`SITE_EXISTS`); \
            `field` names which"),
        (status = 422, description = "The site is invalid; `field` names the field"),
    ))]
pub(super) async fn add(
    State(state): State<SharedState>,
    _: AllSites,
    Json(submitted): Json<SubmittedSite>,
) -> Result<(StatusCode, axum::Json<SiteResponse>), Problem> {
    let domain = visit::normalize_domain(&submitted.domain)
        .map_err(|e| Problem::invalid("domain", "SITE_INVALID", e.to_string()))?;
    let settings = SiteSettings::accept(&domain, submitted.settings)
        .map_err(|e| error::from_validation(&e))?;
    let done = state
        .store
        .sites
        .add(&domain, &settings, state.clock.now())
        .await;
    refresh_ignore_rules(&state).await?;
    Ok((StatusCode::CREATED, update_response(done?)?))
}

/// Update a site.
///
/// Omitted fields keep their value. A new time zone or list of properties recomputes the rollups of
/// all days in the background; reports use the new settings immediately.
#[utoipa::path(patch, path = "/sites/{domain}", tag = "sites", request_body = SubmittedSiteSettings,
    params(("domain" = String, Path, description = "The site's domain")),
    responses(
        (status = 200, body = SiteResponse, description = "The updated site"),
        (status = 404, description = "The site does not exist"),
        (status = 409, description = "An alias belongs to another site (`SITE_EXISTS`)"),
        (status = 422, description = "A setting is invalid; `field` names it"),
    ))]
pub(super) async fn change(
    State(state): State<SharedState>,
    _: AllSites,
    Path(domain): Path<String>,
    Json(submitted): Json<SubmittedSiteSettings>,
) -> Result<axum::Json<SiteResponse>, Problem> {
    let domain = parse_site(&domain)?;
    let settings =
        SiteSettings::accept(&domain, submitted).map_err(|e| error::from_validation(&e))?;
    let done = state
        .store
        .sites
        .update(&domain, &settings, state.clock.now())
        .await;
    refresh_ignore_rules(&state).await?;
    update_response(done?)
}

/// Applies the settings in this process immediately. Other replicas follow within seconds.
async fn refresh_ignore_rules(state: &SharedState) -> Result<(), Problem> {
    let refreshed = state.ignore_rules.refresh(&state.store).await;
    Ok(refreshed?)
}

fn update_response(done: SiteUpdateOutcome) -> Result<axum::Json<SiteResponse>, Problem> {
    match done {
        SiteUpdateOutcome::Saved(site) => Ok(axum::Json(to_response(site))),
        SiteUpdateOutcome::Conflict(field) => {
            let detail = "this domain belongs to an existing site";
            Err(Problem::new(StatusCode::CONFLICT, "SITE_EXISTS", detail).field(field))
        }
        SiteUpdateOutcome::NotFound => Err(Problem::not_found("there is no such site")),
    }
}

fn to_response(site: Site) -> SiteResponse {
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
