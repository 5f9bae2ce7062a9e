//! The table `receipt`: what providers say about messages later.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::StoreError;
use crate::domain::receipt::ProviderReceipt;

/// The most failures that are told to their deliveries at once.
const FAILURE_BATCH_SIZE: i64 = 1_000;

/// Keeps what a provider says, unless it said more before, and tells failures to their deliveries.
pub async fn keep(
    pool: &PgPool,
    provider: &str,
    receipt: &ProviderReceipt,
    detail: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into notification.receipt as r
             (provider, message_id, status, rank, code, detail, received_at, open)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict on constraint receipt_pkey do update
         set status = excluded.status, rank = excluded.rank, code = excluded.code,
             detail = excluded.detail, received_at = excluded.received_at, open = excluded.open
         where r.rank < excluded.rank",
        provider,
        receipt.message_id,
        receipt.status,
        receipt.rank,
        receipt.code,
        detail,
        now,
        receipt.failed,
    )
    .execute(pool)
    .await?;
    tell_failures(pool).await
}

/// Makes deliveries dead letters whose messages will not arrive. One whose id is not recorded yet
/// is told later.
pub async fn tell_failures(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!(
        "with failed as materialized (
             select provider, message_id, detail from notification.receipt
             where open order by received_at limit $1),
         told as (
             update notification.delivery d
             set status = 'dead', sent_at = null, last_error = failed.detail
             from failed
             where d.provider_message_id = failed.message_id and d.provider = failed.provider
                 and d.status = 'sent'
             returning failed.provider, failed.message_id)
         update notification.receipt r set open = false from told
         where r.provider = told.provider and r.message_id = told.message_id",
        FAILURE_BATCH_SIZE,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets failures of messages that are not ours, or were not recorded in a day.
pub async fn give_up(pool: &PgPool, before: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update notification.receipt set open = false where open and received_at < $1",
        before,
    )
    .execute(pool)
    .await?;
    Ok(())
}
