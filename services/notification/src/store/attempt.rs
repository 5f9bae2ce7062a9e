//! The table `attempt`.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::attempt::Attempted;

/// An attempt as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The delivery it belongs to.
    pub delivery_id: Uuid,
    /// From 1.
    pub number: i32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Who was asked; `None` where the process ended in the middle.
    pub provider: Option<String>,
    /// `sent`, `found`, `transient`, `permanent` or `unknown`.
    pub outcome: String,
    /// The same in words.
    pub detail: Option<String>,
    /// The HTTP status of the provider's answer.
    pub http_status: Option<i16>,
    /// The provider's own code.
    pub provider_code: Option<i32>,
    /// The provider's id of the message.
    pub provider_message_id: Option<String>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<i32>,
}

/// An attempt whose process did not come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    pub delivery_id: Uuid,
    pub number: i32,
    pub started_at: DateTime<Utc>,
}

/// The attempts of these deliveries, in order.
pub async fn of(pool: &PgPool, deliveries: &[Uuid]) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select delivery_id, number, started_at, provider, outcome, detail, http_status,
             provider_code, provider_message_id, latency_ms
         from notification.attempt where delivery_id = any($1) order by delivery_id, number",
        deliveries,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Keeps attempts that were made. One that was thought lost is told as it truly ended.
pub(super) async fn insert(
    transaction: &mut PgConnection,
    made: &[Attempted],
) -> Result<(), StoreError> {
    fn each<T>(made: &[Attempted], part: impl Fn(&Attempted) -> T) -> Vec<T> {
        made.iter().map(part).collect()
    }
    let status = |made: &Attempted| made.answer.http_status.and_then(|s| i16::try_from(s).ok());
    sqlx::query!(
        "insert into notification.attempt as kept
             (delivery_id, number, started_at, provider, outcome, detail, http_status,
              provider_code, provider_message_id, latency_ms)
         select * from unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::text[], $5::text[],
             $6::text[], $7::smallint[], $8::int[], $9::text[], $10::int[])
         on conflict on constraint attempt_pkey do update
         set provider = excluded.provider, outcome = excluded.outcome, detail = excluded.detail,
             http_status = excluded.http_status, provider_code = excluded.provider_code,
             provider_message_id = excluded.provider_message_id, latency_ms = excluded.latency_ms",
        &each(made, |a| a.delivery.id),
        &each(made, |a| a.delivery.number),
        &each(made, |a| a.started_at),
        &each(made, |a| a.provider.to_owned()),
        &each(made, |a| a.answer.outcome.as_str().to_owned()),
        &each(made, |a| a.answer.detail.clone()) as &[Option<String>],
        &each(made, status) as &[Option<i16>],
        &each(made, |a| a.answer.code) as &[Option<i32>],
        &each(made, |a| a.answer.message_id.clone()) as &[Option<String>],
        &each(made, |a| a.latency_ms),
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// Keeps attempts that nobody came back from: their outcome is unknown.
pub(super) async fn insert_lost(
    transaction: &mut PgConnection,
    lost: &[Lost],
) -> Result<(), StoreError> {
    if lost.is_empty() {
        return Ok(());
    }
    let deliveries: Vec<_> = lost.iter().map(|lost| lost.delivery_id).collect();
    let numbers: Vec<_> = lost.iter().map(|lost| lost.number).collect();
    let times: Vec<_> = lost.iter().map(|lost| lost.started_at).collect();
    sqlx::query!(
        "insert into notification.attempt (delivery_id, number, started_at, outcome, detail)
         select delivery_id, number, started_at, 'unknown', 'the process ended while it was sending'
         from unnest($1::uuid[], $2::int[], $3::timestamptz[])
             as lost (delivery_id, number, started_at)
         on conflict on constraint attempt_pkey do nothing",
        &deliveries,
        &numbers,
        &times,
    )
    .execute(transaction)
    .await?;
    Ok(())
}
