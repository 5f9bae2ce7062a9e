//! Monthly partitions of visits and sessions, created before they are needed.

mod cache;

use std::collections::BTreeSet;

use chassis::database::StoreError;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

pub(super) use cache::PartitionCache;

/// Earlier months share a partition that the migration creates.
pub(super) const FIRST_MONTHLY_PARTITION: NaiveDate =
    NaiveDate::from_ymd_opt(2024, 1, 1).expect("this day exists");

/// The tables that are partitioned by month, with storage parameters. The fill factor leaves room
/// to update sessions in place.
const PARTITIONED_TABLES: [(&str, &str); 2] =
    [("visit", ""), ("session", "with (fillfactor = 70)")];

/// Partitions of visits and sessions.
#[derive(Clone, Debug)]
pub struct PartitionStore {
    pub(super) pool: PgPool,
    pub(super) partitions: PartitionCache,
}

impl PartitionStore {
    /// Creates missing partitions for visits at these times. Cheap if they exist.
    pub async fn ensure(
        &self,
        moments: impl Iterator<Item = DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let months: BTreeSet<_> = moments
            .map(month_of)
            .filter(|month| *month >= FIRST_MONTHLY_PARTITION)
            .collect();
        for month in self.partitions.missing_months(&months) {
            // Boxed, because otherwise the future of every request would reserve memory for this
            // rare call.
            Box::pin(create_partitions(&self.pool, month)).await?;
            self.partitions.insert(month);
        }
        Ok(())
    }

    /// Creates the partitions of this month and the next in advance, so that no visit has to wait.
    /// Clears the cache, since somebody may have dropped a partition by hand.
    pub async fn ensure_upcoming(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.partitions.clear();
        let next = now.checked_add_months(Months::new(1)).unwrap_or(now);
        self.ensure([now, next].into_iter()).await
    }
}

fn month_of(moment: DateTime<Utc>) -> NaiveDate {
    let day = moment.date_naive();
    day.with_day(1).unwrap_or(day)
}

pub(super) fn partition_name(table: &str, month: NaiveDate) -> String {
    format!("{table}_{:04}_{:02}", month.year(), month.month())
}

/// The month of a partition; `None` for the partition of earlier months.
pub(super) fn partition_month(name: &str) -> Option<NaiveDate> {
    let (rest, month) = name.rsplit_once('_')?;
    let (_, year) = rest.rsplit_once('_')?;
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)
}

/// Creates the partitions of a month, at most once across all replicas.
async fn create_partitions(pool: &PgPool, month: NaiveDate) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    if missing_tables(&mut transaction, month).await?.is_empty() {
        return Ok(());
    }
    // The lock serializes replicas. Of two that create the same partition, one would fail.
    sqlx::query!("select pg_advisory_xact_lock(hashtext('visitor_analytics.partition'))")
        .execute(&mut *transaction)
        .await?;
    let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
    let (from, to) = (midnight_rfc3339(month), midnight_rfc3339(next));
    for (table, storage) in missing_tables(&mut transaction, month).await? {
        let name = partition_name(table, month);
        // Created separately and then attached, which does not block reads and writes. `partition
        // of` would wait for the longest report, and every visit would wait for `partition of`.
        let statement = format!(
            "create table visitor_analytics.{name}
                 (like visitor_analytics.{table} including all) {storage};
             alter table visitor_analytics.{table} attach partition visitor_analytics.{name}
                 for values from ('{from}') to ('{to}')"
        );
        // Names and bounds of partitions cannot be parameters. Both are made of numbers here.
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Those of [`PARTITIONED_TABLES`] that have no partition for a month.
async fn missing_tables(
    connection: &mut PgConnection,
    month: NaiveDate,
) -> Result<Vec<(&'static str, &'static str)>, StoreError> {
    let names = PARTITIONED_TABLES.map(|(table, _)| partition_name(table, month));
    let found = sqlx::query_scalar!(
        r#"select relname::text as "name!" from pg_class
           where relnamespace = 'visitor_analytics'::regnamespace and relname = any($1)"#,
        &names as _,
    )
    .fetch_all(connection)
    .await?;
    let tables = PARTITIONED_TABLES.into_iter().zip(names);
    let missing = tables.filter(|(_, name)| !found.contains(name));
    Ok(missing.map(|(table, _)| table).collect())
}

pub(super) fn midnight_rfc3339(day: NaiveDate) -> String {
    day.and_time(NaiveTime::MIN).and_utc().to_rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_named_after_its_month() {
        let march = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        assert_eq!(partition_name("visit", march), "visit_2026_03");
        assert_eq!(partition_month("visit_2026_03"), Some(march));
        assert_eq!(partition_month("visit_past"), None);
    }
}
