//! The table `suppression`: addresses to which nothing is sent.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
pub struct SuppressionRow {
    pub id: Uuid,
    pub address: String,
    pub reason: String,
    pub created_at: DateTime<Utc>,
}

/// Returns at most `limit` suppressions older than `before`, newest first.
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

/// Inserts an address, or returns the existing entry unchanged.
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

/// Returns `false` if there is no suppression with this id.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!("delete from notification.suppression where id = $1", id);
    Ok(done.execute(pool).await?.rows_affected() > 0)
}

/// Deletes the suppression of an address with this reason, such as a STOP. Suppressions with
/// another reason stay.
pub async fn delete_by_reason(
    pool: &PgPool,
    address: &str,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from notification.suppression where address = $1 and reason = $2",
        address,
        reason,
    )
    .execute(pool)
    .await?;
    Ok(())
}
