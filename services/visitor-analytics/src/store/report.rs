//! Reports on the visits of a site: computed from rollups where they exist, otherwise from column
//! blocks. All metrics add up over days.

mod breakdown;
mod cohort;
mod column_reader;
mod dirty_days;
mod funnel;
mod hours;
mod lru;
mod paths;
mod realtime;
mod result_cache;
mod series;
mod time_zone_shift;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use rollups::goal::GoalMatcher;
use rollups::query::{AttributeFilter, ReportPeriod};
use uuid::Uuid;

pub use breakdown::{BreakdownOrder, BreakdownQuery, BreakdownRow};
pub(in crate::store) use dirty_days::DayAggregateCache;
pub use funnel::{BoundedResult, FunnelStep};
pub use paths::{AdjacentPageCounts, AdjacentPagesReport, SessionPath};
pub use realtime::{REALTIME_MINUTES, RealtimeReport};
pub(in crate::store) use result_cache::ResultCache;

use super::rollup::zone_named;
use super::{Store, StoreError};

const CORRUPT_DAY_METRICS: StoreError = StoreError::Corrupt("a daily rollup");

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSite {
    pub id: i32,
    pub domain: String,
    pub zone: Tz,
    /// The properties by which the site's reports group.
    pub properties: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct ReportQuery {
    pub site: ReportSite,
    pub period: ReportPeriod,
    pub filters: Arc<[AttributeFilter]>,
    /// Only sessions that reach this goal, if any.
    pub goal: Option<GoalMatcher>,
    /// The time of the request.
    pub now: DateTime<Utc>,
}

impl ReportQuery {
    /// Whether all visits count, so that rollups suffice.
    fn is_unfiltered(&self) -> bool {
        self.filters.is_empty() && self.goal.is_none()
    }

    /// The same query with the days of the site's time zone.
    fn in_site_time_zone(&self) -> Self {
        Self {
            period: ReportPeriod {
                zone: self.site.zone,
                ..self.period
            },
            ..self.clone()
        }
    }
}

/// A result and the time up to which it is complete.
#[derive(Clone, Debug)]
pub struct AsOf<T> {
    pub value: T,
    /// All visits recorded before this time are included.
    pub as_of: DateTime<Utc>,
}

/// The source of the numbers for each day of a query.
struct ReportPlan {
    /// The first and last complete day with rollups. The numbers are in `rollup_day`, except for
    /// the days in `dirty` and `scanned`.
    folded: Option<(NaiveDate, NaiveDate)>,
    /// Complete dirty days.
    dirty: Vec<NaiveDate>,
    /// Days of which a part or some of the visits count.
    scanned: Vec<LocalDay>,
    dirty_versions: DirtyDayVersions,
}

/// The dirty days, each with the id of its last change.
type DirtyDayVersions = BTreeMap<NaiveDate, Uuid>;

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
            zone: zone_named(&row.time_zone),
            properties: row.properties,
        }))
    }

    /// The dirty days of a period.
    async fn dirty_day_versions(
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

    async fn plan_report(&self, asked: &ReportQuery) -> Result<ReportPlan, StoreError> {
        let unfolded = self.dirty_day_versions(&asked.site, &asked.period).await?;
        let mut plan = ReportPlan {
            folded: None,
            dirty: vec![],
            scanned: vec![],
            dirty_versions: unfolded,
        };
        let of_rollups = asked.is_unfiltered() && asked.period.zone == asked.site.zone;
        for day in asked.period.days() {
            if !of_rollups || LocalDay::new(asked.site.zone, day.date) != day {
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
