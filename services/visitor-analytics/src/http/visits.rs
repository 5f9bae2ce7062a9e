//! `GET /visits` and `GET /visits/{id}`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Path, Query};
use common::visitor_analytics::Visit;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::query_params::{ListParams, QueryPairs, encode_cursor};
use super::site_scope::{SiteScope, require_found};
use super::state::SharedState;
use super::visit_query::{VisitFilterParams, parse_visit_query};

/// A page of visits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitPage {
    /// The visits, newest first.
    data: Vec<Visit>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// List visits.
///
/// Newest first, by `timestamp`.
#[utoipa::path(get, path = "/visits", tag = "visits", params(VisitFilterParams, ListParams),
    responses(
        (status = 200, body = VisitPage, description = "A page of visits"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<VisitPage>, Problem> {
    let query = parse_visit_query(&state.store, scope.restrict(pairs)?).await?;
    let found = state.store.visits.list(&query).await?;
    let last = found.visits.last().filter(|_| found.has_more);
    Ok(Json(VisitPage {
        next_cursor: last.map(|visit| encode_cursor(visit.timestamp, visit.id)),
        data: found.visits,
    }))
}

/// Get a visit.
#[utoipa::path(get, path = "/visits/{id}", tag = "visits",
    params(("id" = Uuid, Path, description = "The visit's id")),
    responses(
        (status = 200, body = Visit, description = "The visit"),
        (status = 404, description = "The visit does not exist"),
    ))]
pub(super) async fn one(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
) -> Result<Json<Visit>, Problem> {
    let visit = state.store.visits.find(id, scope.sites()).await?;
    require_found(visit, "there is no visit with this id").map(Json)
}
