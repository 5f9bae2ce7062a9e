//! Days of other time zones and parts of days, computed from quarter-hour rollups.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rollups::aggregate::Metrics;
use rollups::column_block::ColumnBlock;
use rollups::day::LocalDay;
use rollups::quarter_hours::{QUARTER_HOUR_SECONDS, QuarterHours, count_common_visitors};
use rollups::query::day_seconds;

use super::day_aggregates::DayDetail;
use super::plan::ReportPlan;
use super::query::ReportQuery;
use super::series::TimeSeries;
use crate::store::rollup::{QuarterHourDay, clocks, load_packs};
use crate::store::{Store, StoreError};

/// The days of the site that overlap the days of a query.
struct QuarterHourRollups {
    days: BTreeMap<NaiveDate, QuarterHourDay>,
    as_of: DateTime<Utc>,
}

impl Store {
    /// Adds the scanned days of a plan that can be computed from quarter hours, and removes them
    /// from the plan.
    pub(super) async fn add_quarter_hours(
        &self,
        asked: &ReportQuery,
        plan: &mut ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        if !asked.is_unfiltered() || plan.scanned.is_empty() {
            return Ok(asked.now);
        }
        let known = self.load_quarter_hours(asked, plan).await?;
        for day in std::mem::take(&mut plan.scanned) {
            match self
                .day_from_quarter_hours(asked, plan, &known, &day)
                .await?
            {
                Some(numbers) => series.add_day(asked, day.date, numbers),
                None => plan.scanned.push(day),
            }
        }
        Ok(known.as_of)
    }

    async fn load_quarter_hours(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
    ) -> Result<QuarterHourRollups, StoreError> {
        let zone = asked.site.zone;
        let last = asked.period.to - TimeDelta::microseconds(1);
        let dates = (
            LocalDay::containing(zone, asked.period.from).date,
            LocalDay::containing(zone, last).date,
        );
        let mut known = QuarterHourRollups {
            days: clocks(&self.pool, asked.site.id, dates).await?,
            as_of: asked.now,
        };
        let touched: Vec<LocalDay> = plan
            .scanned
            .iter()
            .flat_map(|d| site_days(asked, d))
            .collect();
        for (date, change) in &plan.dirty_versions {
            known.days.remove(date);
            if touched.iter().all(|day| day.date != *date) {
                continue;
            }
            let day = (*date, *change);
            let found = self
                .dirty_day(&asked.site, day, asked.now, DayDetail::Metrics)
                .await?;
            known.as_of = known.as_of.min(found.as_of);
            if let Some(quarters) = found.quarters.clone() {
                let overlap = None;
                known
                    .days
                    .insert(*date, QuarterHourDay { quarters, overlap });
            }
        }
        Ok(known)
    }

    /// The metrics of a day or a part of it. Returns `None` if its visits have to be scanned.
    async fn day_from_quarter_hours(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        known: &QuarterHourRollups,
        wanted: &LocalDay,
    ) -> Result<Option<[Metrics; 2]>, StoreError> {
        let days: Vec<LocalDay> = site_days(asked, wanted).collect();
        let (Some(day), Some(last)) = (days.first(), days.last()) else {
            return Ok(None);
        };
        let from = quarters_between(day.from, wanted.from);
        let to = quarters_between(last.from, wanted.to);
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(None);
        };
        let quarters = |day: &LocalDay| known.quarters(day);
        Ok(match &days[..] {
            [day] => quarters(day).and_then(|quarters| quarters.metrics(from..to)),
            [day, next] => {
                let (Some(this), Some(after)) = (quarters(day), quarters(next)) else {
                    return Ok(None);
                };
                let told = known.days.get(&day.date).and_then(|d| d.overlap.as_ref());
                let is_folded = !plan.dirty_versions.contains_key(&next.date);
                let length = this.quarter_count().saturating_sub(from) + to;
                let told = told.filter(|_| is_folded);
                let both = match told.and_then(|overlap| overlap.visitors(from, length)) {
                    Some(both) => both,
                    None if this.has_no_visits() || after.has_no_visits() => [0; 2],
                    None => {
                        self.count_overlap_visitors(asked, plan, wanted, (day, next))
                            .await?
                    }
                };
                this.metrics_over_midnight(&after, both, (from, to))
            }
            _ => None,
        })
    }

    /// The number of visitors that come in both parts of a day that spans these two days of the
    /// site, if the rollups do not contain it.
    async fn count_overlap_visitors(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        wanted: &LocalDay,
        (day, next): (&LocalDay, &LocalDay),
    ) -> Result<[i64; 2], StoreError> {
        let packs = self.load_day_blocks(asked, plan, day.date).await?;
        let next_packs = self.load_day_blocks(asked, plan, next.date).await?;
        let wanted = day_seconds(wanted);
        let midnight = next.from.timestamp();
        Ok(count_common_visitors(
            (&packs, &(wanted.start..midnight)),
            (&next_packs, &(midnight..wanted.end)),
        ))
    }

    async fn load_day_blocks(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        date: NaiveDate,
    ) -> Result<Vec<Arc<ColumnBlock>>, StoreError> {
        let Some(change) = plan.dirty_versions.get(&date) else {
            return load_packs(&self.pool, asked.site.id, date, &[]).await;
        };
        let day = (date, *change);
        let found = self
            .dirty_day(&asked.site, day, asked.now, DayDetail::Blocks)
            .await?;
        Ok(found.blocks().to_vec())
    }
}

impl QuarterHourRollups {
    /// The quarter hours of a day. A day that has no rollup and is not dirty has no visits.
    fn quarters(&self, day: &LocalDay) -> Option<QuarterHours> {
        let seconds: Range<i64> = day_seconds(day);
        let known = self.days.get(&day.date).map(|day| day.quarters.clone());
        let empty = QuarterHours::without_visits(&seconds)?;
        let length = empty.quarter_count();
        Some(known.unwrap_or(empty)).filter(|quarters| quarters.quarter_count() == length)
    }
}

/// The days of the site that overlap a day of the query.
fn site_days(asked: &ReportQuery, day: &LocalDay) -> impl Iterator<Item = LocalDay> + use<> {
    let last = day.to - TimeDelta::microseconds(1);
    LocalDay::between(asked.site.zone, day.from, last)
}

fn quarters_between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<usize> {
    let seconds = (to - from).num_seconds();
    let quarters = usize::try_from(seconds / QUARTER_HOUR_SECONDS).ok()?;
    (seconds % QUARTER_HOUR_SECONDS == 0).then_some(quarters)
}
