//! The table `idempotency_key`; its rows are written by [`accept`](super::accept).

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::StoreError;

/// How long a key is kept.
pub(super) const KEY_RETENTION: TimeDelta = TimeDelta::hours(24);
/// The most keys that are deleted at once, so that nobody waits for it.
const KEY_DELETE_BATCH: i64 = 10_000;

/// An idempotency key, and what it was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose it is. Callers do not share keys.
    pub subject: String,
    /// What the caller named it.
    pub key: String,
    /// The SHA-256 of the request's body in its canonical form.
    pub body_sha256: [u8; 32],
}

impl IdempotencyKey {
    /// What no two of them share.
    pub(super) fn name(&self) -> (&str, &str) {
        (&self.subject, &self.key)
    }
}

/// Deletes keys that need no longer be kept; returns how many.
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
