//! Cohorts: computed from the visitor lists of complete days if all visits count, otherwise from
//! column blocks.

use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, NaiveDate, Utc};
use rollups::cohort::{CohortActivity, VisitorLists, encode_visitors};
use rollups::day::LocalDay;
use rollups::query::{Interval, day_seconds};

use super::column_reader::{ColumnReader, Grouping};
use super::day_aggregates::CORRUPT_DAY_METRICS;
use super::day_aggregates::DayDetail;
use super::funnel::MAX_FUNNEL_EVENTS;
use super::query::{AsOf, BoundedResult, ReportQuery};
use super::report_engine::ReportEngine;
use super::result_cache::{ReportResult, ResultKind};

/// Visitor lists that one report holds in memory, in bytes.
const MAX_VISITOR_LIST_BYTES: usize = 24 << 20;

type CohortResult = AsOf<BoundedResult<Vec<Vec<i64>>>>;

impl ReportEngine {
    /// Counts, for the cohort of each interval in the period, the visitors that come in that
    /// interval and in each later one.
    pub async fn cohorts(
        &self,
        query: &ReportQuery,
        is_bot: Option<bool>,
        interval: Interval,
    ) -> Result<AsOf<BoundedResult<Vec<Vec<i64>>>>, StoreError> {
        let zone = query.period.zone;
        let starts: Vec<_> = interval
            .buckets(&query.period)
            .iter()
            .map(|bucket| bucket.start)
            .collect();
        let (dirty_versions, days) = self.load_period_days(query).await?;
        let kind = ResultKind::Cohorts(is_bot, interval);
        let key = self
            .folded_result_key(query, kind, &dirty_versions, &days)
            .await?;
        if let Some(ReportResult::Cohorts(cohorts)) = self.results.get(key.as_ref()).as_deref() {
            return Ok(AsOf {
                value: BoundedResult::Complete(cohorts.clone()),
                as_of: query.now,
            });
        }
        if let Some(from_lists) = self
            .cohorts_from_visitor_lists(query, is_bot, interval, &starts)
            .await?
        {
            if let BoundedResult::Complete(cohorts) = &from_lists.value {
                let result = Arc::new(ReportResult::Cohorts(cohorts.clone()));
                self.results.insert(key, &result);
            }
            return Ok(from_lists);
        }
        let mut activity = CohortActivity::default();
        let mut reader = ColumnReader::new(self, query, &dirty_versions, &[]);
        reader
            .for_each_day(&days, &Grouping::Total, |day, _| {
                let start =
                    interval.bucket_start(zone, LocalDay::containing(zone, day.day.from).from);
                let Some(index) = starts
                    .iter()
                    .position(|bucket_start| *bucket_start == start)
                else {
                    return;
                };
                day.for_each_active_session(&day_seconds(&day.day), |rows| {
                    let is_wanted = is_bot.is_none_or(|is_bot| rows.session.is_bot == is_bot);
                    if is_wanted && activity.len() <= MAX_FUNNEL_EVENTS {
                        activity.add_visit(rows.visitor_key, index);
                    }
                });
            })
            .await?;
        let value = if activity.len() > MAX_FUNNEL_EVENTS {
            BoundedResult::LimitExceeded
        } else {
            let cohorts = activity.cohorts(starts.len());
            let result = Arc::new(ReportResult::Cohorts(cohorts.clone()));
            self.results.insert(key, &result);
            BoundedResult::Complete(cohorts)
        };
        Ok(AsOf {
            value,
            as_of: reader.as_of,
        })
    }

    /// Returns `None` if visits have to be scanned, or the lists are too long.
    async fn cohorts_from_visitor_lists(
        &self,
        query: &ReportQuery,
        is_bot: Option<bool>,
        interval: Interval,
        starts: &[DateTime<Utc>],
    ) -> Result<Option<CohortResult>, StoreError> {
        let plan = self.plan_report(query).await?;
        if !plan.scanned.is_empty() {
            return Ok(None);
        }
        let (mut lists, mut as_of) = (vec![], query.now);
        if let Some(period) = plan.folded {
            let rollups = &self.store.rollups;
            let loaded = rollups
                .visitor_lists(query.site.id, period, MAX_VISITOR_LIST_BYTES)
                .await?;
            let Some(mut loaded) = loaded else {
                return Ok(None);
            };
            loaded.retain(|(date, _)| !plan.dirty_versions.contains_key(date));
            lists = loaded;
        }
        for date in &plan.dirty {
            let day = (*date, plan.dirty_versions[date]);
            let aggregates = self.dirty_day(query, day, DayDetail::Blocks).await?;
            as_of = as_of.min(aggregates.as_of);
            let day = day_seconds(&LocalDay::new(query.site.zone, *date));
            let blocks = aggregates.blocks().iter();
            lists.extend(blocks.map(|block| (*date, encode_visitors(block, &day))));
        }
        let zone = query.period.zone;
        let index_of = |date: NaiveDate| {
            let start = interval.bucket_start(zone, LocalDay::new(zone, date).from);
            starts
                .iter()
                .position(|bucket_start| *bucket_start == start)
        };
        let mut visitors = VisitorLists::default();
        for (date, bytes) in &lists {
            if let Some(index) = index_of(*date) {
                visitors
                    .add_encoded(bytes, index, is_bot)
                    .ok_or(CORRUPT_DAY_METRICS)?;
            }
        }
        let value = BoundedResult::Complete(visitors.cohorts(starts.len()));
        Ok(Some(AsOf { value, as_of }))
    }
}
