//! The site, period and filters of a report.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rollups::goal::GoalMatcher;
use rollups::query::{AttributeFilter, ReportPeriod};

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
    pub(super) fn is_unfiltered(&self) -> bool {
        self.filters.is_empty() && self.goal.is_none()
    }

    /// The same query with the days of the site's time zone.
    pub(super) fn in_site_time_zone(&self) -> Self {
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
