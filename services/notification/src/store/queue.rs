//! The queue of deliveries: claiming what is due, keeping what became of it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;
use super::delivery::target;
use crate::domain::attempt::{Attempted, Claimed, Endpoint, Next};
use crate::domain::target::Channel;

/// A claimed delivery that was not recorded after this time is claimed again. Longer than a
/// look-up and a send together may take.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);

/// An attempt, and what its delivery is after it.
#[derive(Clone, Debug)]
pub struct Settled {
    /// What was done.
    pub attempted: Attempted,
    /// What follows.
    pub next: Next,
}

/// A delivery that is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its id.
    pub id: Uuid,
    /// To whom, as it is kept.
    pub recipient: String,
    /// What is said.
    pub body: String,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// Claims at most `limit` deliveries of `channel` that are due at `now`, the longest due first.
/// Those that another process claimed and did not come back with may have been sent: that attempt
/// is kept, and they are in doubt since then.
pub async fn claim(
    pool: &PgPool,
    channel: Channel,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    let rows = sqlx::query!(
        r#"with due as materialized (
             select id, attempts as made, leased_until - make_interval(secs => $5) as lost_since
             from notification.delivery
             where status in ('pending', 'sending') and channel = $2
                 and coalesce(leased_until, due_at) <= $1
             order by coalesce(leased_until, due_at) limit $3 for update skip locked),
         lost as (
             insert into notification.attempt (delivery_id, number, started_at, outcome, detail)
             select id, made, lost_since, 'unknown', 'the process ended while it was sending'
             from due where lost_since is not null
             on conflict on constraint attempt_pkey do nothing)
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
        now + LEASE,
        LEASE.as_seconds_f64(),
    )
    .fetch_all(pool)
    .await?;
    let claimed = rows.into_iter().filter_map(|row| {
        // One that cannot be read must not hold up the others.
        let target = target(channel.as_str(), &row.recipient)
            .inspect_err(|error| tracing::error!(%error, delivery = %row.id, "not claimed"))
            .ok()?;
        Some(Claimed {
            id: row.id,
            target,
            notification: row.notification_id,
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
            provider: row.provider,
            suppressed: row.suppressed,
            number: row.attempts,
            tries: row.tries,
            unknown_since: row.unknown_since,
        })
    });
    Ok(claimed.collect())
}

/// Keeps in one statement what became of claimed deliveries at `now`. An attempt that was thought
/// lost is told as it truly ended. A delivery whose lease ended and that was claimed again keeps
/// the attempt, but its state is the new claimant's.
pub async fn settle(
    pool: &PgPool,
    settled: &[Settled],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    fn each<T>(settled: &[Settled], part: impl Fn(&Settled) -> T) -> Vec<T> {
        settled.iter().map(part).collect()
    }
    let http_status = |s: &Settled| {
        let status = s.attempted.answer.http_status;
        status.and_then(|status| i16::try_from(status).ok())
    };
    sqlx::query!(
        "with settled as materialized (
             select * from unnest($2::uuid[], $3::int[], $4::timestamptz[], $5::text[],
                 $6::text[], $7::text[], $8::smallint[], $9::int[], $10::text[], $11::int[],
                 $12::text[], $13::timestamptz[], $14::timestamptz[])
                 as settled (delivery_id, number, started_at, provider, outcome, detail,
                     http_status, provider_code, provider_message_id, latency_ms,
                     next_status, next_due_at, next_unknown_since)),
         made as (
             insert into notification.attempt (delivery_id, number, started_at, provider, outcome,
                 detail, http_status, provider_code, provider_message_id, latency_ms)
             select delivery_id, number, started_at, provider, outcome, detail, http_status,
                 provider_code, provider_message_id, latency_ms
             from settled
             on conflict on constraint attempt_pkey do update
             set provider = excluded.provider, outcome = excluded.outcome,
                 detail = excluded.detail, http_status = excluded.http_status,
                 provider_code = excluded.provider_code,
                 provider_message_id = excluded.provider_message_id,
                 latency_ms = excluded.latency_ms)
         update notification.delivery d
         set status = next_status, leased_until = null, due_at = coalesce(next_due_at, d.due_at),
             sent_at = case when next_status = 'sent' then $1::timestamptz end,
             unknown_since = next_unknown_since, provider = settled.provider,
             provider_message_id =
                 coalesce(settled.provider_message_id, d.provider_message_id),
             last_error = detail,
             reason = case when next_status = 'suppressed' then detail else d.reason end
         from settled
         where d.id = delivery_id and d.status = 'sending' and d.attempts = number",
        now,
        &each(settled, |s| s.attempted.delivery.id),
        &each(settled, |s| s.attempted.delivery.number),
        &each(settled, |s| s.attempted.started_at),
        &each(settled, |s| s.attempted.provider.to_owned()),
        &each(settled, |s| s.attempted.answer.outcome.as_str().to_owned()),
        &each(settled, |s| s.attempted.answer.detail.clone()) as &[Option<String>],
        &each(settled, http_status) as &[Option<i16>],
        &each(settled, |s| s.attempted.answer.code) as &[Option<i32>],
        &each(settled, |s| s.attempted.answer.message_id.clone()) as &[Option<String>],
        &each(settled, |s| s.attempted.latency_ms),
        &each(settled, |s| status(&s.next).to_owned()),
        &each(settled, |s| due_at(&s.next)) as &[Option<DateTime<Utc>>],
        &each(settled, |s| s.attempted.unknown_since()) as &[Option<DateTime<Utc>>],
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Tells at most `limit` deliveries of `channel` that are due at `now`, the longest due first, and
/// returns how many. For what `provider` answers at once and always well: `tell` runs between the
/// statement that records all of it and the commit, so that nothing is lost. What is not committed
/// is told again.
pub async fn tell(
    pool: &PgPool,
    channel: Channel,
    provider: &str,
    now: DateTime<Utc>,
    limit: i64,
    tell: impl Fn(&Told),
) -> Result<usize, StoreError> {
    let mut transaction = pool.begin().await?;
    let told = sqlx::query_as!(
        Told,
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
             on conflict on constraint attempt_pkey do nothing),
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
        LEASE.as_seconds_f64(),
    )
    .fetch_all(&mut *transaction)
    .await?;
    told.iter().for_each(tell);
    transaction.commit().await?;
    Ok(told.len())
}

/// Which of these provider's ids belong to deliveries that are known to be sent.
pub async fn taken(
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

const fn status(next: &Next) -> &'static str {
    match next {
        Next::Sent => "sent",
        Next::Again(_) => "pending",
        Next::Dead => "dead",
        Next::Suppressed => "suppressed",
    }
}

const fn due_at(next: &Next) -> Option<DateTime<Utc>> {
    match next {
        Next::Again(at) => Some(*at),
        Next::Sent | Next::Dead | Next::Suppressed => None,
    }
}
