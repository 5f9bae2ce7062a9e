//! Cohorts: computed from the visitor lists of complete days if all visits count, otherwise from
//! column blocks.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rollups::day::LocalDay;
use rollups::question::{Interval, seconds};
use rollups::retention::{CohortActivity, VisitorLists, visitors};
use rollups::scan::each_session;

use super::kept::{ReportResult, ResultKind, split};
use super::packed::{ColumnReader, Grouping};
use super::paths::{BoundedResult, MAX_FUNNEL_EVENTS};
use super::unfolded::DayDetail;
use super::{AsOf, CORRUPT_DAY_METRICS, ReportQuery};
use crate::store::rollup::visitors as visitors_of_days;
use crate::store::{Store, StoreError};

/// Visitor lists that one report holds in memory, in bytes.
const MAX_VISITOR_LIST_BYTES: usize = 24 << 20;

type CohortResult = AsOf<BoundedResult<Vec<Vec<i64>>>>;

impl Store {
    /// Counts, for the cohort of each interval in the period, the visitors that come in that
    /// interval and in each later one.
    pub async fn retention(
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
        let (unfolded, days) = self.days_of(asked).await?;
        let question = if split(asked, &unfolded, &days).1.is_empty() {
            let what = ResultKind::Retention(is_bot, interval);
            self.question(asked, what, &days).await?
        } else {
            None
        };
        if let Some(ReportResult::Retention(cohorts)) =
            self.answers.get(question.as_ref()).as_deref()
        {
            return Ok(AsOf {
                answer: BoundedResult::Fits(cohorts.clone()),
                as_of: asked.now,
            });
        }
        if let Some(told) = self
            .cohorts_of_days(asked, is_bot, interval, &starts)
            .await?
        {
            if let BoundedResult::Fits(cohorts) = &told.answer {
                let found = Arc::new(ReportResult::Retention(cohorts.clone()));
                self.answers.keep(question, &found);
            }
            return Ok(told);
        }
        let mut comings = CohortActivity::default();
        let mut reader = ColumnReader::new(self, asked, &unfolded, &[]);
        reader
            .each(&days, &Grouping::Nothing, |day, _| {
                let start = interval.start(zone, LocalDay::of(zone, day.day.from).from);
                let Some(place) = starts.iter().position(|known| *known == start) else {
                    return;
                };
                let period = seconds(&day.day);
                each_session(&day.packs, day.is_mixed, |one, run| {
                    let is_wanted = is_bot.is_none_or(|is_bot| run.session.is_bot == is_bot);
                    if !is_wanted || !one.passes_session(&run) || comings.len() > MAX_FUNNEL_EVENTS
                    {
                        return;
                    }
                    let came = run.visits.clone().any(|row| {
                        let at = one.pack.start + i64::from(one.pack.at[row]);
                        period.contains(&at) && one.passes_visit(row)
                    });
                    if came {
                        comings.add(run.visitor, place);
                    }
                });
            })
            .await?;
        let answer = if comings.len() > MAX_FUNNEL_EVENTS {
            BoundedResult::TooMuch
        } else {
            let cohorts = comings.cohorts(starts.len());
            let found = Arc::new(ReportResult::Retention(cohorts.clone()));
            self.answers.keep(question, &found);
            BoundedResult::Fits(cohorts)
        };
        Ok(AsOf {
            answer,
            as_of: reader.as_of,
        })
    }

    /// Returns `None` if visits have to be scanned, or the lists are too long.
    async fn cohorts_of_days(
        &self,
        asked: &ReportQuery,
        is_bot: Option<bool>,
        interval: Interval,
        starts: &[DateTime<Utc>],
    ) -> Result<Option<CohortResult>, StoreError> {
        let plan = self.plan(asked).await?;
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
            found.retain(|(date, _)| !plan.unfolded.contains_key(date));
            lists = found;
        }
        for date in &plan.open {
            let day = (*date, plan.unfolded[date]);
            let found = self
                .unfolded(&asked.site, day, asked.now, DayDetail::Packs)
                .await?;
            as_of = as_of.min(found.as_of);
            let day = seconds(&LocalDay::new(asked.site.zone, *date));
            let packs = found.packs().iter();
            lists.extend(packs.map(|pack| (*date, visitors(pack, &day))));
        }
        let zone = asked.period.zone;
        let place = |date: NaiveDate| {
            let start = interval.start(zone, LocalDay::new(zone, date).from);
            starts.iter().position(|known| *known == start)
        };
        let mut came = VisitorLists::default();
        for (date, bytes) in &lists {
            if let Some(place) = place(*date) {
                came.add(bytes, place, is_bot).ok_or(CORRUPT_DAY_METRICS)?;
            }
        }
        let answer = BoundedResult::Fits(came.cohorts(starts.len()));
        Ok(Some(AsOf { answer, as_of }))
    }
}
