//! `GET /analytics/timeseries`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, Utc};
use rollups::question::{Interval, TimeBucket};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error;
use super::question::{QueryPairs, ReportRequest};
use super::{ConversionMetrics, ReportScope, of_class, ratio, wrong};
use crate::http::site_scope::SiteScope;

const MAX_HOUR_BUCKETS: i64 = 5_000;
/// Visits are counted one by one for them.
const MAX_MINUTE_BUCKETS: i64 = 2 * 24 * 60;

/// Numbers part by part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeseries)]
pub(in crate::http) struct TimeseriesResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// As it was asked for.
    interval: String,
    /// In their order, those without visits too.
    data: Vec<TimeseriesPoint>,
}

/// A minute, hour, day, week or month.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TimeseriesPoint {
    /// When it begins; the first may begin before `from`, and has what came after it.
    start: DateTime<Utc>,
    /// The same on the clock.
    local: String,
    /// Visitors, each counted once a day, or once a minute or hour where these are asked for.
    visitors: i64,
    /// Sessions that began then; of minutes and hours those that had visits then.
    sessions: i64,
    /// Page views.
    visits: i64,
    /// The part of the sessions that had one visit: 0 to 1.
    bounce_rate: Option<f64>,
    /// How long a session lasted here.
    average_session_seconds: Option<f64>,
    #[serde(flatten)]
    reached: ConversionMetrics,
}

/// A site's numbers minute by minute, up to month by month.
#[utoipa::path(get, path = "/analytics/timeseries", tag = "analytics",
    params(
        super::ReportParams,
        ("interval" = Option<String>, Query,
            description = "`minute`, `hour`, `day` (without it), `week` (from Monday), `month`"),
        ("goal" = Option<String>, Query,
            description = "A goal, by its name or id: how many sessions reach it"),
    ),
    responses(
        (status = 200, body = TimeseriesResponse, description = "The numbers"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
    ))]
pub(in crate::http) async fn timeseries(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<TimeseriesResponse>, Problem> {
    let now = state.clock.now();
    let question = ReportRequest::read(
        &state.store,
        now,
        scope.limit(pairs)?,
        &["interval", "goal"],
    )
    .await?;
    let (name, interval) = interval(&question)?;
    let series = state.store.series(&question.asked, interval).await;
    let series = series.map_err(|e| error::store(&e))?;
    let mut data: Vec<TimeseriesPoint> = series
        .answer
        .iter()
        .map(|bucket| part(bucket, &question))
        .collect();
    if let Some((goal, asked)) = question.goal(&state.store).await? {
        let reached = state.store.series(&asked, interval).await;
        let reached = reached.map_err(|e| error::store(&e))?.answer;
        for (part, bucket) in data.iter_mut().zip(reached) {
            let sessions = of_class(question.is_bot, bucket.numbers).sessions;
            part.reached = ConversionMetrics::new(&goal, part.sessions, sessions);
        }
    }
    Ok(Json(TimeseriesResponse {
        data,
        interval: name,
        scope: ReportScope::of(&question, series.as_of),
    }))
}

pub(super) fn interval(question: &ReportRequest) -> Result<(String, Interval), Problem> {
    let name = question.own("interval").unwrap_or("day");
    let interval = match name {
        "minute" => Interval::Minute,
        "hour" => Interval::Hour,
        "day" => Interval::Day,
        "week" => Interval::Week,
        "month" => Interval::Month,
        _ => return Err(wrong("interval", "one of minute, hour, day, week, month")),
    };
    let period = &question.asked.period;
    let minutes = (period.to - period.from).num_minutes();
    if interval == Interval::Minute && minutes > MAX_MINUTE_BUCKETS {
        return Err(wrong("interval", "minutes are told for two days at most"));
    }
    if interval == Interval::Hour && minutes / 60 > MAX_HOUR_BUCKETS {
        return Err(wrong("interval", "hours are told for 208 days at most"));
    }
    Ok((name.to_owned(), interval))
}

fn part(bucket: &TimeBucket, question: &ReportRequest) -> TimeseriesPoint {
    let numbers = of_class(question.is_bot, bucket.numbers);
    let local = bucket.start.with_timezone(&question.asked.period.zone);
    TimeseriesPoint {
        start: bucket.start,
        local: local.format("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        visitors: numbers.visitors,
        sessions: numbers.sessions,
        visits: numbers.visits,
        bounce_rate: ratio(numbers.bounces, numbers.sessions, 4),
        average_session_seconds: ratio(numbers.seconds, numbers.sessions, 1),
        reached: ConversionMetrics::default(),
    }
}
