//! Cohorts: computed from the visitor lists of complete days if all visits count, otherwise from
//! column blocks.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::day::LocalDay;
use rollups::query::{Interval, day_seconds};
use rollups::retention::{CohortActivity, VisitorLists, encode_visitors};
use rollups::scan::for_each_session;

use super::column_reader::{ColumnReader, Grouping};
use super::day_aggregates::CORRUPT_DAY_METRICS;
use super::day_aggregates::DayDetail;
use super::folded_days::partition_folded;
use super::funnel::{BoundedResult, MAX_FUNNEL_EVENTS};
use super::query::{AsOf, ReportQuery};
use super::result_cache::{ReportResult, ResultKind};
use crate::store::rollup::load_visitor_lists as visitors_of_days;
use crate::store::{Store, StoreError};

/// Visitor lists that one report holds in memory, in bytes.
const MAX_VISITOR_LIST_BYTES: usize = 24 << 20;

type CohortResult = AsOf<BoundedResult<Vec<Vec<i64>>>>;

impl Store {
    /// Counts, for the cohort of each interval in the period, the visitors that come in that
    /// interval and in each later one.
    pub async fn cohorts(
        &self,
        asked: &ReportQuery,
        is_bot: Option<bool>,
        interval: Interval,
    ) -> Result<AsOf<BoundedResult<Vec<Vec<i64>>>>, StoreError> {
        let zone = asked.period.zone;
        let starts: Vec<_> = interval
            .buckets(&asked.period)
            .iter()
            .map(|bucket| bucket.start)
            .collect();
        let (unfolded, days) = self.load_period_days(asked).await?;
        let question = if partition_folded(asked, &unfolded, &days).1.is_empty() {
            let what = ResultKind::Cohorts(is_bot, interval);
            self.result_key(asked, what, &days).await?
        } else {
            None
        };
        if let Some(ReportResult::Cohorts(cohorts)) = self.results.get(question.as_ref()).as_deref()
        {
            return Ok(AsOf {
                value: BoundedResult::Complete(cohorts.clone()),
                as_of: asked.now,
            });
        }
        if let Some(told) = self
            .cohorts_from_visitor_lists(asked, is_bot, interval, &starts)
            .await?
        {
            if let BoundedResult::Complete(cohorts) = &told.value {
                let found = Arc::new(ReportResult::Cohorts(cohorts.clone()));
                self.results.insert(question, &found);
            }
            return Ok(told);
        }
        let mut comings = CohortActivity::default();
        let mut reader = ColumnReader::new(self, asked, &unfolded, &[]);
        reader
            .for_each_day(&days, &Grouping::Total, |day, _| {
                let start =
                    interval.bucket_start(zone, LocalDay::containing(zone, day.day.from).from);
                let Some(place) = starts.iter().position(|known| *known == start) else {
                    return;
                };
                let period = day_seconds(&day.day);
                for_each_session(&day.blocks, day.is_multi_day, |one, run| {
                    let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
                    if !is_wanted || !one.passes_session(&run) || comings.len() > MAX_FUNNEL_EVENTS
                    {
                        return;
                    }
                    let came = run.visits.clone().any(|row| {
                        let at = one.block.start + i64::from(one.block.times[row]);
                        period.contains(&at) && one.passes_visit(row)
                    });
                    if came {
                        comings.add_visit(run.visitor_key, place);
                    }
                });
            })
            .await?;
        let answer = if comings.len() > MAX_FUNNEL_EVENTS {
            BoundedResult::LimitExceeded
        } else {
            let cohorts = comings.cohorts(starts.len());
            let found = Arc::new(ReportResult::Cohorts(cohorts.clone()));
            self.results.insert(question, &found);
            BoundedResult::Complete(cohorts)
        };
        Ok(AsOf {
            value: answer,
            as_of: reader.as_of,
        })
    }

    /// Returns `None` if visits have to be scanned, or the lists are too long.
    async fn cohorts_from_visitor_lists(
        &self,
        asked: &ReportQuery,
        is_bot: Option<bool>,
        interval: Interval,
        starts: &[DateTime<Utc>],
    ) -> Result<Option<CohortResult>, StoreError> {
        let plan = self.plan_report(asked).await?;
        if !plan.scanned.is_empty() {
            return Ok(None);
        }
        let (mut lists, mut as_of) = (vec![], asked.now);
        if let Some(period) = plan.folded {
            let found =
                visitors_of_days(&self.pool, asked.site.id, period, MAX_VISITOR_LIST_BYTES).await?;
            let Some(mut found) = found else {
                return Ok(None);
            };
            found.retain(|(date, _)| !plan.dirty_versions.contains_key(date));
            lists = found;
        }
        for date in &plan.dirty {
            let day = (*date, plan.dirty_versions[date]);
            let found = self
                .dirty_day(&asked.site, day, asked.now, DayDetail::Blocks)
                .await?;
            as_of = as_of.min(found.as_of);
            let day = day_seconds(&LocalDay::new(asked.site.zone, *date));
            let packs = found.blocks().iter();
            lists.extend(packs.map(|pack| (*date, encode_visitors(pack, &day))));
        }
        let zone = asked.period.zone;
        let place = |date: NaiveDate| {
            let start = interval.bucket_start(zone, LocalDay::new(zone, date).from);
            starts.iter().position(|known| *known == start)
        };
        let mut came = VisitorLists::default();
        for (date, bytes) in &lists {
            if let Some(place) = place(*date) {
                came.add_encoded(bytes, place, is_bot)
                    .ok_or(CORRUPT_DAY_METRICS)?;
            }
        }
        let answer = BoundedResult::Complete(came.cohorts(starts.len()));
        Ok(Some(AsOf {
            value: answer,
            as_of,
        }))
    }
}
