//! `/suppressions`: addresses to which nothing is sent.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chassis::page::{ListParams, Page};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::state::AppState;
use crate::domain::channel_address::ChannelAddress;
use crate::store::suppression::{self, SuppressionRow};

const MAX_REASON_CHARS: usize = 200;

/// An address to suppress.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SuppressionRequest, example = json!({"address": "+15550100067"}))]
pub(super) struct SuppressionRequest {
    /// An address of any channel, such as `+15550100067` or `ann@example.com`.
    address: String,
    /// Reason, at most 200 characters. Default: `by hand`.
    #[serde(default)]
    reason: Option<String>,
}

/// An address to which nothing is sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SuppressionResponse {
    /// Id of the suppression.
    id: Uuid,
    /// The suppressed address.
    address: String,
    /// Why nothing is sent to the address.
    reason: String,
    /// Time of creation.
    created_at: DateTime<Utc>,
}

impl From<SuppressionRow> for SuppressionResponse {
    fn from(row: SuppressionRow) -> Self {
        Self {
            id: row.id,
            address: row.address,
            reason: row.reason,
            created_at: row.created_at,
        }
    }
}

/// List suppressions.
///
/// Newest first.
#[utoipa::path(get, path = "/suppressions", tag = "suppressions", params(ListParams),
    responses(
        (status = 200, body = Page<SuppressionResponse>, description = "A page of suppressions"),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(parameters): Query<ListParams>,
) -> Result<axum::Json<Page<SuppressionResponse>>, Problem> {
    let limit = parameters.limit;
    let rows = suppression::list(&shared.pool, parameters.cursor, limit.with_lookahead()).await?;
    let page = Page::from_rows(rows, limit, |row| row.id, SuppressionResponse::from);
    Ok(axum::Json(page))
}

/// Suppress an address.
///
/// Nothing is sent to the address any more, whatever the provider. An existing suppression of the
/// address is returned unchanged.
#[utoipa::path(post, path = "/suppressions", tag = "suppressions",
    request_body = SuppressionRequest,
    responses(
        (status = 201, body = SuppressionResponse, description = "The suppression"),
        (status = 422, description = "`ADDRESS_INVALID` or `REASON_INVALID`"),
    ))]
pub(super) async fn create(
    State(shared): State<AppState>,
    Json(spec): Json<SuppressionRequest>,
) -> Result<(StatusCode, axum::Json<SuppressionResponse>), Problem> {
    let target: ChannelAddress = spec.address.parse().map_err(error::address_invalid)?;
    let reason = spec.reason.unwrap_or_else(|| "by hand".into());
    if reason.contains('\0') || reason.chars().nth(MAX_REASON_CHARS).is_some() {
        return Err(error::reason_invalid());
    }
    let (id, now) = (shared.clock.new_id(), shared.clock.now());
    let row = suppression::insert(&shared.pool, id, target.unmasked(), &reason, now).await?;
    Ok((StatusCode::CREATED, axum::Json(row.into())))
}

/// Delete a suppression.
///
/// Messages to the address are sent again.
#[utoipa::path(delete, path = "/suppressions/{id}", tag = "suppressions",
    params(("id" = Uuid, Path, description = "The suppression's id")),
    responses(
        (status = 204, description = "The suppression was deleted"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn delete(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let deleted = suppression::delete(&shared.pool, id).await?;
    let there = deleted.then_some(StatusCode::NO_CONTENT);
    there.ok_or_else(error::suppression_not_found)
}
