//! The table `notification`.

use chrono::{DateTime, TimeDelta, Utc};
use common::notification::{NotificationStatus, Priority};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::finding::RuleResult;
use crate::domain::notification::priority_text;

/// A digest's id is so much older than the digest at most.
pub(super) const MAX_DIGEST_WINDOW: TimeDelta = TimeDelta::days(31);

/// A notification as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NotificationRow {
    /// Its id.
    pub id: Uuid,
    /// What happened.
    pub event: String,
    /// A headline.
    pub title: Option<String>,
    /// The message that was asked for.
    pub message: Option<String>,
    /// What came with the event.
    pub data: Value,
    /// How urgent it is.
    pub priority: Priority,
    /// Kept for deduplication.
    pub dedupe_key: Option<String>,
    /// Whether it goes out.
    pub status: NotificationStatus,
    /// Why not.
    pub reason: Option<String>,
    /// What the rules said.
    pub findings: Vec<RuleResult>,
    /// When somebody said they saw it.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// Which notifications to list, the newest first.
#[derive(Clone, Debug, Default)]
pub struct NotificationFilter {
    /// Only those with this status.
    pub status: Option<NotificationStatus>,
    /// Only those about this event.
    pub event: Option<String>,
    /// Only those with a delivery on this channel.
    pub channel: Option<String>,
    /// Only those with a delivery to this address.
    pub recipient: Option<String>,
    /// Only those accepted at that time or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those accepted before that time.
    pub to: Option<DateTime<Utc>>,
    /// Only those older than this one.
    pub before: Option<Uuid>,
}

/// One notification, where there is one with this id.
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

/// Those of these notifications that there are, in no order.
pub async fn of(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<NotificationRow>, StoreError> {
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

/// At most `limit` notifications, the newest first.
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
            .map_or(Uuid::nil(), |from| first_id(from - MAX_DIGEST_WINDOW)),
        filter
            .to
            .map_or(Uuid::max(), |to| first_id(to + TimeDelta::seconds(1))),
        filter.from,
        filter.to,
        filter.recipient,
        filter.channel,
    )
    .fetch_all(pool)
    .await?;
    raw.into_iter().map(NotificationRow::try_from).collect()
}

/// The first id that a notification of that time may have: it begins with the milliseconds.
pub(super) fn first_id(at: DateTime<Utc>) -> Uuid {
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
        let corrupt = StoreError::Corrupt("notification");
        let known = priority(&raw.priority).zip(status(&raw.status));
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

fn priority(text: &str) -> Option<Priority> {
    use Priority::{High, Low, Normal, Urgent};
    [Low, Normal, High, Urgent]
        .into_iter()
        .find(|priority| priority_text(*priority) == text)
}

pub(super) const fn status_text(status: NotificationStatus) -> &'static str {
    match status {
        NotificationStatus::Queued => "queued",
        NotificationStatus::Suppressed => "suppressed",
        NotificationStatus::Digested => "digested",
    }
}

fn status(text: &str) -> Option<NotificationStatus> {
    use NotificationStatus::{Digested, Queued, Suppressed};
    [Queued, Suppressed, Digested]
        .into_iter()
        .find(|status| status_text(*status) == text)
}

/// Keeps that somebody saw a notification, and cancels what would follow where nobody did; whether
/// there is one with this id. The first one counts.
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
