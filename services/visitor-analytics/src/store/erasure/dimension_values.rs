//! Deletes pages, origins and agents that only erased visits used.

use std::collections::HashSet;

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::erased_value::{
    AGENT_KIND, ErasedValue, ORIGIN_KIND, PAGE_KIND, STEP_INTERVAL, delete_settled,
};

/// Kind and id of a value.
type ValueKey = (i16, i32);

fn value_key(value: &ErasedValue) -> ValueKey {
    (value.kind, value.value_id)
}

/// Moves each value one step further: unused values are retired, retired ones deleted, and used
/// ones kept. Returns the number of deleted values.
pub(super) async fn sweep(
    pool: &PgPool,
    values: &[ErasedValue],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let used = find_used(pool, values).await?;
    let (shared, unused): (Vec<_>, Vec<_>) = values
        .iter()
        .partition(|value| used.contains(&value_key(value)));
    let (retired, new): (Vec<_>, Vec<_>) = unused
        .into_iter()
        .partition(|value| value.retired_at.is_some());
    let restored: Vec<_> = shared
        .iter()
        .copied()
        .filter(|value| value.retired_at.is_some())
        .collect();
    let mut transaction = pool.begin().await?;
    restore(&mut transaction, &restored).await?;
    let removed = delete(&mut transaction, &retired).await?;
    let settled: Vec<_> = shared.into_iter().chain(retired).collect();
    delete_settled(&mut transaction, &settled).await?;
    transaction.commit().await?;
    retire(pool, &new, now).await?;
    Ok(removed)
}

/// The values that visits use. There is no index by value, so the partitions are read one after the
/// other, newest first, each for the values not found yet. A common value costs one partition.
async fn find_used(pool: &PgPool, values: &[ErasedValue]) -> Result<HashSet<ValueKey>, StoreError> {
    let partitions = sqlx::query_scalar!(
        r#"select inhrelid::regclass::text as "name!" from pg_inherits
           where inhparent = 'visitor_analytics.visit'::regclass
           order by inhrelid::regclass::text desc"#,
    );
    let mut used = HashSet::new();
    for partition in partitions.fetch_all(pool).await? {
        let wanted = |kind: i16| -> Vec<i32> {
            let of_kind = values.iter().filter(|value| value.kind == kind);
            let missing = of_kind.filter(|value| !used.contains(&value_key(value)));
            missing.map(|value| value.value_id).collect()
        };
        let [pages, origins, agents] = [PAGE_KIND, ORIGIN_KIND, AGENT_KIND].map(wanted);
        if pages.is_empty() && origins.is_empty() && agents.is_empty() {
            break;
        }
        let statement = format!(
            "select distinct u.kind, u.id
             from {partition} v
             cross join lateral (values (1::smallint, page_id), (2::smallint, origin_id),
                 (3::smallint, agent_id)) u (kind, id)
             where (page_id = any($1) or origin_id = any($2) or agent_id = any($3))
               and u.id = any(case u.kind when 1 then $1 when 2 then $2 else $3 end)"
        );
        // The name of the partition is quoted by PostgreSQL.
        let found = sqlx::query_as(AssertSqlSafe(statement))
            .bind(&pages)
            .bind(&origins)
            .bind(&agents);
        let found: Vec<ValueKey> = match found.fetch_all(pool).await {
            // The partition was dropped meanwhile.
            Err(error) if is_undefined_table(&error) => continue,
            found => found?,
        };
        used.extend(found);
    }
    Ok(used)
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some("42P01")
}

fn ids_of_kind(values: &[&ErasedValue], kind: i16) -> Vec<i32> {
    let of_kind = values.iter().filter(|value| value.kind == kind);
    of_kind.map(|value| value.value_id).collect()
}

/// Gives values a random key, so that new visits do not find them and insert them again.
async fn retire(
    pool: &PgPool,
    values: &[&ErasedValue],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let [pages, origins, agents] =
        [PAGE_KIND, ORIGIN_KIND, AGENT_KIND].map(|kind| ids_of_kind(values, kind));
    sqlx::query!(
        "with pages as (
             update visitor_analytics.page set key = gen_random_uuid() where id = any($1)),
         origins as (
             update visitor_analytics.origin set key = gen_random_uuid() where id = any($2)),
         agents as (
             update visitor_analytics.agent set key = gen_random_uuid() where id = any($3)),
         retired as materialized (
             select kind, value_id, key from visitor_analytics.erased_value
             where kind = 1 and value_id = any($1) or kind = 2 and value_id = any($2)
                or kind = 3 and value_id = any($3)
             order by kind, value_id, key for update)
         update visitor_analytics.erased_value v set retired_at = $4, due_at = $5
         from retired r where v.kind = r.kind and v.value_id = r.value_id and v.key = r.key",
        &pages,
        &origins,
        &agents,
        now,
        now + STEP_INTERVAL,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Returns their keys to values that visits use after all. If the value was inserted again
/// meanwhile, the key stays as it is: the value then has two ids, and reports add up all ids of one
/// text.
async fn restore(connection: &mut PgConnection, values: &[&ErasedValue]) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let kinds: Vec<i16> = values.iter().map(|value| value.kind).collect();
    let ids: Vec<i32> = values.iter().map(|value| value.value_id).collect();
    let keys: Vec<Uuid> = values.iter().map(|value| value.key).collect();
    sqlx::query!(
        "with back as materialized (
             select * from unnest($1::smallint[], $2::int[], $3::uuid[]) as b (kind, id, key)),
         pages as (
             update visitor_analytics.page p set key = b.key from back b
             where b.kind = 1 and p.id = b.id and not exists (
                 select from visitor_analytics.page o where o.key = b.key)),
         origins as (
             update visitor_analytics.origin p set key = b.key from back b
             where b.kind = 2 and p.id = b.id and not exists (
                 select from visitor_analytics.origin o where o.key = b.key))
         update visitor_analytics.agent p set key = b.key from back b
         where b.kind = 3 and p.id = b.id and not exists (
             select from visitor_analytics.agent o where o.key = b.key)",
        &kinds,
        &ids,
        &keys,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn delete(connection: &mut PgConnection, values: &[&ErasedValue]) -> Result<u64, StoreError> {
    if values.is_empty() {
        return Ok(0);
    }
    let [pages, origins, agents] =
        [PAGE_KIND, ORIGIN_KIND, AGENT_KIND].map(|kind| ids_of_kind(values, kind));
    let removed = sqlx::query_scalar!(
        r#"with pages as (
               delete from visitor_analytics.page where id = any($1) returning id),
           origins as (
               delete from visitor_analytics.origin where id = any($2) returning id),
           agents as (
               delete from visitor_analytics.agent where id = any($3) returning id)
           select (select count(*) from pages) + (select count(*) from origins)
                + (select count(*) from agents) as "removed!""#,
        &pages,
        &origins,
        &agents,
    );
    let removed = removed.fetch_one(connection).await?;
    Ok(removed.cast_unsigned())
}
