//! Reports: numbers of a site's visits, from rollups where a day's are there, else from the packed
//! visits. All of them add up over days.

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

const CORRUPT_DAY_METRICS: StoreError = StoreError::Unreadable("the numbers of days");

/// A site as reports need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSite {
    /// Its number.
    pub id: i32,
    /// Its domain.
    pub domain: String,
    /// Its time zone.
    pub zone: Tz,
    /// The properties that it counts.
    pub properties: Vec<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct ReportQuery {
    /// Of which site.
    pub site: ReportSite,
    /// When.
    pub period: ReportPeriod,
    /// Which visits.
    pub filters: Arc<[AttributeFilter]>,
    /// Which sessions: those that reach this, where it is something.
    pub reach: Option<GoalMatcher>,
    /// The moment of asking.
    pub now: DateTime<Utc>,
}

impl ReportQuery {
    /// Whether all visits count, so that rollups can answer.
    fn is_of_all(&self) -> bool {
        self.filters.is_empty() && self.reach.is_none()
    }

    /// The same, cut into the days of the site's clock.
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

/// What is answered, and up to when its visits are in it.
#[derive(Clone, Debug)]
pub struct AsOf<T> {
    /// The answer.
    pub answer: T,
    /// What was recorded before this moment is in it.
    pub as_of: DateTime<Utc>,
}

/// How the days of a question are answered.
struct ReportPlan {
    /// From the first to the last whole day that is folded: the numbers are in `rollup_day`, but
    /// for those of `open` and `scanned`.
    folded: Option<(NaiveDate, NaiveDate)>,
    /// Whole days that are not folded.
    open: Vec<NaiveDate>,
    /// Days of which a part is asked, or some visits.
    scanned: Vec<LocalDay>,
    unfolded: DirtyDayVersions,
}

/// The days that are not folded, and what they were touched by last.
type DirtyDayVersions = BTreeMap<NaiveDate, Uuid>;

impl Store {
    /// The site with this domain; without one the only site there is. `None` where there is none,
    /// or not only one.
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

    /// The days of a period that are not folded.
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
