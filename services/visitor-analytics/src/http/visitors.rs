//! `GET` and `DELETE /visitors/{id}`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::site_scope::SiteScope;
use super::state::SharedState;
use super::visitor_params::{VisitorParams, parse_path_id, visitor_not_found};
use crate::store::Person;

/// A visitor, as far as visitor ids distinguish people.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitorResponse {
    /// Id of the visitor.
    id: String,
    /// Time of the first visit.
    first_seen_at: DateTime<Utc>,
    /// Time of the last visit.
    last_seen_at: DateTime<Utc>,
    /// Number of sessions.
    sessions: u64,
    /// Number of visits.
    visits: u64,
    /// Domains of the visited sites, in alphabetical order.
    sites: Vec<String>,
}

/// Numbers of removed rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitorErasureResponse {
    /// Id of the visitor.
    id: String,
    /// Visits of the visitor.
    visits: u64,
    /// Sessions of the visitor.
    sessions: u64,
    /// Announcements to the notification service that were still queued.
    announcements: u64,
    /// Addresses that were stored until their location is known.
    owed_locations: u64,
    /// Events of the visitor.
    events: u64,
}

/// Get a visitor.
#[utoipa::path(get, path = "/visitors/{id}", tag = "visitors",
    params(("id" = String, Path, description = "The visitor's id"), VisitorParams),
    responses(
        (status = 200, body = VisitorResponse, description = "The visitor"),
        (status = 404, description = "The visitor does not exist"),
    ))]
pub(super) async fn one(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<String>,
    Query(parameters): Query<VisitorParams>,
) -> Result<Json<VisitorResponse>, Problem> {
    let (id, site) = parse_target(id, &scope, &parameters)?;
    let found = state.store.visitors.find(&id, site.as_deref()).await;
    let found = found?.ok_or_else(visitor_not_found)?;
    Ok(Json(VisitorResponse {
        id,
        first_seen_at: found.first_seen_at,
        last_seen_at: found.last_seen_at,
        sessions: found.sessions,
        visits: found.visits,
        sites: found.sites,
    }))
}

/// Erase a visitor's data.
///
/// Removes visits, sessions, events and queued announcements. The notification service is asked to
/// remove its data about the visitor, within seconds or as soon as it is available. Values that
/// occur only in the visitor's visits (paths, titles, referrers, properties) are removed from
/// dictionaries and rollups within two hours.
///
/// Requires the scope `visits:write`, because visitors turn to the site, which forwards the
/// request.
#[utoipa::path(delete, path = "/visitors/{id}", tag = "visitors",
    params(("id" = String, Path, description = "The visitor's id"), VisitorParams),
    responses(
        (status = 200, body = VisitorErasureResponse, description = "Numbers of removed rows"),
        (status = 404, description = "The visitor does not exist"),
    ))]
pub(super) async fn erase(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<String>,
    Query(parameters): Query<VisitorParams>,
) -> Result<Json<VisitorErasureResponse>, Problem> {
    let (id, site) = parse_target(id, &scope, &parameters)?;
    let now = state.clock.now();
    let person = Person::Visitor(&id);
    let erased = state
        .store
        .erasures
        .erase(person, site.as_deref(), now)
        .await;
    let erased = erased?.ok_or_else(visitor_not_found)?;
    Ok(Json(VisitorErasureResponse {
        id,
        visits: erased.visits,
        sessions: erased.sessions,
        announcements: erased.announcements,
        owed_locations: erased.pending_locations,
        events: erased.events,
    }))
}

fn parse_target(
    id: String,
    scope: &SiteScope,
    parameters: &VisitorParams,
) -> Result<(String, Option<String>), Problem> {
    let site = scope.resolve_site(parameters.site.as_deref())?;
    Ok((parse_path_id(id, "id")?, site))
}
