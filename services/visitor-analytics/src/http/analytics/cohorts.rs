//! `GET /analytics/retention`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, Utc};
use rollups::cohort::MAX_COHORT_PERIODS;
use rollups::query::Interval;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{ReportParams, ReportRequest, too_many_visits};
use super::response::ReportScope;
use crate::app::reports::BoundedResult;
use crate::http::query_params::{QueryPairs, invalid_param};
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;

/// Cohorts of visitors, and how many of each come back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(crate) struct CohortsResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// Length of the intervals: `day`, `week` or `month`.
    interval: String,
    /// One cohort per interval of the period.
    data: Vec<Cohort>,
}

/// The visitors whose first visit of the period falls into an interval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cohort {
    /// Start of the interval.
    start: DateTime<Utc>,
    /// Number of visitors of the cohort.
    visitors: i64,
    /// Number of the cohort's visitors with a visit in this interval, the next one, and so on to
    /// the end of the period.
    retained: Vec<i64>,
}

/// Report visitor retention by cohort.
///
/// Counts how many visitors of a day, week or month come back in later ones. A visitor belongs to
/// the cohort of the first visit within the period. Visitors are recognized as long as their ids
/// last: with daily visitor ids, nobody comes back on another day.
#[utoipa::path(get, path = "/analytics/retention", tag = "analytics",
    params(
        ReportParams,
        ("interval" = Option<String>, Query,
            description = "`day`, `week` (default, from Monday) or `month`; at most 31 intervals"),
    ),
    responses(
        (status = 200, body = CohortsResponse, description = "The cohorts"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
        (status = 422, description = "The period has too many visitors (`TOO_MUCH`)"),
    ))]
pub(crate) async fn retention(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<CohortsResponse>, Problem> {
    let now = state.clock.now();
    let report =
        ReportRequest::parse(&state.store, now, scope.restrict(pairs)?, &["interval"]).await?;
    let name = report.own_param("interval").unwrap_or("week").to_owned();
    let interval = match &*name {
        "day" => Interval::Day,
        "week" => Interval::Week,
        "month" => Interval::Month,
        _ => {
            return Err(invalid_param(
                "interval",
                "`interval` must be `day`, `week` or `month`",
            ));
        }
    };
    let buckets = interval.buckets(&report.query.period);
    let starts: Vec<_> = buckets
        .iter()
        .map(|bucket| bucket.start)
        .take(MAX_COHORT_PERIODS + 1)
        .collect();
    if starts.len() > MAX_COHORT_PERIODS {
        return Err(invalid_param(
            "interval",
            format!("the period has more than {MAX_COHORT_PERIODS} intervals; shorten it"),
        ));
    }
    let found = state
        .reports
        .cohorts(&report.query, report.is_bot, interval)
        .await?;
    let BoundedResult::Complete(cohorts) = found.value else {
        return Err(too_many_visits());
    };
    let data = starts
        .into_iter()
        .zip(cohorts)
        .map(|(start, retained)| Cohort {
            start,
            visitors: retained.first().copied().unwrap_or_default(),
            retained,
        });
    Ok(Json(CohortsResponse {
        scope: ReportScope::new(&report, found.as_of),
        interval: name,
        data: data.collect(),
    }))
}
