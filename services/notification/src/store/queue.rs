//! The queue of deliveries: claims due deliveries and records the outcomes.

/// Completes a statement with the table `due`: at most `$3` deliveries of the channel `$2` that are
/// due at `$1`, longest due first. `$5` is the duration of a lease in seconds: a delivery whose
/// lease has expired may have been sent by another process, so the lost attempt is recorded with
/// the outcome `unknown`.
macro_rules! query_due {
    ($query:ident!($($row:ident,)? $statement:literal, $($argument:expr),+ $(,)?)) => {
        sqlx::$query!(
            $($row,)?
            "with due as materialized (
             select id, attempts as made, leased_until - make_interval(secs => $5) as lost_since
             from notification.delivery
             where status in ('pending', 'sending') and channel = $2
                 and coalesce(leased_until, due_at) <= $1
             order by coalesce(leased_until, due_at) limit $3 for update skip locked),
         lost as (
             insert into notification.attempt (delivery_id, number, started_at, outcome, detail)
             select id, made, lost_since, 'unknown', 'the process ended while it was sending'
             from due where lost_since is not null
             on conflict on constraint attempt_pkey do nothing)" + $statement,
            $($argument),+
        )
    };
}

mod log_delivery;
mod outcome;

use chassis::database;
use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

pub use self::log_delivery::deliver_to_log;
pub use self::outcome::{
    AttemptOutcome, is_message_taken, record_outcomes, release, reopen_mistaken,
};

use super::delivery::parse_address;
use crate::domain::attempt::{ClaimedDelivery, Endpoint};
use crate::domain::channel_address::DeliveryChannel;

/// A claimed delivery whose outcome is not recorded within this time is claimed again. Longer than
/// the timeouts of a lookup and a send together.
pub const LEASE_DURATION: TimeDelta = TimeDelta::seconds(60);

/// Creates the connection pool for claiming and recording. Its statements are planned only once,
/// and with indexes even if the queue is empty at that time.
#[must_use]
pub fn key_lookup_pool(pool: &PgPool) -> PgPool {
    database::request_pool(database::key_lookup_options(pool), 4)
}

/// Claims at most `limit` deliveries of `channel` that are due at `now`, longest due first. A
/// delivery whose lease has expired may have been sent by another process: the lost attempt is
/// recorded with the outcome `unknown`.
pub async fn claim(
    pool: &PgPool,
    channel: DeliveryChannel,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<ClaimedDelivery>, StoreError> {
    let rows = query_due!(query!(
        r#"
         update notification.delivery d
         set status = 'sending', leased_until = $4, attempts = d.attempts + 1, tries = d.tries + 1,
             unknown_since = coalesce(d.unknown_since, lost_since)
         from due join notification.delivery claimed using (id)
             join notification.notification n on n.id = claimed.notification_id
             left join notification.endpoint e on e.address = claimed.recipient and e.enabled
         where d.id = due.id
         returning d.id, d.notification_id, d.recipient, d.title, d.body, d.html, d.attempts,
             d.tries, d.unknown_since, d.provider, n.event, n.created_at,
             case when $2 = 'webhook' then n.data end as data,
             e.url as "url?", e.keys as "keys?",
             (select reason from notification.suppression s where s.address = d.recipient)
                 as suppressed"#,
        now,
        channel.as_str(),
        limit,
        now + LEASE_DURATION,
        LEASE_DURATION.as_seconds_f64(),
    ))
    .fetch_all(pool)
    .await?;
    let claimed = rows.into_iter().filter_map(|row| {
        // An invalid row must not block the others.
        let target = parse_address(channel.as_str(), &row.recipient)
            .inspect_err(|error| {
                tracing::error!(
                    %error,
                    delivery = %row.id,
                    "a stored delivery is invalid and is not sent"
                );
            })
            .ok()?;
        Some(ClaimedDelivery {
            id: row.id,
            address: target,
            notification_id: row.notification_id,
            event: row.event,
            title: row.title,
            body: row.body,
            html: row.html,
            data: row.data,
            endpoint: row
                .url
                .zip(row.keys)
                .map(|(url, keys)| Endpoint { url, keys }),
            created_at: row.created_at,
            last_provider: row.provider,
            suppression_reason: row.suppressed,
            attempt_number: row.attempts,
            attempts_since_retry: row.tries,
            unknown_since: row.unknown_since,
        })
    });
    Ok(claimed.collect())
}

/// Returns those of the provider's message ids that belong to recorded deliveries.
pub async fn recorded_message_ids(
    pool: &PgPool,
    provider: &str,
    message_ids: &[String],
) -> Result<Vec<String>, StoreError> {
    let taken = sqlx::query_scalar!(
        r#"select provider_message_id as "id!" from notification.delivery
         where provider = $1 and provider_message_id = any($2)"#,
        provider,
        message_ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(taken)
}
