//! Deletes texts from `rollup_value` that only erased visits used. Rollups and column blocks refer
//! to them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use futures::TryStreamExt as _;
use rollups::journey::{PathCounts, around};
use rollups::pack::numbers_of_column;
use rollups::sums::{self, MetricSums};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::value::{ErasedValue, STEP, settle};
use crate::store::StoreError;
use crate::store::rollup::VALUES_LOCK;

const UNREADABLE: StoreError = StoreError::Unreadable("a rollup");

/// Deletes texts to which nothing refers. Rollups of dirty days do not count, since they are
/// computed again; a text to which only these refer is checked again later. Returns the number of
/// deleted texts.
pub(super) async fn sweep(
    pool: &PgPool,
    values: &[ErasedValue],
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut uses = Uses::of(&mut connection, values).await?;
    uses.find(&mut connection).await?;
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
        uses = Uses::of(&mut transaction, values).await?;
        uses.find(&mut transaction).await?;
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
    settle(&mut transaction, &done).await?;
    let later: Vec<Uuid> = later.iter().map(|value| value.key).collect();
    sqlx::query!(
        "update visitor_analytics.erased_value set due_at = $2 where kind = 4 and key = any($1)",
        &later,
        now + STEP,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(removed)
}

/// Where texts are used.
struct Uses {
    /// Texts to which no valid rollup refers, as far as is known.
    wanted: HashMap<i32, Uuid>,
    /// Texts to which an outdated rollup refers.
    stale: HashSet<i32>,
    /// Days without valid rollups.
    unfolded: HashSet<(i32, NaiveDate)>,
    /// The months of the dirty days, each by its first day.
    months: HashSet<(i32, NaiveDate)>,
}

impl Uses {
    async fn of(connection: &mut PgConnection, values: &[ErasedValue]) -> Result<Self, StoreError> {
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
            wanted,
            stale: HashSet::new(),
            months: unfolded.iter().map(first).collect(),
            unfolded,
        })
    }

    fn unused(&self) -> Vec<i32> {
        let unused = self.wanted.keys().filter(|id| !self.stale.contains(id));
        unused.copied().collect()
    }

    fn stale_keys(&self) -> impl Iterator<Item = Uuid> {
        let stale = self.wanted.iter().filter(|(id, _)| self.stale.contains(id));
        stale.map(|(_, key)| *key)
    }

    fn meet(&mut self, number: u32, is_stale: bool) {
        let id = number.cast_signed();
        if !is_stale {
            self.wanted.remove(&id);
        } else if self.wanted.contains_key(&id) {
            self.stale.insert(id);
        }
    }

    /// Scans all rollups, row by row, until each text has been found. About 30 million values per
    /// second.
    async fn find(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        self.find_in_sums(connection).await?;
        self.find_in_ways(connection).await?;
        self.find_in_packs(connection).await
    }

    async fn find_in_sums(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"select site_id as "site_id!", day as "day!", false as "is_month!",
                      numbers as "numbers!"
               from visitor_analytics.rollup_day
               union all
               select site_id, month, true, numbers from visitor_analytics.rollup_month"#,
        );
        let mut rows = rows.fetch(connection);
        while !self.wanted.is_empty() {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            let is_stale = self.is_stale(row.site_id, row.day, row.is_month);
            let mut all = <[MetricSums; 2]>::default();
            sums::add_bytes(&mut all, &row.numbers, None).ok_or(UNREADABLE)?;
            for (value, _) in all.iter().flat_map(MetricSums::lines) {
                self.meet(*value, is_stale);
            }
        }
        Ok(())
    }

    async fn find_in_ways(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "select site_id, day, is_month, depth, ways from visitor_analytics.rollup_ways"
        );
        let mut rows = rows.fetch(connection);
        while !self.wanted.is_empty() {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            let is_stale = self.is_stale(row.site_id, row.day, row.is_month);
            if row.depth == 0 {
                around::pages(&row.ways, |page| self.meet(page, is_stale)).ok_or(UNREADABLE)?;
                let mut neighbours = around::AdjacentPages::default();
                neighbours
                    .add_bytes(&row.ways, None, |_| true)
                    .ok_or(UNREADABLE)?;
                let pages = neighbours.before.keys().chain(neighbours.after.keys());
                pages.for_each(|page| self.meet(*page, is_stale));
            } else {
                let mut ways = PathCounts::default();
                ways.add_bytes(&row.ways, None).ok_or(UNREADABLE)?;
                let pages = ways.counts.keys().flat_map(|(pages, _)| pages);
                pages.for_each(|page| self.meet(*page, is_stale));
            }
        }
        Ok(())
    }

    async fn find_in_packs(&mut self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "select site_id, day, language, properties from visitor_analytics.visit_pack"
        );
        let mut rows = rows.fetch(connection);
        while !self.wanted.is_empty() {
            let Some(row) = rows.try_next().await? else {
                break;
            };
            let is_stale = self.is_stale(row.site_id, row.day, false);
            let columns = [Some(row.language), row.properties];
            for column in columns.into_iter().flatten() {
                let numbers = numbers_of_column(&column).ok_or(UNREADABLE)?;
                for number in numbers {
                    self.meet(number, is_stale);
                }
            }
        }
        Ok(())
    }

    fn is_stale(&self, site_id: i32, day: NaiveDate, is_month: bool) -> bool {
        let days = if is_month {
            &self.months
        } else {
            &self.unfolded
        };
        days.contains(&(site_id, day))
    }
}
