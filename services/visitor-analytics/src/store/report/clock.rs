//! Days of other time zones and parts of days, computed from quarter-hour rollups.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rollups::day::LocalDay;
use rollups::fold::Metrics;
use rollups::pack::ColumnBlock;
use rollups::quarters::{QUARTER_HOUR_SECONDS, QuarterHours, visitors_of_both};
use rollups::question::seconds;

use super::series::TimeSeries;
use super::unfolded::DayDetail;
use super::{ReportPlan, ReportQuery};
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
    pub(super) async fn add_by_clock(
        &self,
        asked: &ReportQuery,
        plan: &mut ReportPlan,
        series: &mut TimeSeries,
    ) -> Result<DateTime<Utc>, StoreError> {
        if !asked.is_of_all() || plan.scanned.is_empty() {
            return Ok(asked.now);
        }
        let known = self.days_by_clock(asked, plan).await?;
        for day in std::mem::take(&mut plan.scanned) {
            match self.numbers_by_clock(asked, plan, &known, &day).await? {
                Some(numbers) => series.add_day(asked, day.date, numbers),
                None => plan.scanned.push(day),
            }
        }
        Ok(known.as_of)
    }

    async fn days_by_clock(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
    ) -> Result<QuarterHourRollups, StoreError> {
        let zone = asked.site.zone;
        let last = asked.period.to - TimeDelta::microseconds(1);
        let dates = (
            LocalDay::of(zone, asked.period.from).date,
            LocalDay::of(zone, last).date,
        );
        let mut known = QuarterHourRollups {
            days: clocks(&self.pool, asked.site.id, dates).await?,
            as_of: asked.now,
        };
        let touched: Vec<LocalDay> = plan.scanned.iter().flat_map(|d| parts(asked, d)).collect();
        for (date, change) in &plan.unfolded {
            known.days.remove(date);
            if touched.iter().all(|day| day.date != *date) {
                continue;
            }
            let day = (*date, *change);
            let found = self
                .unfolded(&asked.site, day, asked.now, DayDetail::Numbers)
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
    async fn numbers_by_clock(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        known: &QuarterHourRollups,
        wanted: &LocalDay,
    ) -> Result<Option<[Metrics; 2]>, StoreError> {
        let days: Vec<LocalDay> = parts(asked, wanted).collect();
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
            [day] => quarters(day).and_then(|quarters| quarters.numbers(from..to)),
            [day, next] => {
                let (Some(this), Some(after)) = (quarters(day), quarters(next)) else {
                    return Ok(None);
                };
                let told = known.days.get(&day.date).and_then(|d| d.overlap.as_ref());
                let is_folded = !plan.unfolded.contains_key(&next.date);
                let length = this.length().saturating_sub(from) + to;
                let told = told.filter(|_| is_folded);
                let both = match told.and_then(|overlap| overlap.visitors(from, length)) {
                    Some(both) => both,
                    None if this.is_empty() || after.is_empty() => [0; 2],
                    None => {
                        self.visitors_of_both(asked, plan, wanted, (day, next))
                            .await?
                    }
                };
                this.over_midnight(&after, both, (from, to))
            }
            _ => None,
        })
    }

    /// The number of visitors that come in both parts of a day that spans these two days of the
    /// site, if the rollups do not contain it.
    async fn visitors_of_both(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        wanted: &LocalDay,
        (day, next): (&LocalDay, &LocalDay),
    ) -> Result<[i64; 2], StoreError> {
        let packs = self.packs_of(asked, plan, day.date).await?;
        let next_packs = self.packs_of(asked, plan, next.date).await?;
        let wanted = seconds(wanted);
        let midnight = next.from.timestamp();
        Ok(visitors_of_both(
            (&packs, &(wanted.start..midnight)),
            (&next_packs, &(midnight..wanted.end)),
        ))
    }

    async fn packs_of(
        &self,
        asked: &ReportQuery,
        plan: &ReportPlan,
        date: NaiveDate,
    ) -> Result<Vec<Arc<ColumnBlock>>, StoreError> {
        let Some(change) = plan.unfolded.get(&date) else {
            return load_packs(&self.pool, asked.site.id, date, &[]).await;
        };
        let day = (date, *change);
        let found = self
            .unfolded(&asked.site, day, asked.now, DayDetail::Packs)
            .await?;
        Ok(found.packs().to_vec())
    }
}

impl QuarterHourRollups {
    /// The quarter hours of a day. A day that has no rollup and is not dirty has no visits.
    fn quarters(&self, day: &LocalDay) -> Option<QuarterHours> {
        let seconds: Range<i64> = seconds(day);
        let known = self.days.get(&day.date).map(|day| day.quarters.clone());
        let empty = QuarterHours::without_visits(&seconds)?;
        let length = empty.length();
        Some(known.unwrap_or(empty)).filter(|quarters| quarters.length() == length)
    }
}

/// The days of the site that overlap a day of the query.
fn parts(asked: &ReportQuery, day: &LocalDay) -> impl Iterator<Item = LocalDay> + use<> {
    let last = day.to - TimeDelta::microseconds(1);
    LocalDay::between(asked.site.zone, day.from, last)
}

fn quarters_between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<usize> {
    let seconds = (to - from).num_seconds();
    let quarters = usize::try_from(seconds / QUARTER_HOUR_SECONDS).ok()?;
    (seconds % QUARTER_HOUR_SECONDS == 0).then_some(quarters)
}
