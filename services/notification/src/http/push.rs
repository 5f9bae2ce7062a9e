//! `/push`: Web Push subscriptions of browsers.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::state::AppState;
use crate::clients::web_push::encryption::PushEncryptionKeys;
use crate::domain::channel_address::is_http_url;
use crate::store::endpoint::{self, EndpointKind};

const MAX_ENDPOINT_BYTES: usize = 2_000;

/// The public VAPID key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushKeyResponse {
    /// The `applicationServerKey`, in base64url.
    public_key: String,
}

/// A `PushSubscription` as browsers serialize it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"endpoint": "https://push.example.com/send/abc", "expirationTime": null,
    "keys": {"p256dh": "BCVxsr7N…", "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}))]
pub(super) struct SubscriptionRequest {
    /// URL of the push service, at most 2,000 bytes.
    endpoint: String,
    /// Keys with which messages are encrypted.
    keys: SubscriptionKeys,
}

/// Keys with which messages are encrypted.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SubscriptionKeys {
    /// Public key of the browser: a P-256 point in base64url.
    p256dh: String,
    /// Authentication secret of the browser: 16 bytes in base64url.
    auth: String,
}

/// A stored subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscriptionResponse {
    /// Id of the subscription.
    id: Uuid,
    /// Address of the browser in rules, recipients and requests: `push:ID`.
    address: String,
}

/// Get the public VAPID key.
///
/// Pages pass the key to `PushManager.subscribe`.
#[utoipa::path(get, path = "/push/key", tag = "channels",
    responses(
        (status = 200, body = PushKeyResponse, description = "The key"),
        (status = 404, description = "`NOT_FOUND`: `VAPID_PRIVATE_KEY` is not set"),
    ))]
pub(super) async fn key(
    State(shared): State<AppState>,
) -> Result<axum::Json<PushKeyResponse>, Problem> {
    let vapid = shared
        .vapid
        .as_ref()
        .ok_or_else(error::push_not_configured)?;
    let public_key = vapid.public_key.clone();
    Ok(axum::Json(PushKeyResponse { public_key }))
}

/// Store a browser's subscription.
///
/// A subscription that is stored already keeps its id. Subscriptions that the push service reports
/// as gone are deleted.
#[utoipa::path(post, path = "/push/subscriptions", tag = "channels",
    request_body = SubscriptionRequest,
    responses(
        (status = 201, body = SubscriptionResponse, description = "The stored subscription"),
        (status = 409,
            description = "`TOO_MANY_ENDPOINTS`: the maximum number of subscriptions is reached"),
        (status = 422, description = "`URL_INVALID` or `KEYS_INVALID`"),
    ))]
pub(super) async fn subscribe(
    State(shared): State<AppState>,
    Json(subscription): Json<SubscriptionRequest>,
) -> Result<(StatusCode, axum::Json<SubscriptionResponse>), Problem> {
    let SubscriptionRequest {
        endpoint: url,
        keys,
    } = subscription;
    if url.len() > MAX_ENDPOINT_BYTES || url.contains('\0') || !is_http_url(&url) {
        return Err(error::url_invalid().field("endpoint"));
    }
    PushEncryptionKeys::new(&keys.p256dh, &keys.auth).map_err(|_| error::keys_invalid())?;
    let keys = [keys.p256dh, keys.auth];
    let (id, now) = (shared.clock.new_id(), shared.clock.now());
    let row = endpoint::insert(&shared.pool, EndpointKind::Push, id, &url, &keys, now).await?;
    let row = row.ok_or_else(error::too_many_endpoints)?;
    let kept = SubscriptionResponse {
        id: row.id,
        address: row.address,
    };
    Ok((StatusCode::CREATED, axum::Json(kept)))
}

/// Delete a browser's subscription.
#[utoipa::path(delete, path = "/push/subscriptions/{id}", tag = "channels",
    params(("id" = Uuid, Path, description = "The subscription's id")),
    responses(
        (status = 204, description = "The subscription was deleted"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn unsubscribe(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let deleted = endpoint::delete(&shared.pool, EndpointKind::Push, id).await?;
    let there = deleted.then_some(StatusCode::NO_CONTENT);
    there.ok_or_else(error::subscription_not_found)
}
