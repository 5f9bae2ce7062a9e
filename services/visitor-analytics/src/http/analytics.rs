//! Reports: `GET /analytics/…`.

pub(super) mod bots;
pub(super) mod breakdown;
pub(super) mod cohorts;
pub(super) mod funnel;
pub(super) mod journeys;
pub(super) mod realtime;
pub(super) mod report_request;
pub(super) mod summary;
pub(super) mod timeseries;

use std::collections::BTreeMap;

use chassis::Problem;
use chrono::{DateTime, Utc};
use rollups::aggregate::Metrics;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use self::report_request::ReportRequest;
use super::query_params::invalid_param;
use crate::store::Goal;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `ReportRequest` parses")]
pub(super) struct ReportParams {
    /// Domain of the site. Optional if there is only one, or if the token is limited to one.
    site: Option<String>,
    /// First day (`2026-11-20`, in the time zone) or timestamp (RFC 3339). Default: six days before
    /// the last day.
    from: Option<String>,
    /// Last day (included) or timestamp (RFC 3339, excluded). Default: today. A period covers at
    /// most ten years.
    to: Option<String>,
    /// IANA time zone. Default: the site's time zone.
    time_zone: Option<String>,
    /// `false` (default): people's sessions; `true`: all sessions; `only`: bots' sessions.
    include_bots: Option<String>,
    /// Filters, one query parameter per dimension: `country=US&country=CA` (any of these),
    /// `device_type=!smartphone` (not this one), `page=/blog/*` (wildcard), `utm_source=` (no
    /// value). All filters must match.
    #[param(style = Form, explode = true)]
    filters: Option<BTreeMap<String, String>>,
    /// Name or id of a segment. Its filters apply in addition.
    segment: Option<String>,
}

/// Conversions for the requested `goal`; all fields are `null` without one.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(super) struct ConversionMetrics {
    /// Sessions that reached the goal.
    conversions: Option<i64>,
    /// Share of sessions that reached the goal, from 0 to 1.
    conversion_rate: Option<f64>,
    /// Conversions times the goal's value; `null` if the goal has no value.
    conversion_value: Option<f64>,
}

impl ConversionMetrics {
    fn new(goal: &Goal, sessions: i64, reached: i64) -> Self {
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
pub(super) struct ReportScope {
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
    fn new(question: &ReportRequest, as_of: DateTime<Utc>) -> Self {
        let asked = &question.query;
        Self {
            site: asked.site.domain.clone(),
            from: asked.period.from,
            to: asked.period.to,
            time_zone: asked.period.zone.name().to_owned(),
            as_of,
        }
    }
}

/// Divides and rounds to `digits` decimal places; `None` if `whole` is 0.
fn ratio(part: i64, whole: i64, digits: i32) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the result is rounded to a few digits"
    )]
    let (part, whole) = (part as f64, whole as f64);
    let scale = 10_f64.powi(digits);
    (whole > 0.0).then(|| (part / whole * scale).round() / scale)
}

fn select_metrics(is_bot: Option<bool>, [people, bots]: [Metrics; 2]) -> Metrics {
    match is_bot {
        Some(false) => people,
        Some(true) => bots,
        None => people + bots,
    }
}

/// A report holds at most four million visitors or steps in memory.
fn too_many_visits() -> Problem {
    let detail = "too many visits for one report; shorten the period or add filters";
    Problem::invalid("from", "TOO_MUCH", detail)
}
