//! `DELETE /users/{user_id}/data`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use serde::Serialize;
use utoipa::ToSchema;

use super::site_scope::SiteScope;
use super::state::SharedState;
use super::visitor_params::{VisitorParams, parse_path_id};
use crate::store::Person;

/// Numbers of removed rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserErasureResponse {
    user_id: String,
    /// Visitor ids under which the user was recorded.
    visitors: u64,
    /// Visits of the user.
    visits: u64,
    /// Sessions without remaining visits.
    sessions: u64,
    /// Announcements to the notification service that were still queued.
    announcements: u64,
    /// Addresses that were stored until their location is known.
    owed_locations: u64,
    /// Events of the user.
    events: u64,
}

/// Erase a user's data.
///
/// Removes everything that was recorded with this user id, and everything that the same visitors
/// did without a user id. Data that these visitors recorded under another user id are kept, because
/// two users of one device or address may share a visitor id. Rollups, dictionaries and the
/// notification service are updated as for `DELETE /visitors/{id}`.
#[utoipa::path(delete, path = "/users/{user_id}/data", tag = "visitors",
    params(("user_id" = String, Path, description = "The site's own id for the user"), VisitorParams),
    responses(
        (status = 200, body = UserErasureResponse, description = "Numbers of removed rows"),
        (status = 404, description = "The user does not exist"),
    ))]
pub(super) async fn erase(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(user_id): Path<String>,
    Query(parameters): Query<VisitorParams>,
) -> Result<Json<UserErasureResponse>, Problem> {
    let user_id = parse_path_id(user_id, "user_id")?;
    let site = scope.resolve_site(parameters.site.as_deref())?;
    let now = state.clock.now();
    let person = Person::User(&user_id);
    let erased = state
        .store
        .erasures
        .erase(person, site.as_deref(), now)
        .await;
    let erased = erased?.ok_or_else(|| Problem::not_found("there is no user with this id"))?;
    Ok(Json(UserErasureResponse {
        user_id,
        visitors: erased.visitors,
        visits: erased.visits,
        sessions: erased.sessions,
        announcements: erased.announcements,
        owed_locations: erased.pending_locations,
        events: erased.events,
    }))
}
