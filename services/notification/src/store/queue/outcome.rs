//! Records the outcomes of claimed deliveries.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::domain::attempt::{CompletedAttempt, DeferredDelivery, NextState};

/// An attempt and the resulting state of its delivery.
#[derive(Clone, Debug)]
pub struct AttemptOutcome {
    pub attempt: CompletedAttempt,
    pub next_state: NextState,
}

/// Records outcomes in one statement. An attempt that was recorded as lost gets its real outcome.
/// If the lease expired and the delivery was claimed again, only the attempt is recorded: the state
/// of the delivery belongs to the new claim.
pub async fn record_outcomes(
    pool: &PgPool,
    settled: &[AttemptOutcome],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    fn each<T>(settled: &[AttemptOutcome], part: impl Fn(&AttemptOutcome) -> T) -> Vec<T> {
        settled.iter().map(part).collect()
    }
    let http_status = |s: &AttemptOutcome| {
        let status = s.attempt.result.http_status;
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
             -- Of a delivery that was erased meanwhile no text is kept.
             select delivery_id, number, started_at, settled.provider, outcome,
                 case when e.id is null then detail end, http_status, provider_code,
                 case when e.id is null then settled.provider_message_id end, latency_ms
             from settled
             left join notification.delivery e on e.id = delivery_id and e.reason = 'erased'
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
        &each(settled, |s| s.attempt.delivery.id),
        &each(settled, |s| s.attempt.delivery.attempt_number),
        &each(settled, |s| s.attempt.started_at),
        &each(settled, |s| s.attempt.provider.to_owned()),
        &each(settled, |s| s.attempt.result.outcome.as_str().to_owned()),
        &each(settled, |s| s.attempt.result.detail.clone()) as &[Option<String>],
        &each(settled, http_status) as &[Option<i16>],
        &each(settled, |s| s.attempt.result.code) as &[Option<i32>],
        &each(settled, |s| s.attempt.result.message_id.clone()) as &[Option<String>],
        &each(settled, |s| s.attempt.latency_ms),
        &each(settled, |s| status_text(&s.next_state).to_owned()),
        &each(settled, |s| due_at(&s.next_state)) as &[Option<DateTime<Utc>>],
        &each(settled, |s| s.attempt.unknown_since()) as &[Option<DateTime<Utc>>],
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether the database refused an outcome because the message belongs to another delivery.
#[must_use]
pub fn is_message_taken(error: &StoreError) -> bool {
    error.violates("delivery_twilio_message_key")
}

/// Makes a delivery due at `now` again whose lookup found `message_id`, the message of the delivery
/// `owner`. Returns whether there was one: its lookup had found the message by its text before the
/// outcome of `owner` was recorded.
pub async fn reopen_mistaken(
    pool: &PgPool,
    owner: Uuid,
    message_id: &str,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let reopened = sqlx::query!(
        "with mistaken as (
             update notification.attempt a
             set outcome = 'unknown', provider_message_id = null,
                 detail = 'the message that was found belongs to another delivery'
             from notification.delivery d
             where d.provider = 'twilio' and d.provider_message_id = $2 and d.id <> $1
                 and a.delivery_id = d.id and a.number = d.attempts and a.outcome = 'found'
             returning a.delivery_id, coalesce(
                 (select min(lost.started_at) from notification.attempt lost
                  where lost.delivery_id = a.delivery_id and lost.outcome = 'unknown'),
                 a.started_at) as lost_since)
         update notification.delivery d
         set status = 'pending', sent_at = null, due_at = $3, provider_message_id = null,
             unknown_since = lost_since
         from mistaken where d.id = mistaken.delivery_id and d.status in ('sent', 'dead')",
        owner,
        message_id,
        now,
    )
    .execute(pool)
    .await?;
    Ok(reopened.rows_affected() > 0)
}

/// Releases claimed deliveries that were not attempted. They are due at `until`.
pub async fn release(pool: &PgPool, held_back: &[DeferredDelivery]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = held_back.iter().map(|held| held.id).collect();
    sqlx::query!(
        "update notification.delivery d
         set status = 'pending', leased_until = null, due_at = until,
             attempts = d.attempts - 1, tries = d.tries - 1
         from unnest($1::uuid[], $2::int[], $3::timestamptz[]) as held (id, number, until)
         where d.id = held.id and d.status = 'sending' and d.attempts = held.number",
        &ids,
        &held_back
            .iter()
            .map(|h| h.attempt_number)
            .collect::<Vec<_>>(),
        &held_back
            .iter()
            .map(|h| h.deferred_until)
            .collect::<Vec<_>>(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

const fn status_text(next: &NextState) -> &'static str {
    match next {
        NextState::Sent => "sent",
        NextState::Retry(_) => "pending",
        NextState::DeadLetter => "dead",
        NextState::Unknown => "unknown",
        NextState::Suppressed => "suppressed",
    }
}

const fn due_at(next: &NextState) -> Option<DateTime<Utc>> {
    match next {
        NextState::Retry(at) => Some(*at),
        NextState::Sent | NextState::DeadLetter | NextState::Unknown | NextState::Suppressed => {
            None
        }
    }
}
