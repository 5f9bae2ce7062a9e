//! Partitions: one a month, made before they are needed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};

use super::{Store, StoreError};

/// The months whose partitions are known to exist, each by its first day.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    known: Arc<Mutex<BTreeSet<NaiveDate>>>,
}

const NOT_POISONED: &str = "no code panics while it holds this lock";

/// Earlier months share a partition that the migration makes.
const FIRST: NaiveDate = NaiveDate::from_ymd_opt(2024, 1, 1).expect("this day exists");

/// The tables that are partitioned by month, and how their partitions are stored: sessions grow
/// visit by visit, and find room for that where they are.
const TABLES: [(&str, &str); 2] = [("visit", ""), ("session", "with (fillfactor = 70)")];

impl Partitions {
    fn missing(&self, months: &BTreeSet<NaiveDate>) -> Vec<NaiveDate> {
        let known = self.known.lock().expect(NOT_POISONED);
        months.difference(&known).copied().collect()
    }
}

impl Store {
    /// Makes sure that visits at these moments have a place. Cheap when they have one.
    pub async fn make_room(
        &self,
        moments: impl Iterator<Item = DateTime<Utc>>,
    ) -> Result<(), StoreError> {
        let months: BTreeSet<_> = moments
            .map(month_of)
            .filter(|month| *month >= FIRST)
            .collect();
        for month in self.partitions.missing(&months) {
            make(&self.pool, month).await?;
            let mut known = self.partitions.known.lock().expect(NOT_POISONED);
            known.insert(month);
        }
        Ok(())
    }

    /// Makes the partitions of the month of `now` and of the next, so that no visit has to wait.
    pub async fn prepare_months(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let next = now.checked_add_months(Months::new(1)).unwrap_or(now);
        self.make_room([now, next].into_iter()).await
    }
}

fn month_of(moment: DateTime<Utc>) -> NaiveDate {
    let day = moment.date_naive();
    day.with_day(1).unwrap_or(day)
}

/// Makes a month's partitions, once, however many replicas try.
async fn make(pool: &PgPool, month: NaiveDate) -> Result<(), StoreError> {
    let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
    let (from, to) = (midnight(month), midnight(next));
    let mut transaction = pool.begin().await?;
    // One maker at a time: `create table if not exists` still fails where two race.
    sqlx::query!("select pg_advisory_xact_lock(hashtext('visitor_analytics.partition'))")
        .execute(&mut *transaction)
        .await?;
    for (table, storage) in TABLES {
        let statement = format!(
            "create table if not exists visitor_analytics.{table}_{:04}_{:02} \
             partition of visitor_analytics.{table} for values from ('{from}') to ('{to}') {storage}",
            month.year(),
            month.month(),
        );
        // A partition's name and bounds cannot be parameters; both are made of numbers here.
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn midnight(day: NaiveDate) -> String {
    day.and_time(NaiveTime::MIN).and_utc().to_rfc3339()
}
