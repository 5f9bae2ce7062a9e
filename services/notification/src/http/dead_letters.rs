//! `/dead-letters`: deliveries that failed for good.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Query};
use chassis::page::{ListParams, Page};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::state::AppState;
use crate::store::dead_letter;

/// A delivery that failed for good, or whose outcome is unknown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterResponse {
    /// Id of the delivery.
    id: Uuid,
    /// Id of the notification; retry it with `POST /notifications/{id}/retry`.
    notification_id: Uuid,
    /// Event of the notification.
    event: String,
    /// Channel, such as `sms` or `log`.
    channel: &'static str,
    /// Address of the recipient, masked.
    recipient: String,
    /// Text of the message.
    text: String,
    /// Number of attempts.
    attempts: i32,
    /// Error of the last attempt.
    last_error: Option<String>,
    /// Time of the first attempt with an unknown outcome: the recipient may have received the
    /// message. `null` if every outcome is known.
    unknown_since: Option<DateTime<Utc>>,
    /// Time at which the notification was accepted.
    created_at: DateTime<Utc>,
}

/// List dead letters.
///
/// Newest first. `POST /notifications/{id}/retry` or `POST /dead-letters/retry` sends them again.
#[utoipa::path(get, path = "/dead-letters", tag = "notifications", params(ListParams),
    responses(
        (status = 200, body = Page<DeadLetterResponse>, description = "A page of dead letters",
            example = json!({"data": [{"id": "019ab3a0-6c00-7000-8000-000000000002",
                "notification_id": "019ab3a0-6c00-7000-8000-000000000001",
                "event": "deploy.finished", "channel": "sms", "recipient": "+1555•••67",
                "text": "Version 12 is live.", "attempts": 1,
                "last_error": "HTTP 400, code 21610: the recipient has opted out",
                "unknown_since": null, "created_at": "2026-11-20T12:00:00Z"}],
                "next_cursor": null})),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(parameters): Query<ListParams>,
) -> Result<axum::Json<Page<DeadLetterResponse>>, Problem> {
    let limit = parameters.limit;
    let rows = dead_letter::list(&shared.pool, parameters.cursor, limit.with_lookahead()).await?;
    let page = Page::from_rows(rows, limit, |row| row.id, DeadLetterResponse::from);
    Ok(axum::Json(page))
}

const MAX_REQUEUED_PER_REQUEST: i64 = 10_000;

/// Filter of the dead letters to retry. An empty object selects all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"channel": "sms", "provider": "twilio"}))]
pub(super) struct RetryRequest {
    /// Only dead letters of notifications about this event.
    #[serde(default)]
    event: Option<String>,
    /// Only dead letters on this channel.
    #[serde(default, deserialize_with = "super::deserialize::channel")]
    channel: Option<String>,
    /// Only dead letters whose last attempt used this provider.
    #[serde(default)]
    provider: Option<String>,
    /// Only dead letters accepted at or after this time (RFC 3339).
    #[serde(default, deserialize_with = "super::deserialize::timestamp")]
    from: Option<DateTime<Utc>>,
    /// Only dead letters accepted before this time (RFC 3339).
    #[serde(default, deserialize_with = "super::deserialize::timestamp")]
    to: Option<DateTime<Utc>>,
}

/// Number of retried dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetryResponse {
    /// At most 10,000. If the count is 10,000, more may remain: repeat the request.
    count: u64,
}

/// Retry dead letters.
///
/// At most 10,000 per request, oldest first. Each becomes due immediately, with a new retry
/// schedule.
#[utoipa::path(post, path = "/dead-letters/retry", tag = "notifications",
    request_body = RetryRequest,
    responses(
        (status = 202, body = RetryResponse, description = "The deliveries are due",
            example = json!({"count": 12})),
        (status = 422, description = "`BODY_INVALID` or `NUL_CHARACTER`"),
    ))]
pub(super) async fn retry(
    State(shared): State<AppState>,
    Json(again): Json<RetryRequest>,
) -> Result<(StatusCode, axum::Json<RetryResponse>), Problem> {
    let texts = [&again.event, &again.channel, &again.provider];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(error::nul_character("body"));
    }
    let filter = dead_letter::DeadLetterFilter {
        event: again.event,
        channel: again.channel,
        provider: again.provider,
        from: again.from,
        to: again.to,
    };
    let now = shared.clock.now();
    let count = dead_letter::requeue(&shared.pool, &filter, now, MAX_REQUEUED_PER_REQUEST).await?;
    shared.queue_signal.wake_all();
    Ok((StatusCode::ACCEPTED, axum::Json(RetryResponse { count })))
}

impl From<dead_letter::DeadLetterRow> for DeadLetterResponse {
    fn from(row: dead_letter::DeadLetterRow) -> Self {
        Self {
            id: row.id,
            notification_id: row.notification_id,
            event: row.event,
            channel: row.target.channel().as_str(),
            recipient: row.target.to_string(),
            text: row.body,
            attempts: row.attempts,
            last_error: row.last_error,
            unknown_since: row.unknown_since,
            created_at: row.created_at,
        }
    }
}
