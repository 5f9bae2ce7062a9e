//! A day's numbers, written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{DueDay, Folded, Row, pack};
use crate::domain::dimension::Dimension;
use crate::store::StoreError;
use crate::store::dimension::key;

/// Rows and values in one statement.
const CHUNK: usize = 5_000;
/// A value that somebody else adds at the same moment is seen by the next statement.
const TRIES: usize = 3;

/// Replaces what was folded before, and takes the day's mark away. Returns how many rows were
/// written; `None`, with nothing done, if the day was touched since it was taken.
pub(super) async fn replace(
    pool: &PgPool,
    due: &DueDay,
    folded: &Folded,
) -> Result<Option<usize>, StoreError> {
    let rows = &folded.rows;
    let texts = rows.iter().filter_map(|row| row.value.as_ref());
    let ids = values(pool, texts).await?;
    let mut transaction = pool.begin().await?;
    if !unmark(&mut *transaction, due).await? {
        return Ok(None);
    }
    let dimensions = Dimension::ALL.map(Dimension::code);
    sqlx::query!(
        "delete from visitor_analytics.rollup_day
         where site_id = $1 and dimension = any($2) and day = $3",
        due.site_id,
        &dimensions[..],
        due.date,
    )
    .execute(&mut *transaction)
    .await?;
    let mut lines: Vec<Line> = rows.iter().map(|row| (place(row, &ids), row)).collect();
    // In the order of the index, so that a dimension's rows lie together.
    lines.sort_unstable_by_key(|(place, _)| *place);
    for lines in lines.chunks(CHUNK) {
        insert(&mut transaction, due, lines).await?;
    }
    pack::replace(&mut transaction, due, folded).await?;
    transaction.commit().await?;
    Ok(Some(rows.len()))
}

/// Takes a day's mark away, if it was not touched since it was taken.
pub(super) async fn unmark(
    executor: impl sqlx::PgExecutor<'_>,
    due: &DueDay,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "delete from visitor_analytics.unfolded_day
         where site_id = $1 and day = $2 and change = $3",
        due.site_id,
        due.date,
        due.change,
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Where a row stands within its day: dimension, class, value.
type Place = (i16, bool, i32);
type Line<'a> = (Place, &'a Row);

fn place(row: &Row, ids: &HashMap<Arc<str>, i32>) -> Place {
    let value = row.value.as_ref().map_or(0, |text| ids[text]);
    (row.dimension.code(), row.is_bot, value)
}

async fn insert(
    connection: &mut PgConnection,
    due: &DueDay,
    lines: &[Line<'_>],
) -> Result<(), StoreError> {
    let dimensions: Vec<i16> = lines.iter().map(|(place, _)| place.0).collect();
    let bots: Vec<bool> = lines.iter().map(|(place, _)| place.1).collect();
    let values: Vec<i32> = lines.iter().map(|(place, _)| place.2).collect();
    let numbers = |of: fn(&Row) -> i64| lines.iter().map(|(_, row)| of(row)).collect::<Vec<_>>();
    sqlx::query!(
        "insert into visitor_analytics.rollup_day (site_id, day, dimension, is_bot, value_id,
             visits, visitors, sessions, bounces, seconds)
         select $1, $2, n.* from unnest($3::smallint[], $4::bool[], $5::int[], $6::bigint[],
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) n",
        due.site_id,
        due.date,
        &dimensions,
        &bots,
        &values,
        &numbers(|row| row.numbers.visits),
        &numbers(|row| row.numbers.visitors),
        &numbers(|row| row.numbers.sessions),
        &numbers(|row| row.numbers.bounces),
        &numbers(|row| row.numbers.seconds),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The numbers of the values' texts. They are added outside the transaction: one that nothing
/// refers to does no harm.
pub(in crate::store) async fn values(
    pool: &PgPool,
    texts: impl Iterator<Item = &Arc<str>>,
) -> Result<HashMap<Arc<str>, i32>, StoreError> {
    let texts: BTreeMap<Uuid, &Arc<str>> = texts
        .map(|text| (key([Some(text.as_bytes())]), text))
        .collect();
    let texts: Vec<_> = texts.into_iter().collect();
    let mut ids = HashMap::new();
    for chunk in texts.chunks(CHUNK) {
        let mut missing: HashMap<Uuid, &Arc<str>> = chunk.iter().copied().collect();
        for _ in 0..TRIES {
            for (key, id) in add(pool, &missing).await? {
                ids.extend(missing.remove(&key).map(|text| (text.clone(), id)));
            }
        }
        if !missing.is_empty() {
            return Err(StoreError::Unreadable("a value that is there and is not"));
        }
    }
    Ok(ids)
}

/// Adds values where they are missing. Returns the numbers of all that it could see.
async fn add(
    pool: &PgPool,
    values: &HashMap<Uuid, &Arc<str>>,
) -> Result<Vec<(Uuid, i32)>, StoreError> {
    if values.is_empty() {
        return Ok(vec![]);
    }
    let mut values: Vec<_> = values.iter().collect();
    values.sort_unstable_by_key(|(key, _)| **key);
    let keys: Vec<Uuid> = values.iter().map(|(key, _)| **key).collect();
    let texts: Vec<&str> = values.iter().map(|(_, text)| &****text).collect();
    let rows = sqlx::query!(
        r#"with given as materialized (select * from unnest($1::uuid[], $2::text[]) g (key, text)),
           known as (select v.key, v.id from visitor_analytics.rollup_value v
                     where v.key = any($1)),
           added as (
               insert into visitor_analytics.rollup_value (key, text)
               select key, text from given where key not in (select key from known)
               on conflict on constraint rollup_value_key_key do nothing returning key, id)
           select key as "key!", id as "id!" from known union all select key, id from added"#,
        &keys,
        &texts as _,
    );
    let rows = rows.fetch_all(pool).await?;
    Ok(rows.into_iter().map(|row| (row.key, row.id)).collect())
}
