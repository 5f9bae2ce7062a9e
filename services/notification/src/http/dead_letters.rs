//! `/dead-letters`: deliveries that were given up.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Query};
use chassis::page::{Page, PageLimit};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{AppState, error};
use crate::store::dead_letter;

/// Which dead letters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetterListParams {
    /// How many: 1 to 500, 50 unless told.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: PageLimit,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

/// A delivery that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterResponse {
    /// The delivery's id.
    id: Uuid,
    /// The notification it belongs to, which can be sent again.
    notification_id: Uuid,
    /// What happened.
    event: String,
    /// `sms`, `log` …
    channel: &'static str,
    /// To whom; phone numbers are masked.
    recipient: String,
    /// What was to be said.
    text: String,
    /// How many attempts there were.
    attempts: i32,
    /// Why the last one failed.
    last_error: Option<String>,
    /// Since then the recipient may have it without our knowing.
    unknown_since: Option<DateTime<Utc>>,
    /// When it was accepted.
    created_at: DateTime<Utc>,
}

/// Deliveries that were given up, the newest first. `POST /notifications/{id}/retry` sends them
/// again.
#[utoipa::path(get, path = "/dead-letters", tag = "notifications", params(DeadLetterListParams),
    responses(
        (status = 200, body = Page<DeadLetterResponse>, description = "A page of them",
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
    Query(asked): Query<DeadLetterListParams>,
) -> Result<Answer<Page<DeadLetterResponse>>, Problem> {
    let limit = asked.limit;
    let mut rows = dead_letter::list(&shared.pool, asked.cursor, limit.and_one()).await?;
    let next_cursor = limit.cut(&mut rows, |row| row.id);
    let data = rows.into_iter().map(DeadLetterResponse::from).collect();
    Ok(Answer(Page { data, next_cursor }))
}

/// The most that are sent again by one request.
const MAX_REQUEUED_PER_REQUEST: i64 = 10_000;

/// Which dead letters to send again; all where nothing is named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"channel": "sms", "provider": "twilio"}))]
pub(super) struct RetryRequest {
    /// Only of notifications about this event.
    #[serde(default)]
    event: Option<String>,
    /// Only on this channel.
    #[serde(default, deserialize_with = "super::channel")]
    channel: Option<String>,
    /// Only those that this provider tried last.
    #[serde(default)]
    provider: Option<String>,
    /// Only those accepted at that time or later.
    #[serde(default, deserialize_with = "super::moment")]
    from: Option<DateTime<Utc>>,
    /// Only those accepted before that time.
    #[serde(default, deserialize_with = "super::moment")]
    to: Option<DateTime<Utc>>,
}

/// How many are sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetryResponse {
    /// How many; where there are 10,000 there may be more.
    count: u64,
}

/// Sends dead letters again, 10,000 at most, the oldest first, each with a fresh schedule.
#[utoipa::path(post, path = "/dead-letters/retry", tag = "notifications", request_body = RetryRequest,
    responses(
        (status = 202, body = RetryResponse, description = "They are due now",
            example = json!({"count": 12})),
        (status = 422, description = "`BODY_INVALID` or `NUL_CHARACTER`"),
    ))]
pub(super) async fn retry(
    State(shared): State<AppState>,
    Json(again): Json<RetryRequest>,
) -> Result<(StatusCode, Answer<RetryResponse>), Problem> {
    let texts = [&again.event, &again.channel, &again.provider];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(error::nul("body"));
    }
    let filter = dead_letter::DeadLetterFilter {
        event: again.event,
        channel: again.channel,
        provider: again.provider,
        from: again.from,
        to: again.to,
    };
    let now = shared.clock.now();
    let count = dead_letter::revive(&shared.pool, &filter, now, MAX_REQUEUED_PER_REQUEST).await?;
    shared.wake.wake_all();
    Ok((StatusCode::ACCEPTED, Answer(RetryResponse { count })))
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
