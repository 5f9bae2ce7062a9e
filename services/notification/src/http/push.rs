//! `/push`: browsers that want to be told.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AppState, error};
use crate::domain::target::is_web;
use crate::domain::web_push::PushEncryptionKeys;
use crate::store::endpoint::{self, EndpointKind};

/// The longest address of a browser, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_000;

/// What pages subscribe with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PushKeyResponse {
    /// The `applicationServerKey`, in base64url.
    public_key: String,
}

/// A subscription as browsers write it.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"endpoint": "https://push.example.com/send/abc", "expirationTime": null,
    "keys": {"p256dh": "BCVxsr7N…", "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}))]
pub(super) struct SubscriptionRequest {
    /// Where its push service takes messages.
    endpoint: String,
    /// What messages are encrypted with.
    keys: SubscriptionKeys,
}

/// What messages are encrypted with.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SubscriptionKeys {
    /// The browser's public key.
    p256dh: String,
    /// Its secret.
    auth: String,
}

/// A browser that can be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubscriptionResponse {
    /// Its id.
    id: Uuid,
    /// What rules, recipients and requests call it.
    address: String,
}

/// The public key that pages subscribe with.
#[utoipa::path(get, path = "/push/key", tag = "channels",
    responses(
        (status = 200, body = PushKeyResponse, description = "The key"),
        (status = 404, description = "`NOT_FOUND`: there is no `VAPID_PRIVATE_KEY`"),
    ))]
pub(super) async fn key(
    State(shared): State<AppState>,
) -> Result<Answer<PushKeyResponse>, Problem> {
    let vapid = shared.vapid.as_ref().ok_or_else(error::no_push_key)?;
    let public_key = vapid.public.clone();
    Ok(Answer(PushKeyResponse { public_key }))
}

/// Keeps a browser's subscription; one that is known keeps its id. The push service forgets
/// browsers, and then so does this.
#[utoipa::path(post, path = "/push/subscriptions", tag = "channels",
    request_body = SubscriptionRequest,
    responses(
        (status = 201, body = SubscriptionResponse, description = "It can be told"),
        (status = 409, description = "`TOO_MANY_ENDPOINTS`"),
        (status = 422, description = "`URL_INVALID` or `KEYS_INVALID`"),
    ))]
pub(super) async fn subscribe(
    State(shared): State<AppState>,
    Json(asked): Json<SubscriptionRequest>,
) -> Result<(StatusCode, Answer<SubscriptionResponse>), Problem> {
    let SubscriptionRequest {
        endpoint: url,
        keys,
    } = asked;
    if url.len() > MAX_ENDPOINT_BYTES || url.contains('\0') || !is_web(&url) {
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
    Ok((StatusCode::CREATED, Answer(kept)))
}

/// Forgets a browser.
#[utoipa::path(delete, path = "/push/subscriptions/{id}", tag = "channels",
    params(("id" = Uuid, Path, description = "The subscription's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn unsubscribe(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let deleted = endpoint::delete(&shared.pool, EndpointKind::Push, id).await?;
    let there = deleted.then_some(StatusCode::NO_CONTENT);
    there.ok_or_else(error::no_such_subscription)
}
