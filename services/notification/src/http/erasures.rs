//! `POST /erasures`: removes what notifications say about a person.

use axum::Json as Answer;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Json;
use chrono::{DateTime, TimeDelta, Utc};
use common::notification::{ErasureRequest, ErasureResponse, MAX_ERASED_VISITORS};

use super::AppState;
use crate::domain::person::{Erasure, MAX_ID_BYTES};
use crate::store::erasure;

/// How far the caller's clock may be ahead.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Removes what notifications say about a person.
///
/// Data, titles, messages, the texts of deliveries and digests, what providers said, idempotency keys
/// and counts by the person's ids go; what was not sent yet is canceled. That there was a
/// notification, when, and to whom it went stays. What was sent cannot be called back. A
/// notification about the same person that arrives within 24 hours and tells what was recorded
/// before `erased_at` is accepted and says nothing. The same may be asked again.
#[utoipa::path(post, path = "/erasures", tag = "notify", request_body = ErasureRequest,
    responses(
        (status = 200, body = ErasureResponse, description = "What was removed"),
        (status = 422, description = "`field` names what cannot be accepted"),
        (status = 503, description = "Not all was removed; ask again after `Retry-After`"),
    ))]
pub(super) async fn erase(
    State(shared): State<AppState>,
    Json(request): Json<ErasureRequest>,
) -> Result<Answer<ErasureResponse>, Problem> {
    let now = shared.clock.now();
    let erased = erasure::erase(&shared.pool, &accept(request, now)?, now).await?;
    Ok(Answer(ErasureResponse {
        notifications: erased.notifications,
        deliveries: erased.deliveries,
        canceled: erased.canceled,
    }))
}

fn accept(request: ErasureRequest, now: DateTime<Utc>) -> Result<Erasure, Problem> {
    let ids = &request.visitor_ids;
    if ids.len() > MAX_ERASED_VISITORS || ids.is_empty() && request.user_id.is_none() {
        let detail = format!("name a user, or 1 to {MAX_ERASED_VISITORS} visitors");
        return Err(Problem::invalid(
            "visitor_ids",
            "VISITOR_IDS_INVALID",
            detail,
        ));
    }
    let is_id =
        |id: &String| !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.contains(char::is_control);
    let detail = format!("an id has 1 to {MAX_ID_BYTES} bytes and no control characters");
    if !ids.iter().all(is_id) {
        return Err(Problem::invalid(
            "visitor_ids",
            "VISITOR_IDS_INVALID",
            detail,
        ));
    }
    if !request.user_id.iter().all(is_id) {
        return Err(Problem::invalid("user_id", "USER_ID_INVALID", detail));
    }
    if request
        .site
        .as_ref()
        .is_some_and(|site| site.contains('\0'))
    {
        return Err(super::error::nul("site"));
    }
    if request.erased_at > now + MAX_CLOCK_SKEW {
        let detail = "this moment lies in the future";
        return Err(Problem::invalid("erased_at", "ERASED_AT_INVALID", detail));
    }
    Ok(Erasure {
        visitor_ids: request.visitor_ids,
        user_id: request.user_id,
        site: request.site,
        erased_at: request.erased_at,
    })
}
