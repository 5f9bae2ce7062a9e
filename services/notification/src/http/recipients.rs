//! `/recipients`: people and their addresses.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chassis::page::{ListParams, Page};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::state::AppState;
use crate::domain::recipient::RecipientSpec;
use crate::store::recipient::{self, UpsertOutcome};

/// A stored recipient.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecipientResponse {
    /// Id of the recipient.
    id: Uuid,
    /// Time of creation.
    created_at: DateTime<Utc>,
    /// Time of the last update.
    updated_at: DateTime<Utc>,
    #[serde(flatten)]
    spec: RecipientSpec,
}

impl From<recipient::RecipientRow> for RecipientResponse {
    fn from(row: recipient::RecipientRow) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            spec: row.spec.0,
        }
    }
}

fn upsert_response(kept: UpsertOutcome) -> Result<axum::Json<RecipientResponse>, Problem> {
    match kept {
        UpsertOutcome::Stored(row) => Ok(axum::Json(row.into())),
        UpsertOutcome::NameTaken => Err(error::name_taken()),
        UpsertOutcome::LimitReached => Err(error::too_many_recipients()),
        UpsertOutcome::NotFound => Err(error::recipient_not_found()),
    }
}

/// List recipients.
///
/// Newest first.
#[utoipa::path(get, path = "/recipients", tag = "recipients", params(ListParams),
    responses(
        (status = 200, body = Page<RecipientResponse>, description = "A page of recipients"),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(parameters): Query<ListParams>,
) -> Result<axum::Json<Page<RecipientResponse>>, Problem> {
    let limit = parameters.limit;
    let rows = recipient::list(&shared.pool, parameters.cursor, limit.with_lookahead()).await?;
    let page = Page::from_rows(rows, limit, |row| row.id, RecipientResponse::from);
    Ok(axum::Json(page))
}

/// Create a recipient.
///
/// Rules and requests refer to the recipient as `recipient:NAME`, or to its groups as `group:NAME`.
#[utoipa::path(post, path = "/recipients", tag = "recipients", request_body = RecipientSpec,
    responses(
        (status = 201, body = RecipientResponse, description = "The new recipient"),
        (status = 409, description = "`NAME_TAKEN` or `TOO_MANY_RECIPIENTS`"),
        (status = 422, description = "A field is invalid; `field` names it"),
    ))]
pub(super) async fn create(
    State(shared): State<AppState>,
    Json(spec): Json<RecipientSpec>,
) -> Result<(StatusCode, axum::Json<RecipientResponse>), Problem> {
    let spec = spec.normalize()?;
    let (id, now) = (shared.clock.new_id(), shared.clock.now());
    let kept = recipient::insert(&shared.pool, id, &spec, now).await?;
    let made = upsert_response(kept)?;
    shared.routing_cache.refresh().await?;
    Ok((StatusCode::CREATED, made))
}

/// Get a recipient.
#[utoipa::path(get, path = "/recipients/{id}", tag = "recipients",
    params(("id" = Uuid, Path, description = "The recipient's id")),
    responses(
        (status = 200, body = RecipientResponse, description = "The recipient"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn get(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<RecipientResponse>, Problem> {
    let row = recipient::get(&shared.pool, id).await?;
    upsert_response(row.map_or(UpsertOutcome::NotFound, UpsertOutcome::Stored))
}

/// Update a recipient.
#[utoipa::path(put, path = "/recipients/{id}", tag = "recipients", request_body = RecipientSpec,
    params(("id" = Uuid, Path, description = "The recipient's id")),
    responses(
        (status = 200, body = RecipientResponse, description = "The updated recipient"),
        (status = 404, description = "`NOT_FOUND`"),
        (status = 409, description = "`NAME_TAKEN`"),
        (status = 422, description = "A field is invalid; `field` names it"),
    ))]
pub(super) async fn update(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
    Json(spec): Json<RecipientSpec>,
) -> Result<axum::Json<RecipientResponse>, Problem> {
    let spec = spec.normalize()?;
    let kept = recipient::update(&shared.pool, id, &spec, shared.clock.now()).await?;
    let changed = upsert_response(kept)?;
    shared.routing_cache.refresh().await?;
    Ok(changed)
}

/// Delete a recipient.
///
/// Rules that name the recipient skip it and keep their other recipients.
#[utoipa::path(delete, path = "/recipients/{id}", tag = "recipients",
    params(("id" = Uuid, Path, description = "The recipient's id")),
    responses(
        (status = 204, description = "The recipient was deleted"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn delete(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if !recipient::delete(&shared.pool, id).await? {
        return Err(error::recipient_not_found());
    }
    shared.routing_cache.refresh().await?;
    Ok(StatusCode::NO_CONTENT)
}
