//! The table `delivery`.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::channel_address::{ChannelAddress, DeliveryChannel};

#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub notification_id: Uuid,
    pub target: ChannelAddress,
    pub body: String,
    pub title: Option<String>,
    /// 0 for immediate deliveries, higher for escalations, which an acknowledgment cancels.
    pub step: i16,
    /// `pending`, `sending`, `sent`, `dead`, `unknown`, `suppressed` or `canceled`.
    pub status: String,
    /// Why the delivery is not sent, or sent later.
    pub reason: Option<String>,
    /// The number of attempts so far.
    pub attempts: i32,
    /// When the next attempt is due.
    pub due_at: DateTime<Utc>,
    /// The first attempt whose outcome is unknown: the recipient may have the message.
    pub unknown_since: Option<DateTime<Utc>>,
    /// The provider of the last attempt.
    pub provider: Option<String>,
    pub provider_message_id: Option<String>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
    /// The status in the last receipt of the provider, such as `delivered`.
    pub provider_status: Option<String>,
    pub provider_status_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// The number of deliveries with the status `pending` or `sending`.
    pub waiting: i64,
    /// When the first of them is due; may be in the future.
    pub oldest_due: Option<DateTime<Utc>>,
}

impl QueueDepth {
    /// By how much the oldest delivery is overdue; zero if none is.
    #[must_use]
    pub fn overdue_by(&self, now: DateTime<Utc>) -> TimeDelta {
        let late = self.oldest_due.map(|due| now - due).unwrap_or_default();
        late.max(TimeDelta::zero())
    }
}

/// Returns the deliveries of these notifications in the order of their creation.
pub async fn list_for_notifications(
    pool: &PgPool,
    notifications: &[Uuid],
) -> Result<Vec<DeliveryRow>, StoreError> {
    let raw = sqlx::query_as!(
        RawDelivery,
        r#"select id, notification_id, channel, recipient, body, title, step, d.status, reason,
             attempts, due_at, unknown_since, d.provider, provider_message_id, last_error,
             created_at, sent_at, r.status as "provider_status?",
             r.received_at as "provider_status_at?"
         from notification.delivery d
         left join notification.receipt r
             on r.provider = d.provider and r.message_id = d.provider_message_id
         where notification_id = any($1) order by id"#,
        notifications,
    )
    .fetch_all(pool)
    .await?;
    raw.into_iter().map(DeliveryRow::try_from).collect()
}

/// Requeues the dead letters of a notification: they are due at `now` with a reset backoff. Returns
/// their number. A delivery with an unknown outcome is sent again without a lookup.
pub async fn requeue_dead(
    pool: &PgPool,
    notification: Uuid,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "update notification.delivery set status = 'pending', due_at = $2, tries = 0,
             unknown_since = case when status = 'dead' then unknown_since end
         where notification_id = $1 and status in ('dead', 'unknown')",
        notification,
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Counts pending deliveries, up to `most`.
pub async fn queue_depth(pool: &PgPool, most: i64) -> Result<QueueDepth, StoreError> {
    let channels = DeliveryChannel::ALL.map(|channel| channel.as_str().to_owned());
    let depth = sqlx::query_as!(
        QueueDepth,
        r#"select (select count(*) from (
                 select from notification.delivery where status in ('pending', 'sending')
                 limit $1) waiting) as "waiting!",
             (select min(first.due) from unnest($2::text[]) as c (channel), lateral (
                 select coalesce(leased_until, due_at) as due from notification.delivery d
                 where d.status in ('pending', 'sending') and d.channel = c.channel
                 order by coalesce(leased_until, due_at) limit 1) first) as oldest_due"#,
        most,
        &channels,
    )
    .fetch_one(pool)
    .await?;
    Ok(depth)
}

struct RawDelivery {
    id: Uuid,
    notification_id: Uuid,
    channel: String,
    recipient: String,
    body: String,
    title: Option<String>,
    step: i16,
    status: String,
    reason: Option<String>,
    attempts: i32,
    due_at: DateTime<Utc>,
    unknown_since: Option<DateTime<Utc>>,
    provider: Option<String>,
    provider_message_id: Option<String>,
    last_error: Option<String>,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    provider_status: Option<String>,
    provider_status_at: Option<DateTime<Utc>>,
}

impl TryFrom<RawDelivery> for DeliveryRow {
    type Error = StoreError;

    fn try_from(raw: RawDelivery) -> Result<Self, StoreError> {
        Ok(Self {
            id: raw.id,
            notification_id: raw.notification_id,
            target: parse_address(&raw.channel, &raw.recipient)?,
            body: raw.body,
            title: raw.title,
            step: raw.step,
            status: raw.status,
            reason: raw.reason,
            attempts: raw.attempts,
            due_at: raw.due_at,
            unknown_since: raw.unknown_since,
            provider: raw.provider,
            provider_message_id: raw.provider_message_id,
            last_error: raw.last_error,
            created_at: raw.created_at,
            sent_at: raw.sent_at,
            provider_status: raw.provider_status,
            provider_status_at: raw.provider_status_at,
        })
    }
}

/// Parses the stored address of a delivery.
pub(super) fn parse_address(channel: &str, recipient: &str) -> Result<ChannelAddress, StoreError> {
    let target = recipient.parse::<ChannelAddress>().ok();
    target
        .filter(|target| target.channel().as_str() == channel)
        .ok_or(StoreError::Corrupt("a row of the table delivery"))
}
