//! Which days of a report are folded, and the key under which their result is cached.

use std::collections::BTreeSet;
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{NaiveDate, TimeDelta};
use rollups::day::LocalDay;
use rollups::goal::GoalMatcher;

use super::plan::DirtyDayVersions;
use super::query::ReportQuery;
use super::report_engine::ReportEngine;
use super::result_cache::{ResultKey, ResultKind};

/// Splits days into those whose rollups are valid, and those that overlap a dirty day.
pub(super) fn partition_folded(
    query: &ReportQuery,
    dirty_versions: &DirtyDayVersions,
    days: &[LocalDay],
) -> (Vec<LocalDay>, Vec<LocalDay>) {
    let dates = |day: &LocalDay| site_dates(query, day);
    let days = days.iter().copied();
    days.partition(|day| dates(day).all(|date| !dirty_versions.contains_key(&date)))
}

/// The days of the site that overlap a day of the query.
fn site_dates(query: &ReportQuery, day: &LocalDay) -> impl Iterator<Item = NaiveDate> + use<> {
    let last = day.to - TimeDelta::microseconds(1);
    LocalDay::between(query.site.zone, day.from, last).map(|day| day.date)
}

impl ReportEngine {
    /// The cache key of a query, if all its days are folded.
    pub(super) async fn folded_result_key(
        &self,
        query: &ReportQuery,
        kind: ResultKind,
        dirty_versions: &DirtyDayVersions,
        days: &[LocalDay],
    ) -> Result<Option<Arc<ResultKey>>, StoreError> {
        if partition_folded(query, dirty_versions, days).1.is_empty() {
            self.result_key(query, kind, days).await
        } else {
            Ok(None)
        }
    }

    /// The cache key of a query over days that are all folded. Returns `None` if the result depends
    /// on more than their visits.
    pub(super) async fn result_key(
        &self,
        query: &ReportQuery,
        kind: ResultKind,
        days: &[LocalDay],
    ) -> Result<Option<Arc<ResultKey>>, StoreError> {
        let goal = match &query.goal {
            None => None,
            Some(GoalMatcher::Page(pattern)) => Some(pattern.clone()),
            Some(GoalMatcher::Event(_)) => return Ok(None),
        };
        let dates: BTreeSet<NaiveDate> =
            days.iter().flat_map(|day| site_dates(query, day)).collect();
        let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
            return Ok(None);
        };
        let rollups = &self.store.rollups;
        let mut day_versions = rollups
            .block_versions(query.site.id, (*first, *last))
            .await?;
        day_versions.retain(|(date, _)| dates.contains(date));
        Ok(Some(Arc::new(ResultKey {
            kind,
            site: (query.site.id, query.site.zone),
            period: query.period,
            filters: query.filters.clone(),
            goal,
            days: day_versions,
        })))
    }
}
