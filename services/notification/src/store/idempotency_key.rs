//! The table `idempotency_key`.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;

/// How long a key is kept.
const KEPT: TimeDelta = TimeDelta::hours(24);
/// The most keys that are deleted at once, so that nobody waits for it.
const AT_ONCE: i64 = 10_000;

/// An idempotency key, as one caller used it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The caller: the token's subject. Callers do not share keys.
    pub subject: String,
    /// The header's value.
    pub key: String,
    /// The SHA-256 of the request's body in its canonical form.
    pub body_sha256: [u8; 32],
}

/// Keeps `key` for `notification`, unless it is kept already; the row is then locked until the
/// transaction ends.
pub(super) async fn insert(
    transaction: &mut PgConnection,
    key: &Key,
    notification: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into notification.idempotency_key as kept
             (subject, key, body_sha256, notification_id, created_at)
         values ($1, $2, $3, $4, $5)
         on conflict on constraint idempotency_key_pkey do update
         set body_sha256 = excluded.body_sha256, notification_id = excluded.notification_id,
             created_at = excluded.created_at
         where kept.created_at <= $6",
        key.subject,
        key.key,
        &key.body_sha256,
        notification,
        now,
        now - KEPT,
    )
    .execute(transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The notification that `key` is kept for, and whether the body was the same.
pub(super) async fn get(
    transaction: &mut PgConnection,
    key: &Key,
) -> Result<(Uuid, bool), StoreError> {
    let row = sqlx::query!(
        "select notification_id, body_sha256 from notification.idempotency_key
         where subject = $1 and key = $2",
        key.subject,
        key.key,
    )
    .fetch_one(transaction)
    .await?;
    Ok((row.notification_id, row.body_sha256 == key.body_sha256))
}

/// Deletes keys that need no longer be kept; returns how many.
pub async fn delete_old(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.idempotency_key where (subject, key) in (
             select subject, key from notification.idempotency_key
             where created_at <= $1 order by created_at limit $2 for update skip locked)",
        now - KEPT,
        AT_ONCE,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
