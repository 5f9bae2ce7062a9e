//! Deletes notifications and receipts after their retention.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::notification::{MAX_DIGEST_WINDOW, min_id_at};

/// Rows per statement, to bound its time.
pub const RETENTION_BATCH_SIZE: i64 = 1_000;

/// Deletes notifications that were accepted before `before`, oldest first, with their deliveries,
/// attempts and receipts. Keeps notifications with pending deliveries. Digested notifications are
/// kept for the longest digest window in addition, because an open digest may contain them. Returns
/// the number of notifications.
pub async fn delete_old(pool: &PgPool, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "with old as materialized (
             select id from notification.notification n
             where id < $1 and created_at < $2
                 and (status <> 'digested' or created_at < $3)
                 and not exists (select from notification.delivery d
                     where d.notification_id = n.id and d.status in ('pending', 'sending'))
             order by id limit $4 for update skip locked),
         delivered as (
             delete from notification.delivery d using old where d.notification_id = old.id
             returning d.id, d.provider, d.provider_message_id),
         tried as (
             delete from notification.attempt a using delivered where a.delivery_id = delivered.id),
         gathered as (
             delete from notification.digest_member m using old where m.notification_id = old.id),
         said as (
             delete from notification.receipt r using delivered
             where r.provider = delivered.provider
                 and r.message_id = delivered.provider_message_id)
         delete from notification.notification n using old where n.id = old.id",
        min_id_at(before + TimeDelta::seconds(1)),
        before,
        before - MAX_DIGEST_WINDOW,
        RETENTION_BATCH_SIZE,
    );
    Ok(done.execute(pool).await?.rows_affected())
}

/// Deletes receipts that were received before `before`, such as those about messages of other
/// systems. Returns their number.
pub async fn delete_old_receipts(pool: &PgPool, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.receipt where (provider, message_id) in (
             select provider, message_id from notification.receipt
             where received_at < $1 order by received_at limit $2 for update skip locked)",
        before,
        RETENTION_BATCH_SIZE,
    );
    Ok(done.execute(pool).await?.rows_affected())
}
