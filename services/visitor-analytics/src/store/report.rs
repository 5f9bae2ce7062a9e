//! Reports on the visits of a site: computed from rollups where they exist, otherwise from column
//! blocks. All metrics add up over days.

mod breakdown;
mod clock;
mod hours;
mod kept;
mod packed;
mod paths;
mod realtime;
mod recent;
mod retention;
mod series;
mod unfolded;
mod ways;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use rollups::goal::GoalMatcher;
use rollups::question::{AttributeFilter, ReportPeriod};
use uuid::Uuid;

pub use breakdown::{BreakdownOrder, BreakdownQuery, BreakdownRow};
pub(in crate::store) use kept::ResultCache;
pub use paths::{BoundedResult, FunnelStep};
pub use realtime::{REALTIME_MINUTES, RealtimeReport};
pub(in crate::store) use unfolded::DayAggregateCache;
pub use ways::{AdjacentPageCounts, AdjacentPagesReport, SessionPath};

use super::rollup::zone_named;
use super::{Store, StoreError};

const CORRUPT_DAY_METRICS: StoreError = StoreError::Unreadable("a daily rollup");

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
    pub reach: Option<GoalMatcher>,
    /// The time of the request.
    pub now: DateTime<Utc>,
}

impl ReportQuery {
    /// Whether all visits count, so that rollups suffice.
    fn is_of_all(&self) -> bool {
        self.filters.is_empty() && self.reach.is_none()
    }

    /// The same query with the days of the site's time zone.
    fn by_days_of_site(&self) -> Self {
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
    pub answer: T,
    /// All visits recorded before this time are included.
    pub as_of: DateTime<Utc>,
}

/// The source of the numbers for each day of a query.
struct ReportPlan {
    /// The first and last complete day with rollups. The numbers are in `rollup_day`, except for
    /// the days in `open` and `scanned`.
    folded: Option<(NaiveDate, NaiveDate)>,
    /// Complete dirty days.
    open: Vec<NaiveDate>,
    /// Days of which a part or some of the visits count.
    scanned: Vec<LocalDay>,
    unfolded: DirtyDayVersions,
}

/// The dirty days, each with the id of its last change.
type DirtyDayVersions = BTreeMap<NaiveDate, Uuid>;

impl Store {
    /// The site with this domain. Without a domain, the only site; `None` if there are several.
    pub async fn site_of_report(
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
    async fn unfolded_days(
        &self,
        site: &ReportSite,
        period: &ReportPeriod,
    ) -> Result<DirtyDayVersions, StoreError> {
        let last = period.to - chrono::TimeDelta::microseconds(1);
        let rows = sqlx::query!(
            "select day, change from visitor_analytics.unfolded_day
             where site_id = $1 and day between $2 and $3",
            site.id,
            LocalDay::of(site.zone, period.from).date,
            LocalDay::of(site.zone, last).date,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        Ok(rows.map(|row| (row.day, row.change)).collect())
    }

    async fn plan(&self, asked: &ReportQuery) -> Result<ReportPlan, StoreError> {
        let unfolded = self.unfolded_days(&asked.site, &asked.period).await?;
        let mut plan = ReportPlan {
            folded: None,
            open: vec![],
            scanned: vec![],
            unfolded,
        };
        let of_rollups = asked.is_of_all() && asked.period.zone == asked.site.zone;
        for day in asked.period.days() {
            if !of_rollups || LocalDay::new(asked.site.zone, day.date) != day {
                plan.scanned.push(day);
                continue;
            }
            if plan.unfolded.contains_key(&day.date) {
                plan.open.push(day.date);
            } else {
                let (_, last) = plan.folded.get_or_insert((day.date, day.date));
                *last = day.date;
            }
        }
        Ok(plan)
    }
}
