//! `GET /analytics/realtime`.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use common::readable_url::readable_path;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{self};
use crate::http::query_params::QueryPairs;
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;
use crate::http::visit_filter;
use crate::store::{REALTIME_MINUTES, RealtimeReport};

/// The activity of the last half hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Realtime)]
pub(crate) struct RealtimeResponse {
    /// Domain of the site.
    site: String,
    /// Time of the report.
    now: DateTime<Utc>,
    /// Visitors with a visit in the last five minutes.
    visitors_now: i64,
    /// The last 30 full minutes and the current one, oldest first.
    minutes: Vec<RealtimeMinute>,
    /// The ten most visited pages of this time.
    pages: Vec<RealtimeValue>,
    /// The ten most frequent countries (ISO 3166-1 alpha-2); `null` if unknown.
    countries: Vec<RealtimeValue>,
    /// The ten most frequent sources of sessions that began in this time.
    sources: Vec<RealtimeValue>,
}

/// Visitors and visits of a minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RealtimeMinute {
    /// Start of the minute.
    start: DateTime<Utc>,
    /// Distinct visitors.
    visitors: i64,
    /// Visits (page views).
    visits: i64,
}

/// Visitors and visits of a value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RealtimeLine)]
pub(crate) struct RealtimeValue {
    /// The value; `null` if unknown.
    value: Option<String>,
    /// Distinct visitors.
    visitors: i64,
    /// Visits (page views).
    visits: i64,
}

/// A value with the numbers of visitors and visits.
type RealtimeRow = (Option<String>, i64, i64);

/// Report the last half hour.
///
/// `site` is required unless there is exactly one. Filters match each visit's own fields, as in
/// lists.
#[utoipa::path(get, path = "/analytics/realtime", tag = "analytics",
    params(visit_filter::VisitFilterParams),
    responses(
        (status = 200, body = RealtimeResponse, description = "The activity of the last half hour"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
    ))]
pub(crate) async fn realtime(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<RealtimeResponse>, Problem> {
    let now = state.clock.now();
    let filter = visit_filter::parse_filter(&state.store, scope.restrict(pairs)?).await?;
    let site = report_request::find_site(&state.store, filter.site.clone()).await?;
    let found = state.store.visits.realtime(&site, &filter, now).await?;
    Ok(Json(RealtimeResponse {
        site: site.domain,
        now,
        visitors_now: found.visitors_now,
        minutes: fill_minutes(&found, now),
        pages: to_values(found.pages.into_iter().map(with_readable_path).collect()),
        countries: to_values(found.countries),
        sources: to_values(found.sources),
    }))
}

fn fill_minutes(found: &RealtimeReport, now: DateTime<Utc>) -> Vec<RealtimeMinute> {
    let known: HashMap<_, _> = found
        .minutes
        .iter()
        .map(|(m, a, b)| (*m, (*a, *b)))
        .collect();
    let this = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
    let minute = |ago| {
        let start = this - TimeDelta::minutes(ago);
        let (visitors, visits) = known.get(&start).copied().unwrap_or_default();
        RealtimeMinute {
            start,
            visitors,
            visits,
        }
    };
    (0..=REALTIME_MINUTES).rev().map(minute).collect()
}

fn with_readable_path((path, visitors, visits): RealtimeRow) -> RealtimeRow {
    let path = path.map(|path| readable_path(&path).into_owned());
    (path, visitors, visits)
}

fn to_values(of: Vec<RealtimeRow>) -> Vec<RealtimeValue> {
    let line = |(value, visitors, visits)| RealtimeValue {
        value,
        visitors,
        visits,
    };
    of.into_iter().map(line).collect()
}
