//! The table `recipient`.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::recipient::RecipientSpec;
use crate::domain::routing_table::MAX_RECIPIENTS;

#[derive(Clone, Debug, PartialEq)]
pub struct RecipientRow {
    pub id: Uuid,
    pub spec: Json<RecipientSpec>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum UpsertOutcome {
    Stored(RecipientRow),
    /// Another recipient has this name.
    NameTaken,
    /// The maximum number of recipients is reached.
    LimitReached,
    /// There is no recipient with this id.
    NotFound,
}

/// Returns at most `limit` recipients older than `before`, newest first.
pub async fn list(
    pool: &PgPool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<RecipientRow>, StoreError> {
    let rows = sqlx::query_as!(
        RecipientRow,
        r#"select id, spec as "spec: Json<RecipientSpec>", created_at, updated_at
         from notification.recipient where id < $1 order by id desc limit $2"#,
        before.unwrap_or(Uuid::max()),
        limit,
    );
    Ok(rows.fetch_all(pool).await?)
}

pub async fn get(pool: &PgPool, id: Uuid) -> Result<Option<RecipientRow>, StoreError> {
    let row = sqlx::query_as!(
        RecipientRow,
        r#"select id, spec as "spec: Json<RecipientSpec>", created_at, updated_at
         from notification.recipient where id = $1"#,
        id,
    );
    Ok(row.fetch_optional(pool).await?)
}

pub async fn insert(
    pool: &PgPool,
    id: Uuid,
    spec: &RecipientSpec,
    now: DateTime<Utc>,
) -> Result<UpsertOutcome, StoreError> {
    let row = sqlx::query_as!(
        RecipientRow,
        r#"insert into notification.recipient (id, name, spec, created_at, updated_at)
         select $1, $2, $3, $4, $4 where (select count(*) from notification.recipient) < $5
         returning id, spec as "spec: Json<RecipientSpec>", created_at, updated_at"#,
        id,
        spec.name,
        Json(spec) as _,
        now,
        MAX_RECIPIENTS,
    );
    upsert_outcome(row.fetch_optional(pool).await, UpsertOutcome::LimitReached)
}

pub async fn update(
    pool: &PgPool,
    id: Uuid,
    spec: &RecipientSpec,
    now: DateTime<Utc>,
) -> Result<UpsertOutcome, StoreError> {
    let row = sqlx::query_as!(
        RecipientRow,
        r#"update notification.recipient set name = $2, spec = $3, updated_at = $4 where id = $1
         returning id, spec as "spec: Json<RecipientSpec>", created_at, updated_at"#,
        id,
        spec.name,
        Json(spec) as _,
        now,
    );
    upsert_outcome(row.fetch_optional(pool).await, UpsertOutcome::NotFound)
}

fn upsert_outcome(
    row: sqlx::Result<Option<RecipientRow>>,
    none: UpsertOutcome,
) -> Result<UpsertOutcome, StoreError> {
    match row {
        Ok(row) => Ok(row.map_or(none, UpsertOutcome::Stored)),
        Err(sqlx::Error::Database(error))
            if error.constraint() == Some("recipient_name_unique") =>
        {
            Ok(UpsertOutcome::NameTaken)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns `false` if there is no recipient with this id.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!("delete from notification.recipient where id = $1", id);
    Ok(done.execute(pool).await?.rows_affected() > 0)
}
