//! `GET`, `POST`, `PATCH` and `DELETE /segments`.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path};
use chrono::{DateTime, Utc};
use common::clock::Clock;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::{AllSites, SiteScope};
use super::state::SharedState;
use crate::domain::segment::{self, FilterValues, SegmentError, SegmentPatch, SubmittedSegment};
use crate::store::Segment;

/// All segments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SegmentPage)]
pub(super) struct SegmentPage {
    /// The segments, ordered by name.
    data: Vec<SegmentResponse>,
    /// Always `null`: there are at most 1,000 segments, so the list is not paged.
    next_cursor: Option<String>,
}

/// A segment: a named set of filters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Segment)]
pub(super) struct SegmentResponse {
    /// Id of the segment.
    id: Uuid,
    /// Name of the segment.
    name: String,
    /// Filter values by dimension, written as in query parameters: `!` negates, `*` is a wildcard.
    filters: FilterValues,
    /// Time of creation.
    created_at: DateTime<Utc>,
}

/// List segments.
///
/// Lists and reports accept the name or id of a segment as `segment`.
#[utoipa::path(get, path = "/segments", tag = "segments",
    responses((status = 200, body = SegmentPage, description = "All segments")))]
pub(super) async fn list(
    State(state): State<SharedState>,
    // Segments belong to no site, so tokens with any site scope may read them.
    _: SiteScope,
) -> Result<axum::Json<SegmentPage>, Problem> {
    let found = state.store.segments.list().await?;
    Ok(axum::Json(SegmentPage {
        data: found.into_iter().map(to_response).collect(),
        next_cursor: None,
    }))
}

/// Create a segment.
#[utoipa::path(post, path = "/segments", tag = "segments", request_body = SubmittedSegment,
    responses(
        (status = 201, body = SegmentResponse, description = "The new segment"),
        (status = 409,
            description = "Another segment has this name (`NAME_TAKEN`), or there are 1,000 \
                segments (`TOO_MANY`)"),
        (status = 422,
            description = "The segment is invalid (`SEGMENT_INVALID`); `field` names the field"),
    ))]
pub(super) async fn add(
    State(state): State<SharedState>,
    _: AllSites,
    Json(submitted): Json<SubmittedSegment>,
) -> Result<(StatusCode, axum::Json<SegmentResponse>), Problem> {
    let name = segment::validate_name(&submitted.name).map_err(|e| segment_problem(&e))?;
    segment::parse_filters(&submitted.filters).map_err(|e| segment_problem(&e))?;
    let now = state.clock.now();
    let added = state
        .store
        .segments
        .add(Clock::new_id_at(now), &name, &submitted.filters, now)
        .await;
    let added = error::upsert_result(added?, "segment")?;
    Ok((StatusCode::CREATED, axum::Json(to_response(added))))
}

/// Update a segment.
///
/// Omitted fields keep their value.
#[utoipa::path(patch, path = "/segments/{id}", tag = "segments", request_body = SegmentPatch,
    params(("id" = Uuid, Path, description = "The segment's id")),
    responses(
        (status = 200, body = SegmentResponse, description = "The updated segment"),
        (status = 404, description = "The segment does not exist"),
        (status = 409, description = "Another segment has this name (`NAME_TAKEN`)"),
        (status = 422, description = "A field is invalid (`SEGMENT_INVALID`); `field` names it"),
    ))]
pub(super) async fn change(
    State(state): State<SharedState>,
    _: AllSites,
    Path(id): Path<Uuid>,
    Json(submitted): Json<SegmentPatch>,
) -> Result<axum::Json<SegmentResponse>, Problem> {
    let name = submitted
        .name
        .as_deref()
        .map(segment::validate_name)
        .transpose();
    let name = name.map_err(|e| segment_problem(&e))?;
    let filters = submitted.filters.as_ref();
    let read = filters.map(segment::parse_filters).transpose();
    read.map_err(|e| segment_problem(&e))?;
    let changed = state.store.segments.update(id, name.as_deref(), filters);
    let changed = changed.await?;
    Ok(axum::Json(to_response(error::upsert_result(
        changed, "segment",
    )?)))
}

/// Delete a segment.
#[utoipa::path(delete, path = "/segments/{id}", tag = "segments",
    params(("id" = Uuid, Path, description = "The segment's id")),
    responses(
        (status = 204, description = "The segment was deleted"),
        (status = 404, description = "The segment does not exist"),
    ))]
pub(super) async fn remove(
    State(state): State<SharedState>,
    _: AllSites,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let removed = state.store.segments.remove(id).await?;
    let missing = || Problem::not_found("there is no segment with this id");
    removed
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(missing)
}

pub(super) fn segment_problem(error: &SegmentError) -> Problem {
    Problem::invalid(error.field(), "SEGMENT_INVALID", error.to_string())
}

fn to_response(segment: Segment) -> SegmentResponse {
    SegmentResponse {
        id: segment.id,
        name: segment.name,
        filters: segment.filters.0,
        created_at: segment.created_at,
    }
}
