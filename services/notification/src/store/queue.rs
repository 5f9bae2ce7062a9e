//! The queue of deliveries: claiming what is due, keeping what became of it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::attempt::Lost;
use super::delivery::target;
use super::{StoreError, attempt};
use crate::domain::attempt::{Attempted, Claimed, Next};
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

/// Claims at most `limit` deliveries that are due at `now`, the longest due first. Those that
/// another process claimed and did not come back with may have been sent: they are in doubt
/// since then.
pub async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    // A newer version that runs beside this one may know more channels.
    let channels = Channel::ALL.map(|channel| channel.as_str().to_owned());
    let mut transaction = pool.begin().await?;
    let rows = sqlx::query!(
        r#"with due as materialized (
             select id, leased_until as lost_lease from notification.delivery
             where status in ('pending', 'sending') and coalesce(leased_until, due_at) <= $1
                 and channel = any($2)
             order by coalesce(leased_until, due_at) limit $3 for update skip locked)
         update notification.delivery d
         set status = 'sending', leased_until = $4, attempts = attempts + 1, tries = tries + 1,
             unknown_since = coalesce(unknown_since, lost_lease - make_interval(secs => $5))
         from due where d.id = due.id
         returning d.id, channel, recipient, body, attempts, tries, unknown_since,
             lost_lease as "lost_lease?""#,
        now,
        &channels,
        limit,
        now + LEASE,
        LEASE.as_seconds_f64(),
    )
    .fetch_all(&mut *transaction)
    .await?;
    let lost: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            Some(Lost {
                delivery_id: row.id,
                number: row.attempts - 1,
                started_at: row.lost_lease? - LEASE,
            })
        })
        .collect();
    attempt::insert_lost(&mut transaction, &lost).await?;
    transaction.commit().await?;
    let claimed = rows.into_iter().filter_map(|row| {
        // One that cannot be read must not hold up the others.
        let target = target(&row.channel, &row.recipient)
            .inspect_err(|error| tracing::error!(%error, delivery = %row.id, "not claimed"))
            .ok()?;
        Some(Claimed {
            id: row.id,
            target,
            body: row.body,
            number: row.attempts,
            tries: row.tries,
            unknown_since: row.unknown_since,
        })
    });
    Ok(claimed.collect())
}

/// Keeps what became of claimed deliveries at `now`. One whose lease ended and that was claimed
/// again keeps the attempt, but its state is the new claimant's.
pub async fn settle(
    pool: &PgPool,
    settled: &[Settled],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    fn each<T>(settled: &[Settled], part: impl Fn(&Settled) -> T) -> Vec<T> {
        settled.iter().map(part).collect()
    }
    let attempts = each(settled, |s| s.attempted.clone());
    let mut transaction = pool.begin().await?;
    attempt::insert(&mut transaction, &attempts).await?;
    sqlx::query!(
        "update notification.delivery d
         set status = new.status, leased_until = null, due_at = coalesce(new.due_at, d.due_at),
             sent_at = case when new.status = 'sent' then $9::timestamptz end,
             unknown_since = new.unknown_since, provider = new.provider,
             provider_message_id = coalesce(new.message_id, d.provider_message_id),
             last_error = new.error
         from unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[],
             $6::text[], $7::text[], $8::text[])
             as new (id, number, status, due_at, unknown_since, provider, message_id, error)
         where d.id = new.id and d.status = 'sending' and d.attempts = new.number",
        &each(settled, |s| s.attempted.delivery.id),
        &each(settled, |s| s.attempted.delivery.number),
        &each(settled, |s| status(&s.next).to_owned()),
        &each(settled, |s| due_at(&s.next)) as &[Option<DateTime<Utc>>],
        &each(settled, |s| s.attempted.unknown_since()) as &[Option<DateTime<Utc>>],
        &each(settled, |s| s.attempted.provider.to_owned()),
        &each(settled, |s| s.attempted.answer.message_id.clone()) as &[Option<String>],
        &each(settled, |s| s.attempted.answer.detail.clone()) as &[Option<String>],
        now,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
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
    }
}

const fn due_at(next: &Next) -> Option<DateTime<Utc>> {
    match next {
        Next::Again(at) => Some(*at),
        Next::Sent | Next::Dead => None,
    }
}
