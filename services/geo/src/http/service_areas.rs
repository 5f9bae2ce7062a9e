//! `/service-areas`

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chassis::page::{ListParams, Page};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use crate::app::ServiceAreas;
use crate::domain::areas::ServiceAreaSpec;
use crate::store::ServiceArea;

/// `None` if there is no database.
pub(super) type AreasState = Option<ServiceAreas>;

/// A stored service area.
#[derive(Serialize, ToSchema)]
pub(super) struct ServiceAreaResponse {
    id: Uuid,
    #[serde(flatten)]
    spec: ServiceAreaSpec,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ServiceArea> for ServiceAreaResponse {
    fn from(area: ServiceArea) -> Self {
        Self {
            id: area.id,
            spec: area.spec,
            created_at: area.created_at,
            updated_at: area.updated_at,
        }
    }
}

/// List service areas
///
/// Returns a page of service areas, newest first.
#[utoipa::path(get, path = "/service-areas", tag = "service areas", params(ListParams),
    responses(
        (status = 200, body = Page<ServiceAreaResponse>, description = "A page of service areas"),
        (status = 503,
            description = "The database is unavailable: `SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn list(
    State(shared): State<AreasState>,
    Query(asked): Query<ListParams>,
) -> Result<Answer<Page<ServiceAreaResponse>>, Problem> {
    let areas = require_areas(shared)?;
    let limit = asked.limit;
    let found = areas.list(asked.cursor, limit.with_lookahead()).await;
    let found = found.map_err(|error| error::store_problem(&error))?;
    let page = Page::from_rows(found, limit, |area| area.id, ServiceAreaResponse::from);
    Ok(Answer(page))
}

/// Create a service area
///
/// An area has at least one of geometry, circle, postal codes, regions and countries. The process
/// that answers uses it in checks immediately, other replicas within about two seconds.
#[utoipa::path(post, path = "/service-areas", tag = "service areas", request_body = ServiceAreaSpec,
    responses(
        (status = 201, body = ServiceAreaResponse, description = "The area is stored"),
        (status = 422,
            description = "The area is invalid: see `code` and `field` (docs/service-areas.md)"),
        (status = 503,
            description = "The database is unavailable: `SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn create(
    State(shared): State<AreasState>,
    Json(draft): Json<ServiceAreaSpec>,
) -> Result<
    (
        StatusCode,
        [(HeaderName, String); 1],
        Answer<ServiceAreaResponse>,
    ),
    Problem,
> {
    let areas = require_areas(shared)?;
    let kept = areas.create(draft).await;
    let kept = kept.map_err(|error| error::change_problem(&error))?;
    let location = [(header::LOCATION, format!("/service-areas/{}", kept.id))];
    Ok((StatusCode::CREATED, location, Answer(kept.into())))
}

/// Get a service area
#[utoipa::path(get, path = "/service-areas/{id}", tag = "service areas",
    params(("id" = Uuid, Path, description = "ID of the service area")),
    responses(
        (status = 200, body = ServiceAreaResponse, description = "The area"),
        (status = 404, description = "There is no such area: `NOT_FOUND`"),
        (status = 503,
            description = "The database is unavailable: `SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn get(
    State(shared): State<AreasState>,
    Path(id): Path<Uuid>,
) -> Result<Answer<ServiceAreaResponse>, Problem> {
    let found = require_areas(shared)?.get(id).await;
    let found = found.map_err(|error| error::store_problem(&error))?;
    let found = found.ok_or_else(area_not_found)?;
    Ok(Answer(found.into()))
}

/// Replace a service area
#[utoipa::path(put, path = "/service-areas/{id}", tag = "service areas", request_body = ServiceAreaSpec,
    params(("id" = Uuid, Path, description = "ID of the service area")),
    responses(
        (status = 200, body = ServiceAreaResponse, description = "The new version of the area"),
        (status = 404, description = "There is no such area: `NOT_FOUND`"),
        (status = 422,
            description = "The area is invalid: see `code` and `field` (docs/service-areas.md)"),
        (status = 503,
            description = "The database is unavailable: `SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn replace(
    State(shared): State<AreasState>,
    Path(id): Path<Uuid>,
    Json(draft): Json<ServiceAreaSpec>,
) -> Result<Answer<ServiceAreaResponse>, Problem> {
    let areas = require_areas(shared)?;
    let kept = areas.replace(id, draft).await;
    let kept = kept.map_err(|error| error::change_problem(&error))?;
    let kept = kept.ok_or_else(area_not_found)?;
    Ok(Answer(kept.into()))
}

/// Delete a service area
#[utoipa::path(delete, path = "/service-areas/{id}", tag = "service areas",
    params(("id" = Uuid, Path, description = "ID of the service area")),
    responses(
        (status = 204, description = "The area is deleted"),
        (status = 404, description = "There is no such area: `NOT_FOUND`"),
        (status = 503,
            description = "The database is unavailable: `SERVICE_AREAS_UNAVAILABLE`"),
    ))]
pub(super) async fn delete(
    State(shared): State<AreasState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let deleted = require_areas(shared)?.delete(id).await;
    if !deleted.map_err(|error| error::store_problem(&error))? {
        return Err(area_not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn require_areas(shared: AreasState) -> Result<ServiceAreas, Problem> {
    shared.ok_or_else(error::no_database)
}

fn area_not_found() -> Problem {
    Problem::not_found("no service area has this ID")
}
