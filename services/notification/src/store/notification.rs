//! The table `notification`.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::notification::{NotificationStatus, Priority};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use crate::domain::priority::priority_name;
use crate::domain::rule_result::RuleResult;

/// The id of a digest is at most this much older than the digest.
pub(super) const MAX_DIGEST_WINDOW: TimeDelta = TimeDelta::days(31);

#[derive(Clone, Debug, PartialEq)]
pub struct NotificationRow {
    pub id: Uuid,
    pub event: String,
    pub title: Option<String>,
    /// The text in the request; rules may send other texts.
    pub message: Option<String>,
    pub data: Value,
    pub priority: Priority,
    pub dedupe_key: Option<String>,
    pub status: NotificationStatus,
    /// Why the notification is not sent.
    pub reason: Option<String>,
    /// The results of the rules.
    pub findings: Vec<RuleResult>,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// Selects notifications; `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct NotificationFilter {
    pub status: Option<NotificationStatus>,
    pub event: Option<String>,
    /// The notification has a delivery on this channel.
    pub channel: Option<String>,
    /// The notification has a delivery to this address.
    pub recipient: Option<String>,
    /// Accepted at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Accepted before this time.
    pub to: Option<DateTime<Utc>>,
    /// Only notifications older than this one.
    pub before: Option<Uuid>,
}

pub async fn get(
    executor: impl PgExecutor<'_>,
    id: Uuid,
) -> Result<Option<NotificationRow>, StoreError> {
    let raw = sqlx::query_as!(
        RawNotification,
        r#"select id, event, title, message, data, priority, dedupe_key, status, reason,
             findings as "findings: Json<Vec<RuleResult>>", acknowledged_at, created_at
         from notification.notification where id = $1"#,
        id,
    )
    .fetch_optional(executor)
    .await?;
    raw.map(NotificationRow::try_from).transpose()
}

/// Returns the notifications with these ids that exist, in no particular order.
pub async fn get_many(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<NotificationRow>, StoreError> {
    let raw = sqlx::query_as!(
        RawNotification,
        r#"select id, event, title, message, data, priority, dedupe_key, status, reason,
             findings as "findings: Json<Vec<RuleResult>>", acknowledged_at, created_at
         from notification.notification where id = any($1)"#,
        ids,
    )
    .fetch_all(pool)
    .await?;
    raw.into_iter().map(NotificationRow::try_from).collect()
}

/// Returns at most `limit` notifications, newest first.
pub async fn list(
    pool: &PgPool,
    filter: &NotificationFilter,
    limit: i64,
) -> Result<Vec<NotificationRow>, StoreError> {
    let raw = sqlx::query_as!(
        RawNotification,
        r#"select id, event, title, message, data, priority, dedupe_key, status, reason,
             findings as "findings: Json<Vec<RuleResult>>", acknowledged_at, created_at
         from notification.notification
         where id < $1 and ($2::text is null or status = $2) and ($3::text is null or event = $3)
             and id >= $5 and id < $6
             and ($7::timestamptz is null or created_at >= $7)
             and ($8::timestamptz is null or created_at < $8)
             and ($9::text is null or id in (select notification_id from notification.delivery
                 where recipient = $9 and ($10::text is null or channel = $10)))
             and ($9 is not null or $10::text is null or exists (
                 select from notification.delivery d
                 where d.notification_id = notification.id and d.channel = $10))
         order by id desc limit $4"#,
        filter.before.unwrap_or(Uuid::max()),
        filter.status.map(status_text),
        filter.event,
        limit,
        filter
            .from
            .map_or(Uuid::nil(), |from| min_id_at(from - MAX_DIGEST_WINDOW)),
        filter
            .to
            .map_or(Uuid::max(), |to| min_id_at(to + TimeDelta::seconds(1))),
        filter.from,
        filter.to,
        filter.recipient,
        filter.channel,
    )
    .fetch_all(pool)
    .await?;
    raw.into_iter().map(NotificationRow::try_from).collect()
}

/// The smallest UUID (version 7) of a time: its first 48 bits are the milliseconds.
pub(super) fn min_id_at(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}

struct RawNotification {
    id: Uuid,
    event: String,
    title: Option<String>,
    message: Option<String>,
    data: Value,
    priority: String,
    dedupe_key: Option<String>,
    status: String,
    reason: Option<String>,
    findings: Option<Json<Vec<RuleResult>>>,
    acknowledged_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<RawNotification> for NotificationRow {
    type Error = StoreError;

    fn try_from(raw: RawNotification) -> Result<Self, StoreError> {
        let corrupt = StoreError::Corrupt("a row of the table notification");
        let known = parse_priority(&raw.priority).zip(parse_status(&raw.status));
        let (priority, status) = known.ok_or(corrupt)?;
        Ok(Self {
            id: raw.id,
            event: raw.event,
            title: raw.title,
            message: raw.message,
            data: raw.data,
            priority,
            dedupe_key: raw.dedupe_key,
            status,
            reason: raw.reason,
            findings: raw.findings.map(|findings| findings.0).unwrap_or_default(),
            acknowledged_at: raw.acknowledged_at,
            created_at: raw.created_at,
        })
    }
}

fn parse_priority(text: &str) -> Option<Priority> {
    use Priority::{High, Low, Normal, Urgent};
    [Low, Normal, High, Urgent]
        .into_iter()
        .find(|priority| priority_name(*priority) == text)
}

pub(super) const fn status_text(status: NotificationStatus) -> &'static str {
    match status {
        NotificationStatus::Queued => "queued",
        NotificationStatus::Suppressed => "suppressed",
        NotificationStatus::Digested => "digested",
    }
}

fn parse_status(text: &str) -> Option<NotificationStatus> {
    use NotificationStatus::{Digested, Queued, Suppressed};
    [Queued, Suppressed, Digested]
        .into_iter()
        .find(|status| status_text(*status) == text)
}

/// Acknowledges a notification and cancels its pending escalations. Repeated calls keep the time of
/// the first. Returns `false` if there is no notification with this id.
pub async fn acknowledge(pool: &PgPool, id: Uuid, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "with seen as (
             update notification.notification
             set acknowledged_at = coalesce(acknowledged_at, $2) where id = $1 returning id),
         canceled as (
             update notification.delivery set status = 'canceled', reason = 'acknowledged'
             where notification_id = (select id from seen) and step > 0
                 and status in ('pending', 'suppressed'))
         select id from seen",
        id,
        now,
    );
    Ok(done.fetch_optional(pool).await?.is_some())
}
