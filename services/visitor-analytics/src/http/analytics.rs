//! Reports: `GET /analytics/…`.

pub(super) mod bots;
pub(super) mod breakdown;
pub(super) mod funnel;
pub(super) mod journeys;
pub(super) mod question;
pub(super) mod realtime;
pub(super) mod retention;
pub(super) mod summary;
pub(super) mod timeseries;

use std::collections::BTreeMap;

use chassis::Problem;
use chrono::{DateTime, Utc};
use rollups::fold::Metrics;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use self::question::ReportRequest;
use super::list::wrong;
use crate::store::Goal;

/// Parameters that every report has. Every dimension is one, too.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it only describes; Question reads")]
pub(super) struct ReportParams {
    /// Which site; needed where there are several.
    site: Option<String>,
    /// The first day (`2026-11-20`, on the clock of the time zone) or moment (RFC 3339); without
    /// it six days before the last.
    from: Option<String>,
    /// The last day, which belongs to the period, or the moment at which it ends; without it today.
    to: Option<String>,
    /// An IANA name; without it the site's.
    time_zone: Option<String>,
    /// Bots' sessions: `false` (without it), `true` or `only`.
    include_bots: Option<String>,
    /// Filters: any dimension, such as `country=US&country=CA` (one of them),
    /// `device_type=!smartphone` (not), `page=/blog/*` (wildcard), `utm_source=` (missing).
    #[param(style = Form, explode = true)]
    filters: Option<BTreeMap<String, String>>,
    /// A segment, by its name or id: its filters have to pass as well.
    segment: Option<String>,
}

/// What sessions came to, where a `goal` was asked for; else all are `null`.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(super) struct ConversionMetrics {
    /// Sessions that reached the goal.
    conversions: Option<i64>,
    /// The part of the sessions that did: 0 to 1.
    conversion_rate: Option<f64>,
    /// What that is worth, where the goal has a value.
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

/// What was asked, as it was understood.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportScope {
    /// The site's domain.
    site: String,
    /// The first moment.
    from: DateTime<Utc>,
    /// The first moment after the period.
    to: DateTime<Utc>,
    /// Whose days, hours and weeks these are.
    time_zone: String,
    /// What was recorded before this moment is in the numbers; only for a day with many visits
    /// that is not over it lies before the request, by seconds.
    as_of: DateTime<Utc>,
}

impl ReportScope {
    fn of(question: &ReportRequest, as_of: DateTime<Utc>) -> Self {
        let asked = &question.asked;
        Self {
            site: asked.site.domain.clone(),
            from: asked.period.from,
            to: asked.period.to,
            time_zone: asked.period.zone.name().to_owned(),
            as_of,
        }
    }
}

/// A part of a whole, to four places; `None` where there is nothing to divide by.
fn ratio(part: i64, whole: i64, digits: i32) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "four digits are told")]
    let (part, whole) = (part as f64, whole as f64);
    let scale = 10_f64.powi(digits);
    (whole > 0.0).then(|| (part / whole * scale).round() / scale)
}

/// The numbers of the classes that are wanted.
fn of_class(is_bot: Option<bool>, [people, bots]: [Metrics; 2]) -> Metrics {
    match is_bot {
        Some(false) => people,
        Some(true) => bots,
        None => people + bots,
    }
}

/// Four million of them are held in memory, and no more.
fn too_much() -> Problem {
    let detail = "too many visits to count at once: shorten the period, or add filters";
    Problem::invalid("from", "TOO_MUCH", detail)
}
