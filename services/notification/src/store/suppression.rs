//! The table `suppression`: who wants no more.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::StoreError;

/// An address that nothing is sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct SuppressionRow {
    /// Its id.
    pub id: Uuid,
    /// The address.
    pub address: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// At most `limit` of them older than `before`, the newest first.
pub async fn list(
    pool: &PgPool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<SuppressionRow>, StoreError> {
    let rows = sqlx::query_as!(
        SuppressionRow,
        "select id, address, reason, created_at from notification.suppression
         where id < $1 order by id desc limit $2",
        before.unwrap_or(Uuid::max()),
        limit,
    );
    Ok(rows.fetch_all(pool).await?)
}

/// Keeps an address; one that is there stays as it is.
pub async fn insert(
    pool: &PgPool,
    id: Uuid,
    address: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<SuppressionRow, StoreError> {
    let row = sqlx::query_as!(
        SuppressionRow,
        "insert into notification.suppression (id, address, reason, created_at)
         values ($1, $2, $3, $4)
         on conflict (address) do update set address = excluded.address
         returning id, address, reason, created_at",
        id,
        address,
        reason,
        now,
    );
    Ok(row.fetch_one(pool).await?)
}

/// Deletes one; whether there was one.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!("delete from notification.suppression where id = $1", id);
    Ok(done.execute(pool).await?.rows_affected() > 0)
}

/// Deletes what a STOP of this address made; what was kept for another reason stays.
pub async fn start(pool: &PgPool, address: &str, reason: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from notification.suppression where address = $1 and reason = $2",
        address,
        reason,
    )
    .execute(pool)
    .await?;
    Ok(())
}
