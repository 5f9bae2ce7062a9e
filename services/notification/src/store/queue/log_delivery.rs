//! Deliveries to the log, which need no lease.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::LEASE_DURATION;
use crate::domain::channel_address::DeliveryChannel;
use crate::domain::log_delivery::LogDelivery;

/// Sends at most `limit` deliveries of `channel` that are due at `now`, longest due first, and
/// returns their number. Only for providers that answer immediately and never fail: `tell` runs
/// after the outcomes are recorded and before the commit, so that no delivery is lost. If the
/// commit fails, the deliveries are sent again.
pub async fn deliver_to_log(
    pool: &PgPool,
    channel: DeliveryChannel,
    provider: &str,
    now: DateTime<Utc>,
    limit: i64,
    tell: impl Fn(&LogDelivery),
) -> Result<usize, StoreError> {
    let mut transaction = pool.begin().await?;
    let told = query_due!(query_as!(
        LogDelivery,
        ",
         made as (
             insert into notification.attempt
                 (delivery_id, number, started_at, provider, outcome, latency_ms)
             select id, made + 1, $1, $4, 'sent', 0 from due)
         update notification.delivery d
         set status = 'sent', leased_until = null, attempts = attempts + 1, tries = tries + 1,
             sent_at = $1, unknown_since = null, provider = $4, last_error = null
         from due where d.id = due.id
         returning d.id, recipient, body, created_at",
        now,
        channel.as_str(),
        limit,
        provider,
        LEASE_DURATION.as_seconds_f64(),
    ))
    .fetch_all(&mut *transaction)
    .await?;
    told.iter().for_each(tell);
    transaction.commit().await?;
    Ok(told.len())
}
