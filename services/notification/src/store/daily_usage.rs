//! The table `spent`: the daily usage.

use std::collections::HashMap;

use chassis::database::StoreError;
use chrono::{DateTime, Days, Utc};
use sqlx::PgPool;

use crate::domain::daily_limit::{UsageBatch, UsageKey};

/// Adds a batch to the usage of today (UTC), and returns the new counts.
pub async fn add_usage(
    pool: &PgPool,
    batch: &UsageBatch,
    now: DateTime<Utc>,
) -> Result<HashMap<UsageKey, i64>, StoreError> {
    let counts: Vec<_> = batch.added.keys().cloned().collect();
    let rows = sqlx::query!(
        r#"insert into notification.spent as s (day, scope, key, count)
         select $1, scope, key, count from unnest($2::text[], $3::text[], $4::bigint[])
             as new (scope, key, count) order by scope, key
         on conflict on constraint spent_pkey do update set count = s.count + excluded.count
         returning scope, key, count"#,
        now.date_naive() as _,
        counts.iter().map(|c| c.scope).collect::<Vec<_>>() as _,
        &counts.iter().map(|c| c.key.clone()).collect::<Vec<_>>(),
        &batch.added.values().copied().collect::<Vec<_>>(),
    );
    let rows = rows.fetch_all(pool).await?;
    let mut found: HashMap<_, _> = rows
        .into_iter()
        .map(|row| ((row.scope, row.key), row.count))
        .collect();
    let count = |count: UsageKey| {
        let now = found.remove(&(count.scope.to_owned(), count.key.clone()));
        now.map(|now| (count, now))
    };
    Ok(counts.into_iter().filter_map(count).collect())
}

/// Deletes the usage of days before yesterday.
pub async fn delete_old(pool: &PgPool, now: DateTime<Utc>) -> Result<(), StoreError> {
    let yesterday = now.date_naive() - Days::new(1);
    sqlx::query!(
        "delete from notification.spent where day < $1",
        yesterday as _
    )
    .execute(pool)
    .await?;
    Ok(())
}
