//! `GET /sessions` and `GET /sessions/{id}`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::analytics::question::QueryPairs;
use super::error;
use super::list::{self, VisitListParams, cursor};
use super::site_scope::{self, SiteScope};
use crate::store::{PathStep, SessionDetails};

/// A page of sessions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionPage)]
pub(super) struct SessionPage {
    /// The sessions, the newest first.
    data: Vec<SessionResponse>,
    /// Leads to the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// A visitor's visits with gaps under 30 minutes. What led to it, and where and with what the
/// visitor was, are those of its first visit.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionResponse {
    id: Uuid,
    site: String,
    visitor_id: String,
    user_id: Option<String>,
    started_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    duration_seconds: i64,
    visits: u32,
    /// Events of the visitor meanwhile, and up to half an hour after.
    events: i64,
    /// Whether it has one visit.
    is_bounce: bool,
    entry_path: String,
    exit_path: String,
    referrer: Option<String>,
    source: String,
    medium: String,
    channel: Option<String>,
    utm_source: Option<String>,
    utm_medium: Option<String>,
    utm_campaign: Option<String>,
    utm_term: Option<String>,
    utm_content: Option<String>,
    country_code: Option<String>,
    country: Option<String>,
    region_code: Option<String>,
    region: Option<String>,
    city: Option<String>,
    time_zone: Option<String>,
    as_organization: Option<String>,
    browser: Option<String>,
    browser_version: Option<String>,
    os: Option<String>,
    os_version: Option<String>,
    device_type: String,
    language: Option<String>,
    /// Whether one of its visits is a bot's.
    is_bot: bool,
    bot_name: Option<String>,
}

/// A session with the way it took.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionJourneyResponse {
    #[serde(flatten)]
    session: SessionResponse,
    /// Its visits, in their order; at most 1,000.
    journey: Vec<JourneyStep>,
}

/// A visit of a journey.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JourneyStep)]
pub(super) struct JourneyStep {
    timestamp: DateTime<Utc>,
    path: String,
    title: Option<String>,
    /// Until the next visit; of the last one for as long as the page was seen, where measured.
    seconds_on_page: Option<i64>,
}

/// Sessions, the newest first.
#[utoipa::path(get, path = "/sessions", tag = "sessions", params(VisitListParams),
    responses(
        (status = 200, body = SessionPage, description = "A page of sessions"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<SessionPage>, Problem> {
    let query = list::query(&state.store, scope.limit(pairs)?).await?;
    let mut found = state
        .store
        .sessions(&query)
        .await
        .map_err(|e| error::store(&e))?;
    let limit = usize::try_from(query.limit).unwrap_or_default();
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    Ok(Json(SessionPage {
        next_cursor: last.map(|session| cursor(session.period.0, session.entry.id)),
        data: found.into_iter().map(SessionResponse::from).collect(),
    }))
}

/// One session and the way it took.
#[utoipa::path(get, path = "/sessions/{id}", tag = "sessions",
    params(("id" = Uuid, Path, description = "The session's id")),
    responses(
        (status = 200, body = SessionJourneyResponse, description = "The session"),
        (status = 404, description = "There is no such session"),
    ))]
pub(super) async fn one(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<SessionJourneyResponse>, Problem> {
    let found = state.store.session(id, scope.sites()).await;
    let found = found.map_err(|e| error::store(&e))?;
    let found = site_scope::found(found, "there is no session with this id")?;
    let journey = state
        .store
        .journey(&found)
        .await
        .map_err(|e| error::store(&e))?;
    Ok(Json(SessionJourneyResponse {
        session: found.into(),
        journey: journey.into_iter().map(step).collect(),
    }))
}

fn step(stop: PathStep) -> JourneyStep {
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
