//! Parts of responses that several reports share.

use chrono::{DateTime, Utc};
use rollups::aggregate::Metrics;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::ReportRequest;
use crate::app::reports::VisitorCounting;
use crate::store::Goal;

/// Conversions for the requested `goal`; all fields are `null` without one.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct ConversionMetrics {
    /// Sessions that reached the goal.
    conversions: Option<i64>,
    /// Share of sessions that reached the goal, from 0 to 1.
    conversion_rate: Option<f64>,
    /// Conversions times the goal's value; `null` if the goal has no value.
    conversion_value: Option<f64>,
}

impl ConversionMetrics {
    pub(super) fn new(goal: &Goal, sessions: i64, reached: i64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "sessions are far fewer than 2^52"
        )]
        let value = goal.value.map(|value| value * reached as f64);
        Self {
            conversions: Some(reached),
            conversion_rate: ratio(reached, sessions, 4),
            conversion_value: value,
        }
    }
}

/// The site, period and time zone of a report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportScope {
    /// Domain of the site.
    site: String,
    /// Start of the period (included).
    from: DateTime<Utc>,
    /// End of the period (excluded).
    to: DateTime<Utc>,
    /// IANA time zone that defines days, hours and weeks.
    time_zone: String,
    /// The numbers contain everything that was recorded before this time. Usually the time of the
    /// request; a few seconds earlier if the period contains a day in progress with many visits.
    as_of: DateTime<Utc>,
}

impl ReportScope {
    pub(super) fn new(report: &ReportRequest, as_of: DateTime<Utc>) -> Self {
        let query = &report.query;
        Self {
            site: query.site.domain.clone(),
            from: query.period.from,
            to: query.period.to,
            time_zone: query.period.zone.name().to_owned(),
            as_of,
        }
    }
}

/// How the visitors of a report are counted.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct VisitorScope {
    /// How long visitor ids last: `daily` (a visitor counts once per day), `monthly`, `persistent`,
    /// `own` (the `visitor_id` of the site) or `mixed`. Unless they are daily, a visitor counts once
    /// in the period.
    visitor_ids: &'static str,
    /// Whether the numbers of visitors are estimates.
    estimated: bool,
    /// The relative error that estimates exceed in 5 % of cases; `null` for exact numbers.
    estimated_error: Option<f64>,
}

impl From<VisitorCounting> for VisitorScope {
    fn from(counting: VisitorCounting) -> Self {
        Self {
            visitor_ids: counting.visitor_ids,
            estimated: counting.estimated_error.is_some(),
            estimated_error: counting.estimated_error,
        }
    }
}

/// Divides and rounds to `digits` decimal places; `None` if `whole` is 0.
pub(super) fn ratio(part: i64, whole: i64, digits: i32) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the result is rounded to a few digits"
    )]
    let (part, whole) = (part as f64, whole as f64);
    let scale = 10_f64.powi(digits);
    (whole > 0.0).then(|| (part / whole * scale).round() / scale)
}

pub(super) fn select_metrics(is_bot: Option<bool>, [people, bots]: [Metrics; 2]) -> Metrics {
    match is_bot {
        Some(false) => people,
        Some(true) => bots,
        None => people + bots,
    }
}
