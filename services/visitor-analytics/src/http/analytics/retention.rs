//! `GET /analytics/retention`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, Utc};
use rollups::question::Interval;
use rollups::retention::MAX_COHORT_PERIODS;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error;
use super::question::{QueryPairs, ReportRequest};
use super::{ReportScope, too_much, wrong};
use crate::http::site_scope::SiteScope;
use crate::store::BoundedResult;

/// Who comes again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(in crate::http) struct CohortsResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// As it was asked for.
    interval: String,
    /// One for each part of the period.
    data: Vec<Cohort>,
}

/// The visitors who came first in a part of the period.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Cohort {
    /// When the part begins.
    start: DateTime<Utc>,
    /// How many there are.
    visitors: i64,
    /// How many of them came in this part, the next one, and so on to the last.
    retained: Vec<i64>,
}

/// How many visitors of a day, week or month come again in later ones.
///
/// First means first within the period, and visitors are told apart as far as their ids go: with
/// ids that change daily nobody comes again on another day.
#[utoipa::path(get, path = "/analytics/retention", tag = "analytics",
    params(
        super::ReportParams,
        ("interval" = Option<String>, Query,
            description = "`day`, `week` (without it, from Monday), `month`; 31 of them at most"),
    ),
    responses(
        (status = 200, body = CohortsResponse, description = "The cohorts"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
        (status = 422, description = "There is too much to count"),
    ))]
pub(in crate::http) async fn retention(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<CohortsResponse>, Problem> {
    let now = state.clock.now();
    let question =
        ReportRequest::read(&state.store, now, scope.limit(pairs)?, &["interval"]).await?;
    let name = question.own("interval").unwrap_or("week").to_owned();
    let interval = match &*name {
        "day" => Interval::Day,
        "week" => Interval::Week,
        "month" => Interval::Month,
        _ => return Err(wrong("interval", "one of day, week, month")),
    };
    let buckets = interval.buckets(&question.asked.period);
    let starts: Vec<_> = buckets
        .iter()
        .map(|bucket| bucket.start)
        .take(MAX_COHORT_PERIODS + 1)
        .collect();
    if starts.len() > MAX_COHORT_PERIODS {
        return Err(wrong(
            "interval",
            format!("at most {MAX_COHORT_PERIODS} of them"),
        ));
    }
    let found = state
        .store
        .retention(&question.asked, question.is_bot, interval)
        .await;
    let found = found.map_err(|e| error::store(&e))?;
    let BoundedResult::Fits(cohorts) = found.answer else {
        return Err(too_much());
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
        scope: ReportScope::of(&question, found.as_of),
        interval: name,
        data: data.collect(),
    }))
}
