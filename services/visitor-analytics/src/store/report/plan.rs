//! Plans from which source a report reads each day.

use std::collections::BTreeMap;

use chassis::database::StoreError;
use chrono::NaiveDate;
use rollups::day::LocalDay;
use rollups::query::ReportPeriod;
use uuid::Uuid;

use super::query::{ReportQuery, ReportSite};
use crate::store::Store;
use crate::store::rollup::parse_time_zone;

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

impl Store {
    /// The site with this domain. Without a domain, the only site; `None` if there are several.
    pub async fn report_site(
        &self,
        domain: Option<&str>,
    ) -> Result<Option<ReportSite>, StoreError> {
        let rows = sqlx::query!(
            "select id, domain, time_zone, properties from visitor_analytics.site
             where $1::text is null or domain = $1 limit 2",
            domain,
        );
        let mut rows = rows.fetch_all(&self.pool).await?;
        let only = rows.pop().filter(|_| rows.is_empty());
        Ok(only.map(|row| ReportSite {
            id: row.id,
            domain: row.domain,
            zone: parse_time_zone(&row.time_zone),
            properties: row.properties,
        }))
    }

    /// The dirty days of a period.
    pub(super) async fn dirty_day_versions(
        &self,
        site: &ReportSite,
        period: &ReportPeriod,
    ) -> Result<DirtyDayVersions, StoreError> {
        let last = period.to - chrono::TimeDelta::microseconds(1);
        let rows = sqlx::query!(
            "select day, change from visitor_analytics.unfolded_day
             where site_id = $1 and day between $2 and $3",
            site.id,
            LocalDay::containing(site.zone, period.from).date,
            LocalDay::containing(site.zone, last).date,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.day, row.change)).collect())
    }

    pub(super) async fn plan_report(&self, query: &ReportQuery) -> Result<ReportPlan, StoreError> {
        let dirty_versions = self.dirty_day_versions(&query.site, &query.period).await?;
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
