//! `POST /erasures`: erases the data about a person.

use axum::extract::State;
use chassis::Problem;
use chassis::extract::Json;
use chrono::{DateTime, TimeDelta, Utc};
use common::notification::{ErasureRequest, ErasureResponse, MAX_ERASED_VISITORS};

use super::state::AppState;
use crate::domain::person::{Erasure, MAX_ID_BYTES};
use crate::store::erasure;

/// How far the caller's clock may be ahead.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Erase the data about a person.
///
/// Removes data, titles, messages, texts of deliveries and digests, responses of providers,
/// idempotency keys, and counts by the person's ids. Deliveries that were not sent yet are
/// canceled. The existence, time and recipients of notifications are kept. Sent messages cannot be
/// recalled. Notifications about the same person that arrive within 24 hours and were recorded
/// before `erased_at` are accepted, but their content is discarded and nothing is sent. The request
/// is idempotent.
#[utoipa::path(post, path = "/erasures", tag = "notify", request_body = ErasureRequest,
    responses(
        (status = 200, body = ErasureResponse,
            description = "Numbers of erased notifications and deliveries"),
        (status = 422, description = "The request is invalid; `field` names the field"),
        (status = 503,
            description = "The erasure is incomplete; repeat the request after `Retry-After`"),
    ))]
pub(super) async fn erase(
    State(shared): State<AppState>,
    Json(request): Json<ErasureRequest>,
) -> Result<axum::Json<ErasureResponse>, Problem> {
    let now = shared.clock.now();
    let erased = erasure::erase(&shared.pool, &accept(request, now)?, now).await?;
    Ok(axum::Json(ErasureResponse {
        notifications: erased.notifications,
        deliveries: erased.deliveries,
        canceled: erased.canceled,
    }))
}

fn accept(request: ErasureRequest, now: DateTime<Utc>) -> Result<Erasure, Problem> {
    let ids = &request.visitor_ids;
    if ids.len() > MAX_ERASED_VISITORS || ids.is_empty() && request.user_id.is_none() {
        let detail =
            format!("send `user_id`, or 1 to {MAX_ERASED_VISITORS} items in `visitor_ids`");
        return Err(Problem::invalid(
            "visitor_ids",
            "VISITOR_IDS_INVALID",
            detail,
        ));
    }
    let is_id =
        |id: &String| !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.contains(char::is_control);
    let detail = format!("an id must have 1 to {MAX_ID_BYTES} bytes and no control characters");
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
        return Err(super::error::nul_character("site"));
    }
    if request.erased_at > now + MAX_CLOCK_SKEW {
        let detail = "`erased_at` must not be in the future";
        return Err(Problem::invalid("erased_at", "ERASED_AT_INVALID", detail));
    }
    Ok(Erasure {
        visitor_ids: request.visitor_ids,
        user_id: request.user_id,
        site: request.site,
        erased_at: request.erased_at,
    })
}
