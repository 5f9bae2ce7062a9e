//! `GET /analytics/journeys`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use rollups::pattern::WildcardPattern;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error;
use super::question::{QueryPairs, ReportRequest};
use super::{ReportScope, wrong};
use crate::http::site_scope::SiteScope;
use crate::store::{AdjacentPageCounts, SessionPath};

const DEFAULT_JOURNEYS: i64 = 20;
const MAX_JOURNEYS: i64 = 200;
const MAX_JOURNEY_DEPTH: usize = 5;

/// Ways through the site, or around one page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Journeys)]
pub(in crate::http) struct JourneysResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// Sessions that began in the period; with `around`, visits of the page.
    total: i64,
    /// The ways that sessions took, the most frequent first; empty with `around`.
    data: Vec<JourneyItem>,
    /// Where visits of the page came from, with `around`; `page` is `null` where the session began.
    before: Vec<AdjacentPage>,
    /// Where they went; `page` is `null` where the session ended.
    after: Vec<AdjacentPage>,
}

/// A way.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JourneyItem {
    /// The first pages, from the entry on. A page that follows itself stands here once.
    #[schema(value_type = Vec<String>)]
    pages: Vec<Arc<str>>,
    /// Whether the last of them is the exit, and not only where the way is cut.
    is_whole: bool,
    /// How many sessions took it.
    sessions: i64,
}

/// A page beside another.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AdjacentPage {
    #[schema(value_type = Option<String>)]
    page: Option<Arc<str>>,
    visits: i64,
}

/// The ways that sessions take most often; or what comes before and after a page.
///
/// Filters pick sessions with a visit that passes; with `around` the visits of the page.
#[utoipa::path(get, path = "/analytics/journeys", tag = "analytics",
    params(
        super::ReportParams,
        ("depth" = Option<usize>, Query, minimum = 1, maximum = 5,
            description = "Pages of a way; 3 without it"),
        ("around" = Option<String>, Query,
            description = "A path, or a pattern: `/quote`, `/blog/*`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 200,
            description = "At most so many; 20 without it"),
    ),
    responses(
        (status = 200, body = JourneysResponse, description = "The ways"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
    ))]
pub(in crate::http) async fn journeys(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<JourneysResponse>, Problem> {
    let own = ["depth", "around", "limit"];
    let question =
        ReportRequest::read(&state.store, state.clock.now(), scope.limit(pairs)?, &own).await?;
    let limit =
        usize::try_from(question.limit(DEFAULT_JOURNEYS, MAX_JOURNEYS)?).unwrap_or_default();
    let depth = depth(&question)?;
    let (asked, is_bot) = (&question.asked, question.is_bot);
    let Some(page) = around(&question)? else {
        let found = state.store.ways(asked, is_bot, depth, limit).await;
        let found = found.map_err(|e| error::store(&e))?;
        let (ways, total) = found.answer;
        return Ok(Json(JourneysResponse {
            scope: ReportScope::of(&question, found.as_of),
            total,
            data: ways.into_iter().map(way).collect(),
            before: vec![],
            after: vec![],
        }));
    };
    let found = state.store.around(asked, is_bot, &page, limit).await;
    let found = found.map_err(|e| error::store(&e))?;
    Ok(Json(JourneysResponse {
        scope: ReportScope::of(&question, found.as_of),
        total: found.answer.visits,
        data: vec![],
        before: neighbours(found.answer.before),
        after: neighbours(found.answer.after),
    }))
}

fn depth(question: &ReportRequest) -> Result<usize, Problem> {
    let Some(text) = question.own("depth") else {
        return Ok(3);
    };
    let depth = text
        .parse()
        .ok()
        .filter(|depth| (1..=MAX_JOURNEY_DEPTH).contains(depth));
    depth.ok_or_else(|| wrong("depth", "a depth lies between 1 and 5"))
}

fn around(question: &ReportRequest) -> Result<Option<WildcardPattern>, Problem> {
    let page = question
        .own("around")
        .map(WildcardPattern::parse)
        .transpose();
    page.map_err(|e| wrong("around", e.to_string()))
}

fn way(way: SessionPath) -> JourneyItem {
    JourneyItem {
        pages: way.pages,
        is_whole: !way.goes_on,
        sessions: way.sessions,
    }
}

fn neighbours(of: AdjacentPageCounts) -> Vec<AdjacentPage> {
    let neighbour = |(page, visits)| AdjacentPage { page, visits };
    of.into_iter().map(neighbour).collect()
}
