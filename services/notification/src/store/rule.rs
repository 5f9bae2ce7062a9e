//! The table `rule`.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::routing_table::MAX_RULES;
use crate::domain::rule::RuleSpec;

#[derive(Clone, Debug, PartialEq)]
pub struct RuleRow {
    pub id: Uuid,
    pub spec: Json<RuleSpec>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// When the rule was disabled after repeated failures.
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_reason: Option<String>,
}

/// The rule that the first migration inserts.
const DEFAULT_RULE_ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

/// Whether this is the default rule without changes. Its definition then comes from the code and
/// not from the database: an older version that runs at the same time might not be able to read a
/// newer definition.
pub(super) fn is_unmodified_default(
    id: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
) -> bool {
    id == DEFAULT_RULE_ID && created_at == updated_at
}

impl RuleRow {
    fn with_current_default(self) -> Self {
        if is_unmodified_default(self.id, self.created_at, self.updated_at) {
            let spec = Json(RuleSpec::default_visitor_rule());
            return Self { spec, ..self };
        }
        self
    }
}

/// The stored form of a rule. Unused fields that older versions do not know are omitted.
fn stored_spec(spec: &RuleSpec) -> Json<serde_json::Value> {
    let mut kept = serde_json::to_value(spec).unwrap_or_default();
    if let (Some(throttle), Some(fields)) = (&spec.throttle, kept["throttle"].as_object_mut()) {
        if throttle.total.is_none() {
            fields.remove("total");
        }
        if !throttle.notice {
            fields.remove("notice");
        }
    }
    Json(kept)
}

/// Returns at most `limit` rules older than `before`, newest first.
pub async fn list(
    pool: &PgPool,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<RuleRow>, StoreError> {
    let rows = sqlx::query_as!(
        RuleRow,
        r#"select id, spec as "spec: Json<RuleSpec>", created_at, updated_at, disabled_at,
             disabled_reason
         from notification.rule where id < $1 order by id desc limit $2"#,
        before.unwrap_or(Uuid::max()),
        limit,
    );
    let rows = rows.fetch_all(pool).await?.into_iter();
    Ok(rows.map(RuleRow::with_current_default).collect())
}

pub async fn get(pool: &PgPool, id: Uuid) -> Result<Option<RuleRow>, StoreError> {
    let row = sqlx::query_as!(
        RuleRow,
        r#"select id, spec as "spec: Json<RuleSpec>", created_at, updated_at, disabled_at,
             disabled_reason
         from notification.rule where id = $1"#,
        id,
    );
    Ok(row
        .fetch_optional(pool)
        .await?
        .map(RuleRow::with_current_default))
}

/// Returns `None` if the maximum number of rules is reached.
pub async fn insert(
    pool: &PgPool,
    id: Uuid,
    spec: &RuleSpec,
    now: DateTime<Utc>,
) -> Result<Option<RuleRow>, StoreError> {
    let row = sqlx::query_as!(
        RuleRow,
        r#"insert into notification.rule (id, spec, created_at, updated_at)
         select $1, $2, $3, $3 where (select count(*) from notification.rule) < $4
         returning id, spec as "spec: Json<RuleSpec>", created_at, updated_at, disabled_at,
             disabled_reason"#,
        id,
        stored_spec(spec) as _,
        now,
        MAX_RULES,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Updates a rule and enables it if it was disabled. Returns `None` if there is no rule with this
/// id.
pub async fn update(
    pool: &PgPool,
    id: Uuid,
    spec: &RuleSpec,
    now: DateTime<Utc>,
) -> Result<Option<RuleRow>, StoreError> {
    let row = sqlx::query_as!(
        RuleRow,
        r#"update notification.rule
         set spec = $2, updated_at = greatest($3, created_at + interval '1 microsecond'),
             disabled_at = null, disabled_reason = null
         where id = $1
         returning id, spec as "spec: Json<RuleSpec>", created_at, updated_at, disabled_at,
             disabled_reason"#,
        id,
        stored_spec(spec) as _,
        now,
    );
    Ok(row.fetch_optional(pool).await?)
}

/// Disables a rule unless it was changed after `since`. Returns whether it was disabled.
pub async fn disable(
    pool: &PgPool,
    id: Uuid,
    reason: &str,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update notification.rule set disabled_at = $4, disabled_reason = $2
         where id = $1 and disabled_at is null and updated_at <= $3",
        id,
        reason,
        since,
        now,
    );
    Ok(done.execute(pool).await?.rows_affected() > 0)
}

/// Returns `false` if there is no rule with this id.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query!("delete from notification.rule where id = $1", id);
    Ok(done.execute(pool).await?.rows_affected() > 0)
}
