//! `DELETE /users/{user_id}/data`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use serde::Serialize;
use utoipa::ToSchema;

use super::error;
use super::site_scope::SiteScope;
use super::visitors::{Parameters, id_of_path};
use crate::store::Person;

/// What an erasure of a user removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErasedUser {
    user_id: String,
    /// Visitor ids that were connected with the user.
    visitors: u64,
    visits: u64,
    /// Sessions of which no visit is left.
    sessions: u64,
    /// Announcements that had not been made.
    announcements: u64,
    /// Addresses that waited for their place.
    owed_locations: u64,
    events: u64,
}

/// Erases a user of a site: everything recorded with the site's own user id, and what the same
/// visitors did without any.
///
/// What these visitors did under another user's id stays: two users of one device, or behind one
/// address, may share a visitor id. Otherwise as `DELETE /visitors/{id}`.
#[utoipa::path(delete, path = "/users/{user_id}/data", tag = "visitors",
    params(("user_id" = String, Path, description = "The site's own id for the user"), Parameters),
    responses(
        (status = 200, body = ErasedUser, description = "What was removed"),
        (status = 404, description = "There is no such user"),
    ))]
pub(super) async fn erase(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(user_id): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<ErasedUser>, Problem> {
    let user_id = id_of_path(user_id, "user_id")?;
    let site = scope.site(parameters.site.as_deref())?;
    let now = state.clock.now();
    let person = Person::User(&user_id);
    let erased = state.store.erase(person, site.as_deref(), now).await;
    let erased = erased
        .map_err(|e| error::store(&e))?
        .ok_or_else(|| Problem::not_found("there is no user with this id"))?;
    Ok(Json(ErasedUser {
        user_id,
        visitors: erased.visitors,
        visits: erased.visits,
        sessions: erased.sessions,
        announcements: erased.announcements,
        owed_locations: erased.owed_locations,
        events: erased.events,
    }))
}
