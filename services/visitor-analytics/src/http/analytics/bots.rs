//! `GET /analytics/bots`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, Utc};
use rollups::dimension::Dimension;
use rollups::query::Attribute;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{ReportParams, ReportRequest};
use super::response::ReportScope;
use super::timeseries::parse_interval;
use crate::app::reports::{BreakdownOrder, BreakdownQuery, ReportEngine};
use crate::http::query_params::QueryPairs;
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;

const DEFAULT_BOT_VALUES: i64 = 50;
const MAX_BOT_VALUES: i64 = 1_000;

/// Visits of bots.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BotsResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// Number of all visits, including those of people.
    visits: i64,
    /// Number of visits in bots' sessions: sessions with at least one visit of a bot.
    bot_visits: i64,
    /// Visits by name of the bot; `null` if the name is unknown.
    by_name: Vec<BotValue>,
    /// Visits by category of the bot, such as `search_engine`.
    by_category: Vec<BotValue>,
    /// Visits by code of the rule that fired. A visit counts for each of its rules.
    by_reason: Vec<BotValue>,
    /// Visits by interval, including intervals without visits.
    over_time: Vec<BotTimePoint>,
}

/// Number of bots' visits with a value.
#[derive(Debug, Serialize, ToSchema)]
struct BotValue {
    /// The value; `null` if unknown.
    value: Option<String>,
    /// Number of visits.
    visits: i64,
}

/// Number of bots' visits in an interval.
#[derive(Debug, Serialize, ToSchema)]
struct BotTimePoint {
    /// Start of the interval.
    time: DateTime<Utc>,
    /// Number of visits.
    visits: i64,
}

/// Report visits of bots.
///
/// Other reports omit these visits by default. Returns their numbers by name, category and rule,
/// and over time. `include_bots` has no effect.
#[utoipa::path(get, path = "/analytics/bots", tag = "analytics",
    params(
        ReportParams,
        ("interval" = Option<String>, Query,
            description = "`minute` (at most 2 days), `hour` (at most 208 days), `day` (default), \
                `week` (from Monday) or `month`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "Maximum number of names, of categories and of rules. Default: 50"),
    ),
    responses(
        (status = 200, body = BotsResponse, description = "Visits of bots"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
    ))]
pub(crate) async fn bots(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<BotsResponse>, Problem> {
    let own = ["interval", "limit"];
    let report = ReportRequest::parse(
        &state.store,
        state.clock.now(),
        scope.restrict(pairs)?,
        &own,
    )
    .await?;
    let limit = report.parse_limit(DEFAULT_BOT_VALUES, MAX_BOT_VALUES)?;
    let (_, interval) = parse_interval(&report)?;
    let series = state.reports.summed_series(&report.query, interval).await?;
    let of = async |dimension| top_values(&state.reports, &report, dimension, limit).await;
    let buckets = || series.value.iter();
    Ok(Json(BotsResponse {
        scope: ReportScope::new(&report, series.as_of),
        visits: buckets().flat_map(|b| b.metrics).map(|n| n.visits).sum(),
        bot_visits: buckets().map(|b| b.metrics[1].visits).sum(),
        by_name: of(Dimension::BotName).await?,
        by_category: of(Dimension::BotCategory).await?,
        by_reason: of(Dimension::BotReason).await?,
        over_time: buckets()
            .map(|bucket| BotTimePoint {
                time: bucket.start,
                visits: bucket.metrics[1].visits,
            })
            .collect(),
    }))
}

/// The most frequent values of a dimension among bots' visits.
async fn top_values(
    reports: &ReportEngine,
    report: &ReportRequest,
    dimension: Dimension,
    limit: i64,
) -> Result<Vec<BotValue>, Problem> {
    let breakdown = BreakdownQuery {
        subject: Attribute::Dimension(dimension),
        property: None,
        is_bot: Some(true),
        order: BreakdownOrder::Visits,
        offset: 0,
        limit,
        needs_visitors: false,
    };
    let found = reports.breakdown(&report.query, &breakdown).await;
    let found = found?.value.rows.into_iter();
    // A breakdown returns one row more than `limit` if further rows exist.
    let first = found.take(usize::try_from(limit).unwrap_or_default());
    let values = first.map(|one| BotValue {
        value: one.value.map(|text| text.to_string()),
        visits: one.metrics.visits,
    });
    Ok(values.collect())
}
