//! How often visitors come again on further days of a period, by value. Breakdowns add up the visitors
//! of days and subtract these.

use std::sync::Arc;

use chassis::database::StoreError;
use rollups::day::LocalDay;
use rollups::distinct_visitors::GROUP_SKETCH_ERROR;
use rollups::query::{Attribute, day_seconds};
use rollups::scan::GroupedMetrics;

use super::breakdown::BreakdownQuery;
use super::column_reader::{ColumnReader, DayBlocks, Grouping};
use super::plan::DirtyDayVersions;
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use super::result_cache::{RepeatVisitors, ReportResult, ResultKind};
use super::visitors::VisitorCounting;
use crate::store::ValueDictionary;

impl ReportEngine {
    /// The repeat visitors of each value; none if they are not needed.
    pub(super) async fn repeat_visitors(
        &self,
        query: &ReportQuery,
        breakdown: &BreakdownQuery,
    ) -> Result<(RepeatVisitors, VisitorCounting), StoreError> {
        let subject = breakdown.subject;
        let ids = self.period_visitor_ids(query).await?;
        let days: Vec<LocalDay> = query.period.days().collect();
        if ids.are_daily || !breakdown.needs_visitors || days.len() < 2 {
            return Ok((RepeatVisitors::default(), ids.counting));
        }
        let key = self
            .folded_result_key(
                query,
                ResultKind::RepeatVisitors(subject),
                &ids.dirty_versions,
                &days,
            )
            .await?;
        let cached = self.results.get(key.as_ref());
        let repeats = if let Some(ReportResult::RepeatVisitors(repeats)) = cached.as_deref() {
            repeats.clone()
        } else {
            let repeats = self
                .scan_repeats(query, &ids.dirty_versions, &days, subject)
                .await?;
            let result = ReportResult::RepeatVisitors(repeats.clone());
            self.results.insert(key, &Arc::new(result));
            repeats
        };
        let counting = VisitorCounting {
            estimated_error: repeats.is_estimated.then_some(GROUP_SKETCH_ERROR),
            ..ids.counting
        };
        Ok((repeats, counting))
    }

    async fn scan_repeats(
        &self,
        query: &ReportQuery,
        dirty_versions: &DirtyDayVersions,
        days: &[LocalDay],
        subject: Attribute,
    ) -> Result<RepeatVisitors, StoreError> {
        let mut reader = ColumnReader::new(self, query, dirty_versions, &[subject.column()]);
        let mut counts = GroupedMetrics::with_distinct_visitors();
        let count = |day: &DayBlocks, dictionary: &ValueDictionary| {
            counts.reserve_values(dictionary.max_id());
            counts.add_blocks(&day.blocks, &day_seconds(&day.day), day.is_multi_day);
        };
        reader
            .for_each_day(days, &Grouping::Values(subject), count)
            .await?;
        let (repeats, is_estimated) = counts.repeat_visitors();
        let by_value = self.stored_ids(&reader, repeats.into_iter()).await?;
        Ok(RepeatVisitors {
            by_value: by_value.into_iter().collect(),
            is_estimated,
        })
    }
}
