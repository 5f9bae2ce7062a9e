//! The table `receipt`: later reports of providers about messages.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::domain::provider_event::ProviderReceipt;

const FAILURE_BATCH_SIZE: i64 = 1_000;

/// Stores a receipt, unless a receipt of the same or a higher rank is stored, and applies failures
/// to their deliveries.
pub async fn upsert(
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
    apply_failures(pool).await
}

/// Turns deliveries with a failed message into dead letters. A receipt whose message id is not
/// recorded yet is applied later.
pub async fn apply_failures(pool: &PgPool) -> Result<(), StoreError> {
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

/// Closes failure receipts older than `before`: their messages belong to other systems, or were
/// never recorded.
pub async fn close_unmatched(pool: &PgPool, before: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "update notification.receipt set open = false where open and received_at < $1",
        before,
    )
    .execute(pool)
    .await?;
    Ok(())
}
