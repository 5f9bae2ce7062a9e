//! `GET /analytics/summary`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use rollups::aggregate::Metrics;
use rollups::query::ReportPeriod;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{ReportParams, ReportRequest};
use super::response::{ConversionMetrics, ReportScope, VisitorScope, ratio, select_metrics};
use crate::app::reports::{ReportEngine, ReportQuery};
use crate::http::query_params::{QueryPairs, invalid_param};
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;

/// The numbers of a period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Summary)]
pub(crate) struct SummaryResponse {
    #[serde(flatten)]
    scope: ReportScope,
    #[serde(flatten)]
    metrics: SummaryMetrics,
    #[serde(flatten)]
    visitor_scope: VisitorScope,
    #[serde(flatten)]
    conversion_metrics: ConversionMetrics,
    /// The numbers of the period to compare with; `null` without `compare`.
    previous: Option<PreviousPeriod>,
}

/// The numbers of the period to compare with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviousPeriod {
    /// Start of the period (included).
    from: chrono::DateTime<chrono::Utc>,
    /// End of the period (excluded).
    to: chrono::DateTime<chrono::Utc>,
    #[serde(flatten)]
    metrics: SummaryMetrics,
    #[serde(flatten)]
    visitor_scope: VisitorScope,
}

/// Totals of a period.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct SummaryMetrics {
    /// Visitors. A visitor counts once, or once per day if `visitor_ids` is `daily`.
    visitors: i64,
    /// Sessions that began in the period.
    sessions: i64,
    /// Visits (page views).
    visits: i64,
    /// Share of sessions with exactly one visit, from 0 to 1; `null` without sessions.
    bounce_rate: Option<f64>,
    /// Average time from the first to the last visit of a session, in seconds.
    average_session_seconds: Option<f64>,
    /// Average number of visits per session.
    visits_per_session: Option<f64>,
    /// Visits in bots' sessions, whatever `include_bots` says.
    bot_visits: i64,
    /// Share of `bot_visits` in all visits, from 0 to 1.
    bot_share: Option<f64>,
}

impl SummaryMetrics {
    fn new(is_bot: Option<bool>, both: [Metrics; 2]) -> Self {
        let numbers = select_metrics(is_bot, both);
        let all = both[0].visits + both[1].visits;
        Self {
            visitors: numbers.visitors,
            sessions: numbers.sessions,
            visits: numbers.visits,
            bounce_rate: ratio(numbers.bounces, numbers.sessions, 4),
            average_session_seconds: ratio(numbers.seconds, numbers.sessions, 1),
            visits_per_session: ratio(numbers.visits, numbers.sessions, 2),
            bot_visits: both[1].visits,
            bot_share: ratio(both[1].visits, all, 4),
        }
    }
}

/// Summarize a period.
///
/// Returns the totals of a site, optionally with those of an earlier period.
#[utoipa::path(get, path = "/analytics/summary", tag = "analytics",
    params(
        ReportParams,
        ("compare" = Option<String>, Query,
            description = "Adds the numbers of an earlier period of the same length: \
                `previous_period` or `previous_year`"),
        ("goal" = Option<String>, Query,
            description = "Name or id of a goal. Adds the conversions"),
    ),
    responses(
        (status = 200, body = SummaryResponse, description = "The numbers"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
    ))]
pub(crate) async fn summary(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<SummaryResponse>, Problem> {
    let now = state.clock.now();
    let report = ReportRequest::parse(
        &state.store,
        now,
        scope.restrict(pairs)?,
        &["compare", "goal"],
    )
    .await?;
    let query = &report.query;
    let compared = match report.own_param("compare") {
        None => None,
        Some("previous_period") => Some(query.period.previous()),
        Some("previous_year") => Some(query.period.previous_year()),
        Some(_) => {
            return Err(invalid_param(
                "compare",
                "`compare` must be `previous_period` or `previous_year`",
            ));
        }
    };
    let totals = state.reports.totals(query, report.is_bot).await?;
    let metrics = SummaryMetrics::new(report.is_bot, totals.value.metrics);
    let conversion_metrics = match report.goal_query(&state.store).await? {
        Some((goal, query)) => {
            let reached = state.reports.totals(&query, report.is_bot).await?.value;
            let reached = select_metrics(report.is_bot, reached.metrics);
            ConversionMetrics::new(&goal, metrics.sessions, reached.sessions)
        }
        None => ConversionMetrics::default(),
    };
    let previous = match compared {
        Some(period) => Some(fetch_previous(&state.reports, query, period, report.is_bot).await?),
        None => None,
    };
    Ok(Json(SummaryResponse {
        scope: ReportScope::new(&report, totals.as_of),
        metrics,
        visitor_scope: totals.value.counting.into(),
        conversion_metrics,
        previous,
    }))
}

async fn fetch_previous(
    reports: &ReportEngine,
    query: &ReportQuery,
    period: ReportPeriod,
    is_bot: Option<bool>,
) -> Result<PreviousPeriod, Problem> {
    let query = ReportQuery {
        period,
        ..query.clone()
    };
    let totals = reports.totals(&query, is_bot).await?.value;
    Ok(PreviousPeriod {
        from: period.from,
        to: period.to,
        metrics: SummaryMetrics::new(is_bot, totals.metrics),
        visitor_scope: totals.counting.into(),
    })
}
