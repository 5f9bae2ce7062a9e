//! Deletes texts from `rollup_value` that only erased visits used. Rollups and column blocks refer
//! to them.

use std::collections::{HashMap, HashSet};

use chassis::database::StoreError;
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use futures::TryStreamExt as _;
use rollups::aggregate_codec::{self, MetricSums};
use rollups::column_block::decode_column_values;
use rollups::paths::{PathCounts, adjacent_pages};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::erased_value::{ErasedValue, STEP_INTERVAL, delete_settled};
use crate::store::rollup::VALUES_LOCK;

const CORRUPT_ROLLUP: StoreError = StoreError::Corrupt("a rollup");

/// Deletes texts to which nothing refers. Rollups of dirty days do not count, since they are
/// computed again; a text to which only these refer is checked again later. Returns the number of
/// deleted texts.
pub(super) async fn sweep(
    pool: &PgPool,
    values: &[ErasedValue],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut uses = TextUsage::load(&mut connection, values).await?;
    uses.scan(&mut connection).await?;
    drop(connection);
    let mut transaction = pool.begin().await?;
    let mut removed = 0;
    if !uses.unused().is_empty() {
        // A fold checks under this lock that its texts still exist.
        sqlx::query!(
            "select pg_advisory_xact_lock($1, $2)",
            VALUES_LOCK.0,
            VALUES_LOCK.1
        )
        .execute(&mut *transaction)
        .await?;
        uses = TextUsage::load(&mut transaction, values).await?;
        uses.scan(&mut transaction).await?;
        let unused = uses.unused();
        let done = sqlx::query!(
            "delete from visitor_analytics.rollup_value where id = any($1)",
            &unused
        );
        removed = done.execute(&mut *transaction).await?.rows_affected();
    }
    let stale: HashSet<Uuid> = uses.stale_keys().collect();
    let (later, done): (Vec<_>, Vec<_>) =
        values.iter().partition(|value| stale.contains(&value.key));
    delete_settled(&mut transaction, &done).await?;
    let later: Vec<Uuid> = later.iter().map(|value| value.key).collect();
    sqlx::query!(
        "update visitor_analytics.erased_value set due_at = $2 where kind = 4 and key = any($1)",
        &later,
        now + STEP_INTERVAL,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(removed)
}

/// Where texts are used.
struct TextUsage {
    /// Texts to which no valid rollup refers, as far as is known.
    candidates: HashMap<i32, Uuid>,
    /// Texts to which an outdated rollup refers.
    stale: HashSet<i32>,
    /// Days without valid rollups.
    dirty_days: HashSet<(i32, NaiveDate)>,
    /// The months of the dirty days, each by its first day.
    dirty_months: HashSet<(i32, NaiveDate)>,
}

impl TextUsage {
    async fn load(
        connection: &mut PgConnection,
        values: &[ErasedValue],
    ) -> Result<Self, StoreError> {
        let keys: Vec<Uuid> = values.iter().map(|value| value.key).collect();
        let rows = sqlx::query!(
            "select id, key from visitor_analytics.rollup_value where key = any($1)",
            &keys
        );
        let rows = rows.fetch_all(&mut *connection).await?.into_iter();
        let wanted = rows.map(|row| (row.id, row.key)).collect();
        let days = sqlx::query!("select site_id, day from visitor_analytics.unfolded_day");
        let days = days.fetch_all(connection).await?.into_iter();
        let unfolded: HashSet<_> = days.map(|row| (row.site_id, row.day)).collect();
        let first = |(site, day): &(i32, NaiveDate)| (*site, day.with_day(1).unwrap_or(*day));
        Ok(Self {
            candidates: wanted,
            stale: HashSet::new(),
            dirty_months: unfolded.iter().map(first).collect(),
            dirty_days: unfolded,
        })
    }

    fn unused(&self) -> Vec<i32> {
        let unused = self.candidates.keys().filter(|id| !self.stale.contains(id));
        unused.copied().collect()
    }

    fn stale_keys(&self) -> impl Iterator<Item = Uuid> {
        let stale = self
            .candidates
            .iter()
            .filter(|(id, _)| self.stale.contains(id));
        stale.map(|(_, key)| *key)
    }

    fn record_use(&mut self, number: u32, is_stale: bool) {
        let id = number.cast_signed();
        if !is_stale {
            self.candidates.remove(&id);
        } else if self.candidates.contains_key(&id) {
            self.stale.insert(id);
        }
    }

    /// Scans all rollups, row by row, until each text has been found. About 30 million values per
    /// second.
    async fn scan(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.scan_rollups(connection).await?;
        self.scan_paths(connection).await?;
        self.scan_column_blocks(connection).await
    }

    async fn scan_rollups(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"select site_id as "site_id!", day as "day!", false as "is_month!",
                      numbers as "numbers!"
               from visitor_analytics.rollup_day
               union all
               select site_id, month, true, numbers from visitor_analytics.rollup_month"#,
        );
        let mut rows = rows.fetch(connection);
        while !self.candidates.is_empty() {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            let is_stale = self.is_stale(row.site_id, row.day, row.is_month);
            let mut all = <[MetricSums; 2]>::default();
            aggregate_codec::add_encoded(&mut all, &row.numbers, None).ok_or(CORRUPT_ROLLUP)?;
            for (value, _) in all.iter().flat_map(MetricSums::entries) {
                self.record_use(*value, is_stale);
            }
        }
        Ok(())
    }

    async fn scan_paths(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "select site_id, day, is_month, depth, ways from visitor_analytics.rollup_ways"
        );
        let mut rows = rows.fetch(connection);
        while !self.candidates.is_empty() {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            let is_stale = self.is_stale(row.site_id, row.day, row.is_month);
            if row.depth == 0 {
                adjacent_pages::for_each_page(&row.ways, |page| self.record_use(page, is_stale))
                    .ok_or(CORRUPT_ROLLUP)?;
                let mut adjacent = adjacent_pages::AdjacentPages::default();
                adjacent
                    .add_encoded(&row.ways, None, |_| true)
                    .ok_or(CORRUPT_ROLLUP)?;
                let pages = adjacent.before.keys().chain(adjacent.after.keys());
                pages.for_each(|page| self.record_use(*page, is_stale));
            } else {
                let mut paths = PathCounts::default();
                paths.add_encoded(&row.ways, None).ok_or(CORRUPT_ROLLUP)?;
                let pages = paths.counts.keys().flat_map(|(pages, _)| pages);
                pages.for_each(|page| self.record_use(*page, is_stale));
            }
        }
        Ok(())
    }

    async fn scan_column_blocks(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "select site_id, day, language, properties from visitor_analytics.visit_pack"
        );
        let mut rows = rows.fetch(connection);
        while !self.candidates.is_empty() {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            let is_stale = self.is_stale(row.site_id, row.day, false);
            let columns = [Some(row.language), row.properties];
            for column in columns.into_iter().flatten() {
                let numbers = decode_column_values(&column).ok_or(CORRUPT_ROLLUP)?;
                for number in numbers {
                    self.record_use(number, is_stale);
                }
            }
        }
        Ok(())
    }

    fn is_stale(&self, site_id: i32, day: NaiveDate, is_month: bool) -> bool {
        let days = if is_month {
            &self.dirty_months
        } else {
            &self.dirty_days
        };
        days.contains(&(site_id, day))
    }
}
