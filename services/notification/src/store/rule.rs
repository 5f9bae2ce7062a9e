//! The table `rule`.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use crate::domain::book::RULES;
use crate::domain::rule::Spec;

/// A rule as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: Uuid,
    /// What it says.
    pub spec: Json<Spec>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// At most `limit` rules older than `before`, the newest first.
pub async fn list(pool: &PgPool, before: Option<Uuid>, limit: i64) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, spec as "spec: Json<Spec>", created_at, updated_at
         from notification.rule where id < $1 order by id desc limit $2"#,
        before.unwrap_or(Uuid::max()),
        limit,
    );
    Ok(rows.fetch_all(pool).await?)
}

/// One rule.
pub async fn get(pool: &PgPool, id: Uuid) -> Result<Option<Row>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, spec as "spec: Json<Spec>", created_at, updated_at
         from notification.rule where id = $1"#,
        id,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Keeps a new rule; `None` where there are as many as there may be.
pub async fn insert(
    pool: &PgPool,
    id: Uuid,
    spec: &Spec,
    now: DateTime<Utc>,
) -> Result<Option<Row>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"insert into notification.rule (id, spec, created_at, updated_at)
         select $1, $2, $3, $3 where (select count(*) from notification.rule) < $4
         returning id, spec as "spec: Json<Spec>", created_at, updated_at"#,
        id,
        Json(spec) as _,
        now,
        RULES,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Changes a rule, where there is one.
pub async fn update(
    pool: &PgPool,
    id: Uuid,
    spec: &Spec,
    now: DateTime<Utc>,
) -> Result<Option<Row>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"update notification.rule set spec = $2, updated_at = $3 where id = $1
         returning id, spec as "spec: Json<Spec>", created_at, updated_at"#,
        id,
        Json(spec) as _,
        now,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Deletes a rule; whether there was one.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!("delete from notification.rule where id = $1", id);
    Ok(done.execute(pool).await?.rows_affected() > 0)
}
