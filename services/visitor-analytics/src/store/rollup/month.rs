//! Monthly rollups: the sums of daily rollups, so that long periods need few rows.

use chassis::database::StoreError;
use chrono::{Datelike as _, Months, NaiveDate};
use futures::TryStreamExt as _;
use rollups::aggregate_codec::{self, MetricSums};
use rollups::dimension::Dimension;
use sqlx::PgConnection;

use super::ClaimedDay;
use super::rollup_store::RollupStore;

const CORRUPT_MONTH_METRICS: StoreError = StoreError::Corrupt("a monthly or daily rollup");

/// The first day of a date's month and of the next month.
pub(super) fn month_bounds(date: NaiveDate) -> (NaiveDate, NaiveDate) {
    let first = date.with_day(1).unwrap_or(date);
    (first, first + Months::new(1))
}

/// Replaces the rollup of the month in the transaction that writes one of its days. A month with
/// another dirty day has no rollup.
pub(super) async fn replace(
    connection: &mut PgConnection,
    claimed: &ClaimedDay,
) -> Result<(), StoreError> {
    let (first, after) = month_bounds(claimed.date);
    sqlx::query!(
        "delete from visitor_analytics.rollup_month where site_id = $1 and month = $2
             and dimension = any($3)",
        claimed.site_id,
        first,
        &Dimension::ALL.map(Dimension::code)[..],
    )
    .execute(&mut *connection)
    .await?;
    if !are_other_days_folded(connection, claimed).await? {
        return Ok(());
    }
    for dimension in Dimension::ALL {
        let mut sums = <[MetricSums; 2]>::default();
        let days = sqlx::query_scalar!(
            "select numbers from visitor_analytics.rollup_day
             where site_id = $1 and dimension = $2 and day >= $3 and day < $4",
            claimed.site_id,
            dimension.code(),
            first,
            after,
        );
        let mut days = days.fetch(&mut *connection);
        while let Some(encoded) = days.try_next().await? {
            aggregate_codec::add_encoded(&mut sums, &encoded, None).ok_or(CORRUPT_MONTH_METRICS)?;
        }
        drop(days);
        sqlx::query!(
            "insert into visitor_analytics.rollup_month (site_id, dimension, month, numbers)
             values ($1, $2, $3, $4)",
            claimed.site_id,
            dimension.code(),
            first,
            &aggregate_codec::encode(&sums),
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Whether all other days of the month are folded.
pub(super) async fn are_other_days_folded(
    connection: &mut PgConnection,
    claimed: &ClaimedDay,
) -> Result<bool, StoreError> {
    let (first, after) = month_bounds(claimed.date);
    let is_dirty = sqlx::query_scalar!(
        r#"select exists (select from visitor_analytics.unfolded_day
                          where site_id = $1 and day >= $2 and day < $3 and day <> $4) as "is!""#,
        claimed.site_id,
        first,
        after,
        claimed.date,
    );
    Ok(!is_dirty.fetch_one(connection).await?)
}

/// The complete months from `first` to `last`, inclusive, without any of the days in `dirty`.
pub(super) fn complete_months(
    first: NaiveDate,
    last: NaiveDate,
    dirty: &[NaiveDate],
) -> Vec<NaiveDate> {
    let starts = std::iter::successors(Some(month_bounds(first).0), |start| {
        Some(month_bounds(*start).1)
    });
    let months = starts.take_while(|start| *start <= last).filter(|start| {
        let (_, after) = month_bounds(*start);
        let is_dirty = |day: &NaiveDate| (*start..after).contains(day);
        *start >= first && after.pred_opt() <= Some(last) && !dirty.iter().any(is_dirty)
    });
    months.collect()
}

impl RollupStore {
    /// Sums the rollups of a dimension from `first` to `last`, inclusive, without the days in `dirty`.
    /// Returns the sums of people and bots, or only those that `is_bot` selects.
    pub async fn dimension_sums(
        &self,
        (site_id, dimension): (i32, Dimension),
        (first, last): (NaiveDate, NaiveDate),
        dirty: &[NaiveDate],
        is_bot: Option<bool>,
    ) -> Result<[MetricSums; 2], StoreError> {
        // One statement, so that a month's row cannot disappear between two.
        let months = complete_months(first, last, dirty);
        let rows = sqlx::query_scalar!(
            r#"with whole as materialized (
                   select month, numbers from visitor_analytics.rollup_month
                   where site_id = $1 and dimension = $2 and month = any($3))
               select numbers as "numbers!" from whole
               union all
               select numbers from visitor_analytics.rollup_day
               where site_id = $1 and dimension = $2 and day between $4 and $5 and day <> all($6)
                 and date_trunc('month', day::timestamp)::date not in (select month from whole)"#,
            site_id,
            dimension.code(),
            &months,
            first,
            last,
            dirty,
        );
        let mut sums = <[MetricSums; 2]>::default();
        let mut rows = rows.fetch(&self.pool);
        while let Some(encoded) = rows.try_next().await? {
            aggregate_codec::add_encoded(&mut sums, &encoded, is_bot)
                .ok_or(CORRUPT_MONTH_METRICS)?;
        }
        Ok(sums)
    }
}
