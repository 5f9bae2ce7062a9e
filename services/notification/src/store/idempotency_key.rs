//! The table `idempotency_key`; its rows are written by [`accept`](super::accept).

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

pub(super) const KEY_RETENTION: TimeDelta = TimeDelta::hours(24);
/// Bounds the time of the statement.
const KEY_DELETE_BATCH: i64 = 10_000;

/// An idempotency key and the hash of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The subject of the caller's token. Keys are unique per subject.
    pub subject: String,
    pub key: String,
    /// SHA-256 of the canonical form of the request body.
    pub body_sha256: [u8; 32],
}

impl IdempotencyKey {
    /// The primary key.
    pub(super) fn primary_key(&self) -> (&str, &str) {
        (&self.subject, &self.key)
    }
}

/// Deletes expired keys. Returns their number.
pub async fn delete_old(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.idempotency_key where (subject, key) in (
             select subject, key from notification.idempotency_key
             where created_at <= $1 order by created_at limit $2 for update skip locked)",
        now - KEY_RETENTION,
        KEY_DELETE_BATCH,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
