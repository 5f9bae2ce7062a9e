//! Rows of single days that reports read.

use std::collections::BTreeMap;

use chassis::database::StoreError;
use chrono::{NaiveDate, TimeDelta};
use futures::TryStreamExt as _;
use rollups::aggregate::Metrics;
use rollups::aggregate_codec::{MetricSums, add_encoded};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::query::ReportPeriod;
use uuid::Uuid;

use super::rollup_store::RollupStore;
use crate::store::site::ReportSite;

const CORRUPT_DAY_METRICS: StoreError = StoreError::Corrupt("a daily rollup");

impl RollupStore {
    /// The dirty days that overlap a period, each with the id of its last change.
    pub async fn dirty_days(
        &self,
        site: &ReportSite,
        period: &ReportPeriod,
    ) -> Result<BTreeMap<NaiveDate, Uuid>, StoreError> {
        let last = period.to - TimeDelta::microseconds(1);
        let rows = sqlx::query!(
            "select day, change from visitor_analytics.unfolded_day
             where site_id = $1 and day between $2 and $3",
            site.id,
            LocalDay::containing(site.zone, period.from).date,
            LocalDay::containing(site.zone, last).date,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.day, row.change)).collect())
    }

    /// The metrics of people and bots on the days from `first` to `last`, inclusive, without the
    /// days in `dirty`.
    pub async fn day_metrics(
        &self,
        site_id: i32,
        (first, last): (NaiveDate, NaiveDate),
        dirty: &[NaiveDate],
    ) -> Result<Vec<(NaiveDate, [Metrics; 2])>, StoreError> {
        let rows = sqlx::query!(
            "select day, numbers from visitor_analytics.rollup_day
                 where site_id = $1 and dimension = 0 and day between $2 and $3
                   and day <> all($4)",
            site_id,
            first,
            last,
            dirty,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter().map(|row| {
            let mut sums = <[MetricSums; 2]>::default();
            add_encoded(&mut sums, &row.numbers, None).ok_or(CORRUPT_DAY_METRICS)?;
            Ok((row.day, sums.map(|sums| sums.total())))
        });
        rows.collect()
    }

    /// The metrics of people and bots by hour, on these days.
    pub async fn hour_sums(
        &self,
        site_id: i32,
        dates: &[NaiveDate],
    ) -> Result<Vec<(NaiveDate, [MetricSums; 2])>, StoreError> {
        let rows = sqlx::query!(
            "select day, numbers from visitor_analytics.rollup_day
             where site_id = $1 and dimension = $2 and day = any($3)",
            site_id,
            Dimension::Hour.code(),
            dates,
        );
        let (mut rows, mut days) = (rows.fetch(&self.pool), vec![]);
        while let Some(row) = rows.try_next().await? {
            let mut sums = <[MetricSums; 2]>::default();
            add_encoded(&mut sums, &row.numbers, None).ok_or(CORRUPT_DAY_METRICS)?;
            days.push((row.day, sums));
        }
        Ok(days)
    }
}
