//! Days of other time zones and parts of days, computed from quarter-hour rollups.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rollups::aggregate::Metrics;
use rollups::column_block::ColumnBlock;
use rollups::day::LocalDay;
use rollups::quarter_hours::{QUARTER_HOUR_SECONDS, QuarterHours, count_common_visitors};
use rollups::query::day_seconds;

use super::day_aggregates::DayDetail;
use super::plan::ReportPlan;
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use super::series::TimeSeries;
use crate::store::QuarterHourDay;

/// The days of the site that overlap the days of a query.
struct QuarterHourRollups {
    days: BTreeMap<NaiveDate, QuarterHourDay>,
    as_of: DateTime<Utc>,
}

impl ReportEngine {
    /// Adds the scanned days of a plan that can be computed from quarter hours, and removes them
    /// from the plan.
    pub(super) async fn add_quarter_hours(
        &self,
        query: &ReportQuery,
        plan: &mut ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        if !query.is_unfiltered() || plan.scanned.is_empty() {
            return Ok(query.now);
        }
        let rollups = self.load_quarter_hours(query, plan).await?;
        for day in std::mem::take(&mut plan.scanned) {
            match self
                .day_from_quarter_hours(query, plan, &rollups, &day)
                .await?
            {
                Some(metrics) => series.add_day(query, day.date, metrics),
                None => plan.scanned.push(day),
            }
        }
        Ok(rollups.as_of)
    }

    async fn load_quarter_hours(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
    ) -> Result<QuarterHourRollups, StoreError> {
        let zone = query.site.zone;
        let last = query.period.to - TimeDelta::microseconds(1);
        let dates = (
            LocalDay::containing(zone, query.period.from).date,
            LocalDay::containing(zone, last).date,
        );
        let mut rollups = QuarterHourRollups {
            days: self
                .store
                .rollups
                .quarter_hours(query.site.id, dates)
                .await?,
            as_of: query.now,
        };
        let overlapping: Vec<LocalDay> = plan
            .scanned
            .iter()
            .flat_map(|d| site_days(query, d))
            .collect();
        for (date, change) in &plan.dirty_versions {
            rollups.days.remove(date);
            if overlapping.iter().all(|day| day.date != *date) {
                continue;
            }
            let day = (*date, *change);
            let aggregates = self.dirty_day(query, day, DayDetail::Metrics).await?;
            rollups.as_of = rollups.as_of.min(aggregates.as_of);
            if let Some(quarters) = aggregates.quarters.clone() {
                let overlap = None;
                rollups
                    .days
                    .insert(*date, QuarterHourDay { quarters, overlap });
            }
        }
        Ok(rollups)
    }

    /// The metrics of a day or a part of it. Returns `None` if its visits have to be scanned.
    async fn day_from_quarter_hours(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        rollups: &QuarterHourRollups,
        query_day: &LocalDay,
    ) -> Result<Option<[Metrics; 2]>, StoreError> {
        let days: Vec<LocalDay> = site_days(query, query_day).collect();
        let (Some(day), Some(last)) = (days.first(), days.last()) else {
            return Ok(None);
        };
        let from = quarters_between(day.from, query_day.from);
        let to = quarters_between(last.from, query_day.to);
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(None);
        };
        let quarters = |day: &LocalDay| rollups.quarters(day);
        Ok(match &days[..] {
            [day] => quarters(day).and_then(|quarters| quarters.metrics(from..to)),
            [day, next] => {
                let (Some(this), Some(after)) = (quarters(day), quarters(next)) else {
                    return Ok(None);
                };
                let known_overlap = rollups.days.get(&day.date).and_then(|d| d.overlap.as_ref());
                let is_folded = !plan.dirty_versions.contains_key(&next.date);
                let length = this.quarter_count().saturating_sub(from) + to;
                let known_overlap = known_overlap.filter(|_| is_folded);
                let common_visitors =
                    match known_overlap.and_then(|overlap| overlap.visitors(from, length)) {
                        Some(common_visitors) => common_visitors,
                        None if this.has_no_visits() || after.has_no_visits() => [0; 2],
                        None => {
                            self.count_overlap_visitors(query, plan, query_day, (day, next))
                                .await?
                        }
                    };
                this.metrics_over_midnight(&after, common_visitors, (from, to))
            }
            _ => None,
        })
    }

    /// The number of visitors that come in both parts of a day that spans these two days of the
    /// site, if the rollups do not contain it.
    async fn count_overlap_visitors(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        query_day: &LocalDay,
        (day, next): (&LocalDay, &LocalDay),
    ) -> Result<[i64; 2], StoreError> {
        let blocks = self.load_day_blocks(query, plan, day.date).await?;
        let next_blocks = self.load_day_blocks(query, plan, next.date).await?;
        let query_day = day_seconds(query_day);
        let midnight = next.from.timestamp();
        Ok(count_common_visitors(
            (&blocks, &(query_day.start..midnight)),
            (&next_blocks, &(midnight..query_day.end)),
        ))
    }

    async fn load_day_blocks(
        &self,
        query: &ReportQuery,
        plan: &ReportPlan,
        date: NaiveDate,
    ) -> Result<Vec<Arc<ColumnBlock>>, StoreError> {
        let Some(change) = plan.dirty_versions.get(&date) else {
            return self.store.rollups.blocks(query.site.id, date, &[]).await;
        };
        let day = (date, *change);
        let aggregates = self.dirty_day(query, day, DayDetail::Blocks).await?;
        Ok(aggregates.blocks().to_vec())
    }
}

impl QuarterHourRollups {
    /// The quarter hours of a day. A day that has no rollup and is not dirty has no visits.
    fn quarters(&self, day: &LocalDay) -> Option<QuarterHours> {
        let seconds: Range<i64> = day_seconds(day);
        let stored = self.days.get(&day.date).map(|day| day.quarters.clone());
        let empty = QuarterHours::without_visits(&seconds)?;
        let length = empty.quarter_count();
        Some(stored.unwrap_or(empty)).filter(|quarters| quarters.quarter_count() == length)
    }
}

/// The days of the site that overlap a day of the query.
fn site_days(query: &ReportQuery, day: &LocalDay) -> impl Iterator<Item = LocalDay> + use<> {
    let last = day.to - TimeDelta::microseconds(1);
    LocalDay::between(query.site.zone, day.from, last)
}

fn quarters_between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<usize> {
    let seconds = (to - from).num_seconds();
    let quarters = usize::try_from(seconds / QUARTER_HOUR_SECONDS).ok()?;
    (seconds % QUARTER_HOUR_SECONDS == 0).then_some(quarters)
}
