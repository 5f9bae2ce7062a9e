//! Dead letters: deliveries that failed for good or whose outcome is unknown, with the events of
//! their notifications.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::delivery::parse_address;
use crate::domain::channel_address::ChannelAddress;

#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetterRow {
    /// The id of the delivery.
    pub id: Uuid,
    pub notification_id: Uuid,
    pub event: String,
    pub target: ChannelAddress,
    pub body: String,
    /// The number of attempts so far.
    pub attempts: i32,
    /// The first attempt whose outcome is unknown: the recipient may have the message.
    pub unknown_since: Option<DateTime<Utc>>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Selects dead letters; `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    pub event: Option<String>,
    pub channel: Option<String>,
    /// The provider of the last attempt.
    pub provider: Option<String>,
    /// Accepted at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Accepted before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Requeues at most `limit` dead letters, oldest first: they are due at `now` with a reset backoff.
/// Returns their number.
pub async fn requeue(
    pool: &PgPool,
    filter: &DeadLetterFilter,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update notification.delivery set status = 'pending', due_at = $1, tries = 0,
             unknown_since = case when status = 'dead' then unknown_since end
         where id in (
             select d.id from notification.delivery d
             join notification.notification n on n.id = d.notification_id
             where d.status in ('dead', 'unknown') and ($3::text is null or n.event = $3)
                 and ($4::text is null or d.channel = $4)
                 and ($5::text is null or d.provider = $5)
                 and ($6::timestamptz is null or d.created_at >= $6)
                 and ($7::timestamptz is null or d.created_at < $7)
             order by d.id limit $2 for update of d skip locked)",
        now,
        limit,
        filter.event,
        filter.channel,
        filter.provider,
        filter.from,
        filter.to,
    );
    Ok(done.execute(pool).await?.rows_affected())
}

pub async fn count(pool: &PgPool) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from notification.delivery where status in ('dead', 'unknown')"#
    );
    Ok(count.fetch_one(pool).await?)
}

/// Returns at most `limit` dead letters older than `before`, newest first.
pub async fn list(
    pool: &PgPool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<DeadLetterRow>, StoreError> {
    let rows = sqlx::query!(
        "select d.id, d.notification_id, n.event, d.channel, d.recipient, d.body, d.attempts,
             d.unknown_since, d.last_error, d.created_at
         from notification.delivery d
         join notification.notification n on n.id = d.notification_id
         where d.status in ('dead', 'unknown') and d.id < $1 order by d.id desc limit $2",
        before.unwrap_or(Uuid::max()),
        limit,
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(DeadLetterRow {
                id: row.id,
                notification_id: row.notification_id,
                event: row.event,
                target: parse_address(&row.channel, &row.recipient)?,
                body: row.body,
                attempts: row.attempts,
                unknown_since: row.unknown_since,
                last_error: row.last_error,
                created_at: row.created_at,
            })
        })
        .collect()
}
