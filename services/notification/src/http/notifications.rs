//! `/notifications`: stored notifications with their deliveries.

mod response;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Path, Query};
use chassis::page::{Page, PageLimit};
use chrono::{DateTime, Utc};
use common::notification::NotificationStatus;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use self::response::{NotificationDetail, NotificationSummary};
use super::error;
use super::state::AppState;
use crate::store::notification::{NotificationFilter, NotificationRow};
use crate::store::{attempt, delivery, notification};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct NotificationListParams {
    /// Only notifications with this status.
    status: Option<NotificationStatus>,
    /// Only notifications about this event.
    event: Option<String>,
    /// Only notifications with a delivery on this channel.
    #[serde(default, deserialize_with = "super::deserialize::channel")]
    channel: Option<String>,
    /// Only notifications with a delivery to this address, given in full (not masked).
    recipient: Option<String>,
    /// Only notifications accepted at or after this time (RFC 3339).
    #[serde(default, deserialize_with = "super::deserialize::timestamp")]
    from: Option<DateTime<Utc>>,
    /// Only notifications accepted before this time (RFC 3339).
    #[serde(default, deserialize_with = "super::deserialize::timestamp")]
    to: Option<DateTime<Utc>>,
    /// Maximum number of items per page: 1 to 500. Default: 50.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: PageLimit,
    /// `next_cursor` of the previous page.
    cursor: Option<Uuid>,
}

/// List notifications.
///
/// Newest first.
#[utoipa::path(get, path = "/notifications", tag = "notifications", params(NotificationListParams),
    responses(
        (status = 200, body = Page<NotificationSummary>, description = "A page of notifications",
            example = json!({"data": [{"id": "019ab3a0-6c00-7000-8000-000000000001",
                "event": "deploy.finished", "title": null, "message": "Version 12 is live.",
                "priority": "normal", "dedupe_key": null, "status": "queued", "reason": null,
                "created_at": "2026-11-20T12:00:00Z", "deliveries": [{
                    "id": "019ab3a0-6c00-7000-8000-000000000002", "channel": "sms",
                    "recipient": "+1555•••67", "status": "sent"}]}], "next_cursor": null})),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(parameters): Query<NotificationListParams>,
) -> Result<Json<Page<NotificationSummary>>, Problem> {
    let filter = NotificationFilter {
        status: parameters.status,
        event: parameters.event,
        channel: parameters.channel,
        recipient: parameters.recipient,
        from: parameters.from,
        to: parameters.to,
        before: parameters.cursor,
    };
    let mut rows =
        notification::list(&shared.pool, &filter, parameters.limit.with_lookahead()).await?;
    let next_cursor = parameters.limit.truncate_page(&mut rows, |row| row.id);
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let deliveries = delivery::list_for_notifications(&shared.pool, &ids).await?;
    Ok(Json(Page {
        data: NotificationSummary::from_rows(rows, &deliveries),
        next_cursor,
    }))
}

/// Get a notification with its deliveries and their attempts.
#[utoipa::path(get, path = "/notifications/{id}", tag = "notifications",
    params(("id" = Uuid, Path, description = "The notification's id")),
    responses(
        (status = 200, body = NotificationDetail, description = "The notification"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn get(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<Json<NotificationDetail>, Problem> {
    Ok(Json(load_detail(&shared, id).await?))
}

/// Retry the dead deliveries of a notification.
///
/// Each dead or `unknown` delivery becomes due immediately, with a new retry schedule.
#[utoipa::path(post, path = "/notifications/{id}/retry", tag = "notifications",
    params(("id" = Uuid, Path, description = "The notification's id")),
    responses(
        (status = 202, body = NotificationDetail, description = "The deliveries are due"),
        (status = 404, description = "`NOT_FOUND`"),
        (status = 409, description = "`NOTHING_DEAD`: the notification has no dead delivery"),
    ))]
pub(super) async fn retry(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<(StatusCode, Json<NotificationDetail>), Problem> {
    let revived = delivery::requeue_dead(&shared.pool, id, shared.clock.now()).await?;
    let detail = load_detail(&shared, id).await?;
    if revived == 0 {
        return Err(error::no_dead_delivery());
    }
    shared.queue_signal.wake_all();
    Ok((StatusCode::ACCEPTED, Json(detail)))
}

/// Acknowledge a notification.
///
/// Cancels the escalations that are pending.
#[utoipa::path(post, path = "/notifications/{id}/acknowledge", tag = "notifications",
    params(("id" = Uuid, Path, description = "The notification's id")),
    responses(
        (status = 200, body = NotificationDetail, description = "The acknowledged notification"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn acknowledge(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<Json<NotificationDetail>, Problem> {
    notification::acknowledge(&shared.pool, id, shared.clock.now()).await?;
    Ok(Json(load_detail(&shared, id).await?))
}

async fn load_detail(shared: &AppState, id: Uuid) -> Result<NotificationDetail, Problem> {
    let found: Option<NotificationRow> = notification::get(&shared.pool, id).await?;
    let row = found.ok_or_else(error::notification_not_found)?;
    let deliveries = delivery::list_for_notifications(&shared.pool, &[id]).await?;
    let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
    let attempts = attempt::list_for_deliveries(&shared.pool, &ids).await?;
    Ok(NotificationDetail::new(row, deliveries, attempts))
}
