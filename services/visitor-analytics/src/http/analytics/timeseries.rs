//! `GET /analytics/timeseries`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, Utc};
use rollups::query::{Interval, TimeBucket};
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{ReportParams, ReportRequest};
use super::response::{ConversionMetrics, ReportScope, VisitorScope, ratio, select_metrics};
use crate::http::query_params::{QueryPairs, invalid_param};
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;

const MAX_HOUR_BUCKETS: i64 = 5_000;
/// Minutes are counted from the visits instead of the rollups.
const MAX_MINUTE_BUCKETS: i64 = 2 * 24 * 60;

/// The numbers of a period by interval.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeseries)]
pub(crate) struct TimeseriesResponse {
    #[serde(flatten)]
    scope: ReportScope,
    #[serde(flatten)]
    visitor_scope: VisitorScope,
    /// Length of the intervals.
    interval: String,
    /// The intervals in chronological order, including those without visits.
    data: Vec<TimeseriesPoint>,
}

/// The numbers of a minute, hour, day, week or month.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimeseriesPoint {
    /// Start of the interval. The first interval may start before `from`; it counts only what
    /// happened after `from`.
    start: DateTime<Utc>,
    /// Start of the interval in local time, with the UTC offset.
    local: String,
    /// Visitors. A visitor counts once in the interval; in a week or month, once per day if
    /// `visitor_ids` is `daily`.
    visitors: i64,
    /// Sessions that began in the interval. For minutes and hours: sessions with a visit in the
    /// interval.
    sessions: i64,
    /// Visits (page views).
    visits: i64,
    /// Share of sessions with exactly one visit, from 0 to 1; `null` without sessions.
    bounce_rate: Option<f64>,
    /// Average time that a session lasted, in seconds.
    average_session_seconds: Option<f64>,
    #[serde(flatten)]
    conversion_metrics: ConversionMetrics,
}

/// Report a site's numbers over time.
#[utoipa::path(get, path = "/analytics/timeseries", tag = "analytics",
    params(
        ReportParams,
        ("interval" = Option<String>, Query,
            description = "`minute` (at most 2 days), `hour` (at most 208 days), `day` (default), \
                `week` (from Monday) or `month`"),
        ("goal" = Option<String>, Query,
            description = "Name or id of a goal. Adds the conversions"),
    ),
    responses(
        (status = 200, body = TimeseriesResponse, description = "The numbers"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
    ))]
pub(crate) async fn timeseries(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<TimeseriesResponse>, Problem> {
    let now = state.clock.now();
    let report = ReportRequest::parse(
        &state.store,
        now,
        scope.restrict(pairs)?,
        &["interval", "goal"],
    )
    .await?;
    let (name, interval) = parse_interval(&report)?;
    let series = state
        .reports
        .series(&report.query, interval, report.is_bot)
        .await?;
    let mut data: Vec<TimeseriesPoint> = series
        .value
        .buckets
        .iter()
        .map(|bucket| to_point(bucket, &report))
        .collect();
    if let Some((goal, goal_query)) = report.goal_query(&state.store).await? {
        let reached = state.reports.summed_series(&goal_query, interval).await;
        let reached = reached?.value;
        for (part, bucket) in data.iter_mut().zip(reached) {
            let sessions = select_metrics(report.is_bot, bucket.metrics).sessions;
            part.conversion_metrics = ConversionMetrics::new(&goal, part.sessions, sessions);
        }
    }
    Ok(Json(TimeseriesResponse {
        data,
        interval: name,
        visitor_scope: series.value.counting.into(),
        scope: ReportScope::new(&report, series.as_of),
    }))
}

pub(super) fn parse_interval(report: &ReportRequest) -> Result<(String, Interval), Problem> {
    let name = report.own_param("interval").unwrap_or("day");
    let interval = match name {
        "minute" => Interval::Minute,
        "hour" => Interval::Hour,
        "day" => Interval::Day,
        "week" => Interval::Week,
        "month" => Interval::Month,
        _ => {
            return Err(invalid_param(
                "interval",
                "`interval` must be `minute`, `hour`, `day`, `week` or `month`",
            ));
        }
    };
    let period = &report.query.period;
    let minutes = (period.to - period.from).num_minutes();
    if interval == Interval::Minute && minutes > MAX_MINUTE_BUCKETS {
        return Err(invalid_param(
            "interval",
            "a period by minute has at most 2 days",
        ));
    }
    if interval == Interval::Hour && minutes / 60 > MAX_HOUR_BUCKETS {
        return Err(invalid_param(
            "interval",
            "a period by hour has at most 208 days",
        ));
    }
    Ok((name.to_owned(), interval))
}

fn to_point(bucket: &TimeBucket, report: &ReportRequest) -> TimeseriesPoint {
    let numbers = select_metrics(report.is_bot, bucket.metrics);
    let local = bucket.start.with_timezone(&report.query.period.zone);
    TimeseriesPoint {
        start: bucket.start,
        local: local.format("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        visitors: numbers.visitors,
        sessions: numbers.sessions,
        visits: numbers.visits,
        bounce_rate: ratio(numbers.bounces, numbers.sessions, 4),
        average_session_seconds: ratio(numbers.seconds, numbers.sessions, 1),
        conversion_metrics: ConversionMetrics::default(),
    }
}
