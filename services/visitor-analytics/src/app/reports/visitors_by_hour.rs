//! The visitors of each hour of the day, each counted once in the period.

use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, Timelike as _};
use rollups::day::LocalDay;
use rollups::distinct_visitors::{DistinctVisitors, GROUP_SKETCH_ERROR};
use rollups::query::{TimeBucket, day_seconds};

use super::column_reader::{ColumnReader, Grouping};
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use super::result_cache::{ReportResult, ResultKind};
use super::visitors::{PeriodVisitorIds, VisitorCounts, counts_by_group, group_number};

const HOURS: usize = 24;

impl ReportEngine {
    /// Counts the visitors of each hour of the day. `hours` are the metrics by hour.
    pub(super) async fn count_visitors_by_hour(
        &self,
        query: &ReportQuery,
        hours: &[TimeBucket],
    ) -> Result<VisitorCounts, StoreError> {
        let mut ids = self.period_visitor_ids(query).await?;
        let groups = if ids.are_daily || query.period.days().count() < 2 {
            None
        } else {
            let mut counts = self.scan_hours(query, &mut ids).await?;
            let zone = query.period.zone;
            let lacks_visits = |start| ids.lacks_visits(query, &LocalDay::containing(zone, start));
            for hour in hours.iter().filter(|hour| lacks_visits(hour.start)) {
                let counts = &mut counts[hour.start.with_timezone(&zone).hour() as usize];
                for (count, metrics) in counts.iter_mut().zip(hour.metrics) {
                    *count += metrics.visitors;
                }
            }
            Some(counts)
        };
        Ok(ids.into_counts(groups))
    }

    async fn scan_hours(
        &self,
        query: &ReportQuery,
        ids: &mut PeriodVisitorIds,
    ) -> Result<Vec<[i64; 2]>, StoreError> {
        let zone = query.period.zone;
        let days: Vec<LocalDay> = query.period.days().collect();
        let key = self
            .folded_result_key(
                query,
                ResultKind::VisitorsByHour,
                &ids.dirty_versions,
                &days,
            )
            .await?;
        if let Some(ReportResult::Visitors {
            counts,
            is_estimated,
        }) = self.results.get(key.as_ref()).as_deref()
        {
            ids.counting.estimated_error = is_estimated.then_some(GROUP_SKETCH_ERROR);
            return Ok(counts.clone());
        }
        let mut visitors = DistinctVisitors::default();
        let mut reader = ColumnReader::new(self, query, &ids.dirty_versions, &[]);
        reader
            .for_each_day(&days, &Grouping::Total, |day, _| {
                day.for_each_visit(&day_seconds(&day.day), |rows, second| {
                    let moment = DateTime::from_timestamp(second, 0).unwrap_or_default();
                    let hour = moment.with_timezone(&zone).hour() as usize;
                    visitors.insert(group_number(hour, rows.session.is_bot), rows.visitor_key);
                });
            })
            .await?;
        ids.as_of = ids.as_of.min(reader.as_of);
        let is_estimated = visitors.is_estimated();
        ids.counting.estimated_error = is_estimated.then_some(GROUP_SKETCH_ERROR);
        let counts = counts_by_group(&visitors, HOURS);
        let result = ReportResult::Visitors {
            counts: counts.clone(),
            is_estimated,
        };
        self.results.insert(key, &Arc::new(result));
        Ok(counts)
    }
}
