//! `/webhooks`: receivers of signed requests.

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
use crate::clients::webhook::signature::{SECRET_BYTES, format_secret};
use crate::domain::channel_address::is_http_url;
use crate::store::endpoint::{self, EndpointKind, EndpointRow};

const MAX_URL_BYTES: usize = 2_000;

/// Settings of a webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookRequest, example = json!({"url": "https://example.com/hooks/visitors"}))]
pub(super) struct WebhookRequest {
    /// URL of the receiver, at most 2,000 bytes. Its host must have a public address.
    url: String,
    /// Whether notifications are sent to the webhook. Default: `true`.
    #[serde(default = "default_enabled")]
    enabled: bool,
}

const fn default_enabled() -> bool {
    true
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookResponse {
    /// Id of the webhook.
    id: Uuid,
    /// Address of the webhook in rules, recipients and requests: `webhook:ID`.
    address: String,
    /// URL of the receiver.
    url: String,
    /// Whether notifications are sent to the webhook.
    enabled: bool,
    /// Why the webhook is disabled; `null` if it is enabled.
    disabled_reason: Option<String>,
    /// Signing secret. Only returned when the webhook is created or the secret is rotated.
    secret: Option<String>,
    /// Time of creation.
    created_at: DateTime<Utc>,
}

impl WebhookResponse {
    fn new(row: EndpointRow, secret: Option<String>) -> Self {
        Self {
            id: row.id,
            address: row.address,
            url: row.url,
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            secret,
            created_at: row.created_at,
        }
    }
}

fn check_url(spec: &WebhookRequest) -> Result<(), Problem> {
    let good =
        spec.url.len() <= MAX_URL_BYTES && !spec.url.contains('\0') && is_http_url(&spec.url);
    good.then_some(()).ok_or_else(error::url_invalid)
}

fn new_secret() -> Result<String, Problem> {
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
    Ok(format_secret(&bytes))
}

/// Encrypts a secret for the database.
fn seal_secret(shared: &AppState, id: Uuid, secret: &str) -> Result<String, Problem> {
    let sealed = shared
        .secret_box
        .seal(&EndpointKind::Webhook.address(id), secret);
    sealed.map_err(|error| Problem::internal(&error))
}

/// List webhooks.
///
/// Newest first, without their secrets.
#[utoipa::path(get, path = "/webhooks", tag = "channels", params(ListParams),
    responses(
        (status = 200, body = Page<WebhookResponse>, description = "A page of webhooks"),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(parameters): Query<ListParams>,
) -> Result<axum::Json<Page<WebhookResponse>>, Problem> {
    let limit = parameters.limit;
    let rows =
        endpoint::list_webhooks(&shared.pool, parameters.cursor, limit.with_lookahead()).await?;
    let item = |row| WebhookResponse::new(row, None);
    Ok(axum::Json(Page::from_rows(rows, limit, |row| row.id, item)))
}

/// Create a webhook.
///
/// Rules and requests refer to the webhook by its `address`. Requests to the webhook are signed
/// according to Standard Webhooks. The signing `secret` is returned only in this response.
#[utoipa::path(post, path = "/webhooks", tag = "channels", request_body = WebhookRequest,
    responses(
        (status = 201, body = WebhookResponse, description = "The new webhook with its secret"),
        (status = 409,
            description = "`TOO_MANY_ENDPOINTS`: the maximum number of webhooks is reached"),
        (status = 422, description = "`URL_INVALID`"),
    ))]
pub(super) async fn create(
    State(shared): State<AppState>,
    Json(spec): Json<WebhookRequest>,
) -> Result<(StatusCode, axum::Json<WebhookResponse>), Problem> {
    check_url(&spec)?;
    let secret = new_secret()?;
    let (id, now) = (shared.clock.new_id(), shared.clock.now());
    let keys = [seal_secret(&shared, id, &secret)?];
    let row = endpoint::insert(
        &shared.pool,
        EndpointKind::Webhook,
        id,
        &spec.url,
        &keys,
        now,
    )
    .await?;
    let row = row.ok_or_else(error::too_many_endpoints)?;
    let made = WebhookResponse::new(row, Some(secret));
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Update a webhook.
///
/// Enables a webhook that was disabled, unless `enabled` is `false`.
#[utoipa::path(put, path = "/webhooks/{id}", tag = "channels", request_body = WebhookRequest,
    params(("id" = Uuid, Path, description = "The webhook's id")),
    responses(
        (status = 200, body = WebhookResponse, description = "The updated webhook"),
        (status = 404, description = "`NOT_FOUND`"),
        (status = 422, description = "`URL_INVALID`"),
    ))]
pub(super) async fn update(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
    Json(spec): Json<WebhookRequest>,
) -> Result<axum::Json<WebhookResponse>, Problem> {
    check_url(&spec)?;
    let row = endpoint::update(&shared.pool, id, &spec.url, spec.enabled).await?;
    let row = row.ok_or_else(error::webhook_not_found)?;
    Ok(axum::Json(WebhookResponse::new(row, None)))
}

/// Rotate the secret of a webhook.
///
/// Until the next rotation, requests carry a signature with the new secret and one with the
/// previous secret, so that the receiver can switch at any time.
#[utoipa::path(post, path = "/webhooks/{id}/rotate", tag = "channels",
    params(("id" = Uuid, Path, description = "The webhook's id")),
    responses(
        (status = 200, body = WebhookResponse, description = "The webhook with its new secret"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn rotate(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<WebhookResponse>, Problem> {
    let secret = new_secret()?;
    let kept = seal_secret(&shared, id, &secret)?;
    let row = endpoint::rotate_secret(&shared.pool, id, &kept).await?;
    let row = row.ok_or_else(error::webhook_not_found)?;
    Ok(axum::Json(WebhookResponse::new(row, Some(secret))))
}

/// Delete a webhook.
///
/// Its pending deliveries become dead letters.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "channels",
    params(("id" = Uuid, Path, description = "The webhook's id")),
    responses(
        (status = 204, description = "The webhook was deleted"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn delete(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let deleted = endpoint::delete(&shared.pool, EndpointKind::Webhook, id).await?;
    let there = deleted.then_some(StatusCode::NO_CONTENT);
    there.ok_or_else(error::webhook_not_found)
}
