//! `POST /notify`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use chassis::Problem;
use chassis::extract::Json;
use chassis::problem::ProblemBody;
use common::jwt::Claims;
use common::notification::{DeliveryReceipt, NotifyRequest, NotifyResponse};
use uuid::Uuid;

use super::idempotency::IdempotencyKey;
use super::{Shared, error};
use crate::domain::command::Command;
use crate::domain::decision::decide;
use crate::domain::notification::Notification;
use crate::domain::target::Target;
use crate::store::accept::{Acceptance, accept};
use crate::store::{StoreError, delivery, notification};

/// Says something: `message` to `to`, or what is known about `event` to whom it concerns.
///
/// The answer tells what was accepted, not what was sent: `GET /notifications/{id}` tells how it
/// stands. The same request with the same key gets the same answer for 24 hours.
#[utoipa::path(post, path = "/notify", tag = "notify", request_body = NotifyRequest,
    params(("Idempotency-Key" = Option<String>, Header, example = "visit-019a3b7e",
        description = "1 to 255 printable ASCII characters that name this notification")),
    responses(
        (status = 202, body = NotifyResponse, description = "Stored, and on its way",
            example = json!({"id": "019ab3a0-6c00-7000-8000-000000000001", "status": "queued",
                "reason": null, "deliveries": [{"id": "019ab3a0-6c00-7000-8000-000000000002",
                    "channel": "sms", "recipient": "+1555•••67", "status": "pending"}]})),
        (status = 400, body = ProblemBody, content_type = "application/problem+json",
            description = "`BODY_NOT_JSON` or `IDEMPOTENCY_KEY_INVALID`"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json",
            description = "`IDEMPOTENCY_KEY_REUSED`, or a field that cannot be accepted"),
    ))]
pub(super) async fn notify(
    State(shared): State<Shared>,
    Extension(claims): Extension<Arc<Claims>>,
    key: IdempotencyKey,
    Json(request): Json<NotifyRequest>,
) -> Result<(StatusCode, Answer<NotifyResponse>), Problem> {
    let key = key.of(&claims.sub, &request);
    let command = Command::try_from(request)?;
    let decision = decide(&command, &shared.defaults)?;
    let new = Notification::new(command, decision, &shared.clock);
    let answer = match accept(&shared.pool, &new, key.as_ref()).await? {
        Acceptance::New => accepted(&new),
        Acceptance::Before(id) => accepted_before(&shared, id).await?,
        Acceptance::OtherBody => return Err(error::key_reused()),
    };
    shared.wake.notify_one();
    Ok((StatusCode::ACCEPTED, Answer(answer)))
}

fn accepted(new: &Notification) -> NotifyResponse {
    let deliveries = new.deliveries.iter();
    NotifyResponse {
        id: new.id,
        status: new.status,
        reason: new.reason.map(Into::into),
        deliveries: deliveries.map(|(id, to)| receipt(*id, to)).collect(),
    }
}

/// The answer that was given before.
async fn accepted_before(shared: &Shared, id: Uuid) -> Result<NotifyResponse, Problem> {
    let gone = StoreError::Corrupt("idempotency_key");
    let before = notification::get(&shared.pool, id).await?.ok_or(gone)?;
    let deliveries = delivery::of(&shared.pool, &[id]).await?;
    Ok(NotifyResponse {
        id,
        status: before.status,
        reason: before.reason,
        deliveries: deliveries
            .iter()
            .map(|d| receipt(d.id, &d.target))
            .collect(),
    })
}

/// A delivery at the moment it was accepted.
fn receipt(id: Uuid, target: &Target) -> DeliveryReceipt {
    DeliveryReceipt {
        id,
        channel: target.channel().as_str().into(),
        recipient: target.to_string(),
        status: "pending".into(),
    }
}
