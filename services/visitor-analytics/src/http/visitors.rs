//! `GET` and `DELETE /visitors/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Path, Query};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error;
use super::site_scope::SiteScope;
use crate::domain::visit::own_id;
use crate::store::Person;

/// The parameters of both.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only on this site; without it on all.
    pub(super) site: Option<String>,
}

/// What is known of a visitor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Visitor {
    id: String,
    /// When the first visit was.
    first_seen_at: DateTime<Utc>,
    /// When the last visit was.
    last_seen_at: DateTime<Utc>,
    sessions: u64,
    visits: u64,
    /// The sites' domains, in alphabetical order.
    sites: Vec<String>,
}

/// What an erasure removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Erased {
    id: String,
    visits: u64,
    sessions: u64,
    /// Announcements that had not been made.
    announcements: u64,
    /// Addresses that waited for their place.
    owed_locations: u64,
    events: u64,
}

/// A visitor, as far as one can be told from another.
#[utoipa::path(get, path = "/visitors/{id}", tag = "visitors",
    params(("id" = String, Path, description = "The visitor's id"), Parameters),
    responses(
        (status = 200, body = Visitor, description = "The visitor"),
        (status = 404, description = "There is no such visitor"),
    ))]
pub(super) async fn one(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Visitor>, Problem> {
    let (id, site) = named(id, &scope, &parameters)?;
    let found = state.store.visitor(&id, site.as_deref()).await;
    let found = found.map_err(|e| error::store(&e))?.ok_or_else(missing)?;
    Ok(Json(Visitor {
        id,
        first_seen_at: found.first_seen_at,
        last_seen_at: found.last_seen_at,
        sessions: found.sessions,
        visits: found.visits,
        sites: found.sites,
    }))
}

/// Erases a visitor: visits, sessions, events, and what waits to be told.
///
/// notification is asked to remove what it says about the visitor; that happens within seconds, or as
/// soon as it can be reached. Values that nobody else's visits have (paths, titles, referrers,
/// properties) are removed from dictionaries and rollups within two hours.
///
/// For whoever may record visits, since a visitor asks the site, and the site asks here.
#[utoipa::path(delete, path = "/visitors/{id}", tag = "visitors",
    params(("id" = String, Path, description = "The visitor's id"), Parameters),
    responses(
        (status = 200, body = Erased, description = "What was removed"),
        (status = 404, description = "There is no such visitor"),
    ))]
pub(super) async fn erase(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Erased>, Problem> {
    let (id, site) = named(id, &scope, &parameters)?;
    let now = state.clock.now();
    let person = Person::Visitor(&id);
    let erased = state.store.erase(person, site.as_deref(), now).await;
    let erased = erased.map_err(|e| error::store(&e))?.ok_or_else(missing)?;
    Ok(Json(Erased {
        id,
        visits: erased.visits,
        sessions: erased.sessions,
        announcements: erased.announcements,
        owed_locations: erased.owed_locations,
        events: erased.events,
    }))
}

fn named(
    id: String,
    scope: &SiteScope,
    parameters: &Parameters,
) -> Result<(String, Option<String>), Problem> {
    let site = scope.site(parameters.site.as_deref())?;
    Ok((id_of_path(id, "id")?, site))
}

/// An id that a site gives, in the path.
pub(super) fn id_of_path(id: String, field: &'static str) -> Result<String, Problem> {
    own_id(id, field).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "PATH_INVALID", error.to_string()).field(field)
    })
}

pub(super) fn missing() -> Problem {
    Problem::not_found("there is no visitor with this id")
}
