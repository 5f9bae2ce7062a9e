//! Plans from which source a report reads each day.

use std::collections::BTreeMap;

use chassis::database::StoreError;
use chrono::NaiveDate;
use rollups::day::LocalDay;
use uuid::Uuid;

use super::query::ReportQuery;
use super::report_engine::ReportEngine;

/// The dirty days, each with the id of its last change.
pub(super) type DirtyDayVersions = BTreeMap<NaiveDate, Uuid>;

/// The source of the numbers for each day of a query.
pub(super) struct ReportPlan {
    /// The first and last complete day with rollups. The numbers are in `rollup_day`, except for
    /// the days in `dirty` and `scanned`.
    pub(super) folded: Option<(NaiveDate, NaiveDate)>,
    /// Complete dirty days.
    pub(super) dirty: Vec<NaiveDate>,
    /// Days of which a part or some of the visits count.
    pub(super) scanned: Vec<LocalDay>,
    pub(super) dirty_versions: DirtyDayVersions,
}

impl ReportEngine {
    /// The dirty days of a query's period.
    pub(super) async fn load_dirty_versions(
        &self,
        query: &ReportQuery,
    ) -> Result<DirtyDayVersions, StoreError> {
        let rollups = &self.store.rollups;
        rollups.dirty_days(&query.site, &query.period).await
    }

    pub(super) async fn plan_report(&self, query: &ReportQuery) -> Result<ReportPlan, StoreError> {
        let dirty_versions = self.load_dirty_versions(query).await?;
        let mut plan = ReportPlan {
            folded: None,
            dirty: vec![],
            scanned: vec![],
            dirty_versions,
        };
        let uses_rollups = query.is_unfiltered() && query.period.zone == query.site.zone;
        for day in query.period.days() {
            if !uses_rollups || LocalDay::new(query.site.zone, day.date) != day {
                plan.scanned.push(day);
                continue;
            }
            if plan.dirty_versions.contains_key(&day.date) {
                plan.dirty.push(day.date);
            } else {
                let (_, last) = plan.folded.get_or_insert((day.date, day.date));
                *last = day.date;
            }
        }
        Ok(plan)
    }
}
