//! `GET /analytics/bots`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chrono::{DateTime, Utc};
use rollups::dimension::Dimension;
use rollups::question::Attribute;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error;
use super::ReportScope;
use super::question::{QueryPairs, ReportRequest};
use super::timeseries::interval;
use crate::http::site_scope::SiteScope;
use crate::store::{BreakdownOrder, BreakdownQuery, Store};

const DEFAULT_BOT_VALUES: i64 = 50;
const MAX_BOT_VALUES: i64 = 1_000;

/// What was filtered.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BotsResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// All visits, people's too.
    visits: i64,
    /// Those of sessions in which a visit is a bot's.
    bot_visits: i64,
    /// By the bot's name; `null` where none is known.
    by_name: Vec<BotValue>,
    /// By category, such as `search_engine`.
    by_category: Vec<BotValue>,
    /// By the code of a rule; a visit may have several.
    by_reason: Vec<BotValue>,
    /// Points in time, those without any too.
    over_time: Vec<BotTimePoint>,
}

/// A value and its visits.
#[derive(Debug, Serialize, ToSchema)]
struct BotValue {
    value: Option<String>,
    visits: i64,
}

/// A point in time and its visits.
#[derive(Debug, Serialize, ToSchema)]
struct BotTimePoint {
    time: DateTime<Utc>,
    visits: i64,
}

/// Bots' visits, which other reports leave out: by name, category and reason, and over time.
///
/// `include_bots` changes nothing here.
#[utoipa::path(get, path = "/analytics/bots", tag = "analytics",
    params(
        super::ReportParams,
        ("interval" = Option<String>, Query,
            description = "`minute`, `hour`, `day` (without it), `week` (from Monday), `month`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many values of each kind; 50 without it"),
    ),
    responses(
        (status = 200, body = BotsResponse, description = "What was filtered"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
    ))]
pub(in crate::http) async fn bots(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<BotsResponse>, Problem> {
    let own = ["interval", "limit"];
    let question =
        ReportRequest::read(&state.store, state.clock.now(), scope.limit(pairs)?, &own).await?;
    let limit = question.limit(DEFAULT_BOT_VALUES, MAX_BOT_VALUES)?;
    let (_, interval) = interval(&question)?;
    let series = state.store.series(&question.asked, interval).await;
    let series = series.map_err(|e| error::store(&e))?;
    let of = async |dimension| values(&state.store, &question, dimension, limit).await;
    let buckets = || series.answer.iter();
    Ok(Json(BotsResponse {
        scope: ReportScope::of(&question, series.as_of),
        visits: buckets().flat_map(|b| b.numbers).map(|n| n.visits).sum(),
        bot_visits: buckets().map(|b| b.numbers[1].visits).sum(),
        by_name: of(Dimension::BotName).await?,
        by_category: of(Dimension::BotCategory).await?,
        by_reason: of(Dimension::BotReason).await?,
        over_time: buckets()
            .map(|bucket| BotTimePoint {
                time: bucket.start,
                visits: bucket.numbers[1].visits,
            })
            .collect(),
    }))
}

/// The values that most of the bots' visits have.
async fn values(
    store: &Store,
    question: &ReportRequest,
    dimension: Dimension,
    limit: i64,
) -> Result<Vec<BotValue>, Problem> {
    let wanted = BreakdownQuery {
        subject: Attribute::Of(dimension),
        property: None,
        is_bot: Some(true),
        order: BreakdownOrder::Visits,
        offset: 0,
        limit,
    };
    let found = store.breakdown(&question.asked, &wanted).await;
    let found = found.map_err(|e| error::store(&e))?.answer.into_iter();
    // A breakdown tells one more where there are more.
    let first = found.take(usize::try_from(limit).unwrap_or_default());
    let values = first.map(|one| BotValue {
        value: one.value.map(|text| text.to_string()),
        visits: one.numbers.visits,
    });
    Ok(values.collect())
}
