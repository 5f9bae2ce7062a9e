//! `GET /sessions` and `GET /sessions/{id}`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use chrono::{DateTime, Utc};
use common::visitor_analytics::{Visit, serialize_readable_path};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::query_params::{ListParams, QueryPairs, encode_cursor, truncate_page};
use super::site_scope::{self, SiteScope};
use super::state::SharedState;
use super::visit_query::{VisitFilterParams, parse_visit_query};
use crate::store::{PathStep, SessionDetails};

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionPage)]
pub(super) struct SessionPage {
    /// The sessions, newest first.
    data: Vec<SessionResponse>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// A session: a visitor's visits with gaps under 30 minutes.
///
/// Source, location and device are those of the first visit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionResponse {
    /// Id of the session.
    id: Uuid,
    /// Domain of the site.
    site: String,
    /// Id of the visitor.
    visitor_id: String,
    /// The site's own id of the user.
    user_id: Option<String>,
    /// Time of the first visit.
    started_at: DateTime<Utc>,
    /// Time of the last visit.
    last_seen_at: DateTime<Utc>,
    /// Seconds from the first to the last visit.
    duration_seconds: i64,
    /// Number of visits.
    visits: u32,
    /// Number of events that the visitor triggered during the session or within 30 minutes after
    /// its end.
    events: i64,
    /// Whether the session has exactly one visit.
    is_bounce: bool,
    /// Path of the first visit.
    #[serde(serialize_with = "serialize_readable_path")]
    entry_path: String,
    /// Path of the last visit.
    #[serde(serialize_with = "serialize_readable_path")]
    exit_path: String,
    /// URL of the referring page.
    referrer: Option<String>,
    /// Where the visitor came from, such as `google` or `(direct)`.
    source: String,
    /// Name of the source as people write it, such as `Wikipedia` or `X`.
    source_name: String,
    /// How the visitor came, such as `organic` or `(none)`.
    medium: String,
    /// Acquisition channel, such as `Organic Search`.
    channel: Option<String>,
    utm_source: Option<String>,
    utm_medium: Option<String>,
    utm_campaign: Option<String>,
    utm_term: Option<String>,
    utm_content: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    country_code: Option<String>,
    /// Name of the country, in English.
    country: Option<String>,
    /// ISO 3166-2 code without the country.
    region_code: Option<String>,
    /// Name of the region, in English.
    region: Option<String>,
    /// Name of the city, in English.
    city: Option<String>,
    /// IANA time zone of the location.
    time_zone: Option<String>,
    /// Organization that runs the autonomous system.
    as_organization: Option<String>,
    browser: Option<String>,
    browser_version: Option<String>,
    os: Option<String>,
    os_version: Option<String>,
    /// `desktop`, `smartphone`, `tablet`, `tv`, `console`, `wearable`, `bot` or `other`.
    device_type: String,
    /// Preferred language, such as `de` or `pt-BR`.
    language: Option<String>,
    /// Whether a visit of the session is a bot's.
    is_bot: bool,
    /// Name of the bot, if known.
    bot_name: Option<String>,
}

/// A session with its journey.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionJourneyResponse {
    #[serde(flatten)]
    session: SessionResponse,
    /// The visits of the session in chronological order, at most 1,000.
    journey: Vec<JourneyStep>,
}

/// A visit in a journey.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JourneyStep)]
pub(super) struct JourneyStep {
    /// Time of the page view.
    timestamp: DateTime<Utc>,
    /// Path of the page.
    #[serde(serialize_with = "serialize_readable_path")]
    path: String,
    /// Title of the page.
    title: Option<String>,
    /// Seconds until the next visit. For the last visit: the seconds that the page was visible, or
    /// `null` if this was not measured.
    seconds_on_page: Option<i64>,
}

/// List sessions.
///
/// Newest first. Filters match the first visit of a session.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(VisitFilterParams, ListParams),
    responses(
        (status = 200, body = SessionPage, description = "A page of sessions"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<SessionPage>, Problem> {
    let query = parse_visit_query(&state.store, scope.restrict(pairs)?).await?;
    let mut found = state.store.sessions.list(&query).await?;
    Ok(Json(SessionPage {
        next_cursor: truncate_page(&mut found, query.limit, |session| {
            encode_cursor(session.period.0, session.entry.id)
        }),
        data: found.into_iter().map(SessionResponse::from).collect(),
    }))
}

/// Get a session with its journey.
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions",
    params(("id" = Uuid, Path, description = "The session's id")),
    responses(
        (status = 200, body = SessionJourneyResponse, description = "The session and its journey"),
        (status = 404, description = "The session does not exist"),
    ))]
pub(super) async fn one(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<SessionJourneyResponse>, Problem> {
    let found = state.store.sessions.find(id, scope.sites()).await?;
    let found = site_scope::require_found(found, "there is no session with this id")?;
    let journey = state.store.sessions.journey(&found).await?;
    Ok(Json(SessionJourneyResponse {
        session: found.into(),
        journey: journey.into_iter().map(to_journey_step).collect(),
    }))
}

fn to_journey_step(stop: PathStep) -> JourneyStep {
    JourneyStep {
        timestamp: stop.timestamp,
        path: stop.path,
        title: stop.title,
        seconds_on_page: stop.seconds,
    }
}

impl From<SessionDetails> for SessionResponse {
    fn from(found: SessionDetails) -> Self {
        let (started_at, last_seen_at) = found.period;
        let entry: Visit = found.entry;
        Self {
            id: found.id,
            started_at,
            last_seen_at,
            duration_seconds: last_seen_at.timestamp() - started_at.timestamp(),
            visits: found.visits,
            events: found.events,
            is_bounce: found.visits == 1,
            entry_path: entry.path,
            exit_path: found.exit.path,
            site: entry.site,
            visitor_id: entry.visitor_id,
            user_id: entry.user_id,
            referrer: entry.referrer,
            source: entry.source,
            source_name: entry.source_name,
            medium: entry.medium,
            channel: entry.channel,
            utm_source: entry.utm_source,
            utm_medium: entry.utm_medium,
            utm_campaign: entry.utm_campaign,
            utm_term: entry.utm_term,
            utm_content: entry.utm_content,
            country_code: entry.country_code,
            country: entry.country,
            region_code: entry.region_code,
            region: entry.region,
            city: entry.city,
            time_zone: entry.time_zone,
            as_organization: entry.as_organization,
            browser: entry.browser,
            browser_version: entry.browser_version,
            os: entry.os,
            os_version: entry.os_version,
            device_type: entry.device_type,
            language: entry.language,
            is_bot: found.is_bot,
            bot_name: entry.bot_name,
        }
    }
}
