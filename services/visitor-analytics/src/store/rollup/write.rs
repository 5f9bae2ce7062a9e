//! Writes the rollup of a day.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::NaiveDate;
use rollups::aggregate_codec::{self, MetricSums};
use rollups::column_block::ColumnKind;
use rollups::dimension::Dimension;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{ClaimedDay, DayRollup, RollupRow, column_block, month, paths, quarter_hour};
use crate::store::dictionary::key;

/// Values per statement.
const MAX_INSERT_VALUES: usize = 5_000;
/// A value that a concurrent transaction inserts is visible to the next statement.
const MAX_VALUE_INSERT_ATTEMPTS: usize = 3;
/// The first key of the locks on the rollups of a site.
const DAY_LOCK_CLASS: i32 = 0x666f_6c64;
/// Shared by transactions that write ids of texts, and held exclusively to delete texts.
pub(in crate::store) const VALUES_LOCK: (i32, i32) = (0x666f_6c65, 0);

/// Encoded metrics of a day by dimension.
pub type EncodedMetrics = BTreeMap<Dimension, Vec<u8>>;

/// Replaces the rollup of a day and removes its mark. Returns the number of rows written, or
/// `None`, without any change, if the day changed after it was claimed.
pub(super) async fn replace(
    pool: &PgPool,
    claimed: &ClaimedDay,
    folded: &DayRollup,
) -> Result<Option<usize>, StoreError> {
    let rows = &folded.rows;
    let ids = ensure_value_ids(pool, folded.texts()).await?;
    let metrics = encode_metrics(rows, &ids);
    let encoded_paths = paths::encode_day(folded, &ids);
    let mut transaction = pool.begin().await?;
    // Months and overlaps combine several days, so the days of a site are written one at a time.
    sqlx::query!(
        "select pg_advisory_xact_lock($1, $2)",
        DAY_LOCK_CLASS,
        claimed.site_id
    )
    .execute(&mut *transaction)
    .await?;
    if !lock_values(&mut transaction, folded, &ids).await? {
        return Ok(None);
    }
    replace_metrics(&mut transaction, claimed.site_id, claimed.date, &metrics).await?;
    month::replace(&mut transaction, claimed).await?;
    paths::replace(&mut transaction, claimed, &encoded_paths).await?;
    quarter_hour::replace(&mut transaction, claimed, folded).await?;
    column_block::replace(&mut transaction, claimed, folded).await?;
    // Last, since concurrent changes of the day wait from here on.
    if !unmark(&mut *transaction, claimed).await? {
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(rows.len()))
}

/// Locks the texts to which the rollup refers until the end of the transaction. Returns `false` if
/// one was deleted after an erasure.
async fn lock_values(
    connection: &mut PgConnection,
    folded: &DayRollup,
    ids: &HashMap<Arc<str>, i32>,
) -> Result<bool, StoreError> {
    let fields = [ColumnKind::Language, ColumnKind::Properties];
    let packed = folded.blocks.iter().flat_map(|block| {
        let ids = fields.map(|field| &block.column(field).values);
        ids.into_iter().flatten().map(|id| id.cast_signed())
    });
    let ids: BTreeSet<i32> = ids.values().copied().chain(packed).collect();
    let ids: Vec<i32> = ids.into_iter().filter(|id| *id != 0).collect();
    sqlx::query!(
        "select pg_advisory_xact_lock_shared($1, $2)",
        VALUES_LOCK.0,
        VALUES_LOCK.1
    )
    .execute(&mut *connection)
    .await?;
    let existing = sqlx::query_scalar!(
        r#"select count(*) as "count!" from visitor_analytics.rollup_value where id = any($1)"#,
        &ids
    );
    let existing = existing.fetch_one(connection).await?;
    Ok(usize::try_from(existing).is_ok_and(|existing| existing == ids.len()))
}

/// Removes the mark of a day unless the day changed after it was claimed.
pub(super) async fn unmark(
    executor: impl sqlx::PgExecutor<'_>,
    claimed: &ClaimedDay,
) -> Result<bool, StoreError> {
    let deleted = sqlx::query!(
        "delete from visitor_analytics.unfolded_day
         where site_id = $1 and day = $2 and change = $3",
        claimed.site_id,
        claimed.date,
        claimed.change,
    )
    .execute(executor)
    .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Encodes rows. `ids` has the ids of the values' texts.
pub(crate) fn encode_metrics(rows: &[RollupRow], ids: &HashMap<Arc<str>, i32>) -> EncodedMetrics {
    let mut rows_by_dimension: BTreeMap<Dimension, [Vec<aggregate_codec::ValueMetrics>; 2]> =
        BTreeMap::new();
    for row in rows {
        let id = row.value.as_ref().map_or(0, |text| ids[text]);
        let classes = rows_by_dimension.entry(row.dimension).or_default();
        classes[usize::from(row.is_bot)].push((id.cast_unsigned(), row.metrics));
    }
    let rows_by_dimension = rows_by_dimension.into_iter();
    let bytes = rows_by_dimension.map(|(dimension, classes)| {
        let classes: [MetricSums; 2] = classes.map(|metrics| metrics.into_iter().collect());
        (dimension, aggregate_codec::encode(&classes))
    });
    bytes.collect()
}

async fn replace_metrics(
    connection: &mut PgConnection,
    site_id: i32,
    date: NaiveDate,
    metrics: &EncodedMetrics,
) -> Result<(), StoreError> {
    let all = Dimension::ALL.map(Dimension::code);
    sqlx::query!(
        "delete from visitor_analytics.rollup_day
         where site_id = $1 and dimension = any($2) and day = $3",
        site_id,
        &all[..],
        date,
    )
    .execute(&mut *connection)
    .await?;
    let dimensions: Vec<i16> = metrics.keys().map(|dimension| dimension.code()).collect();
    let bytes: Vec<&[u8]> = metrics.values().map(Vec::as_slice).collect();
    sqlx::query!(
        "insert into visitor_analytics.rollup_day (site_id, day, dimension, numbers)
         select $1, $2, n.* from unnest($3::smallint[], $4::bytea[]) n",
        site_id,
        date,
        &dimensions,
        &bytes as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The ids of texts; inserts missing ones. They are inserted outside of the transaction, since a
/// text to which nothing refers does no harm.
pub(super) async fn ensure_value_ids(
    pool: &PgPool,
    texts: impl Iterator<Item = &Arc<str>>,
) -> Result<HashMap<Arc<str>, i32>, StoreError> {
    let texts: BTreeMap<Uuid, &Arc<str>> = texts
        .map(|text| (key([Some(text.as_bytes())]), text))
        .collect();
    let texts: Vec<_> = texts.into_iter().collect();
    let mut ids = HashMap::new();
    for chunk in texts.chunks(MAX_INSERT_VALUES) {
        let mut missing: HashMap<Uuid, &Arc<str>> = chunk.iter().copied().collect();
        for _ in 0..MAX_VALUE_INSERT_ATTEMPTS {
            for (key, id) in insert_values(pool, &missing).await? {
                ids.extend(missing.remove(&key).map(|text| (text.clone(), id)));
            }
        }
        if !missing.is_empty() {
            return Err(StoreError::Corrupt(
                "a text that can be neither inserted nor read",
            ));
        }
    }
    Ok(ids)
}

/// Inserts values that are missing. Returns the ids of all values that are visible.
async fn insert_values(
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
