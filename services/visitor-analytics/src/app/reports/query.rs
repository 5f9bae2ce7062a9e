//! What a report asks for, and how its result is returned.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rollups::goal::GoalMatcher;
use rollups::query::{AttributeFilter, ReportPeriod};
use tokio::time::Instant;

use crate::store::ReportSite;

#[derive(Clone, Debug)]
pub struct ReportQuery {
    pub site: ReportSite,
    pub period: ReportPeriod,
    pub filters: Arc<[AttributeFilter]>,
    /// Only sessions that reach this goal, if any.
    pub goal: Option<GoalMatcher>,
    /// The time of the request.
    pub now: DateTime<Utc>,
    /// When the request began. Days that are not folded are folded once for it.
    pub started_at: Instant,
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

impl<T> AsOf<T> {
    #[must_use]
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> AsOf<U> {
        AsOf {
            value: change(self.value),
            as_of: self.as_of,
        }
    }
}

/// The result of a report with bounded memory.
#[derive(Clone, Debug)]
pub enum BoundedResult<T> {
    Complete(T),
    /// The report would exceed the bound.
    LimitExceeded,
}
