//! `GET /analytics/journeys`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use common::readable_url::readable_path;
use rollups::pattern::WildcardPattern;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{ReportParams, ReportRequest};
use super::response::ReportScope;
use crate::app::reports::{AdjacentPageCounts, SessionPath};
use crate::http::query_params::{QueryPairs, invalid_param};
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;

const DEFAULT_JOURNEYS: i64 = 20;
const MAX_JOURNEYS: i64 = 200;
const MAX_JOURNEY_DEPTH: usize = 5;

/// The most frequent journeys, or the pages before and after one page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Journeys)]
pub(crate) struct JourneysResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// Number of sessions that began in the period. With `around`: number of visits of the page.
    total: i64,
    /// The journeys, most frequent first; empty with `around`.
    data: Vec<JourneyItem>,
    /// With `around`: the previous pages; `page` is `null` if the session began here.
    before: Vec<AdjacentPage>,
    /// With `around`: the next pages; `page` is `null` if the session ended here.
    after: Vec<AdjacentPage>,
}

/// A journey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JourneyItem {
    /// The first pages of the session, starting with the entry page. Consecutive visits of the same
    /// page count as one.
    pages: Vec<String>,
    /// Whether the last page is the exit page; `false` if the session continues beyond `depth`.
    is_whole: bool,
    /// Number of sessions.
    sessions: i64,
}

/// A page before or after the page `around`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdjacentPage {
    /// Path of the page; `null` for the start or end of a session.
    page: Option<String>,
    /// Number of visits of the page `around`.
    visits: i64,
}

/// Report journeys.
///
/// Returns the most frequent sequences of pages from the entry page on. With `around`: the pages
/// before and after a page. Filters select sessions with a matching visit; with `around` they
/// select the visits of the page.
#[utoipa::path(get, path = "/analytics/journeys", tag = "analytics",
    params(
        ReportParams,
        ("depth" = Option<usize>, Query, minimum = 1, maximum = 5,
            description = "Number of pages per journey. Default: 3"),
        ("around" = Option<String>, Query,
            description = "Path of a page, with `*` as wildcard: `/quote`, `/blog/*`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 200,
            description = "Maximum number of journeys or pages. Default: 20"),
    ),
    responses(
        (status = 200, body = JourneysResponse, description = "The journeys"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
    ))]
pub(crate) async fn journeys(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<JourneysResponse>, Problem> {
    let own = ["depth", "around", "limit"];
    let report = ReportRequest::parse(
        &state.store,
        state.clock.now(),
        scope.restrict(pairs)?,
        &own,
    )
    .await?;
    let limit =
        usize::try_from(report.parse_limit(DEFAULT_JOURNEYS, MAX_JOURNEYS)?).unwrap_or_default();
    let depth = parse_depth(&report)?;
    let (query, is_bot) = (&report.query, report.is_bot);
    let Some(page) = parse_around(&report)? else {
        let found = state
            .reports
            .session_paths(query, is_bot, depth, limit)
            .await?;
        let (ways, total) = found.value;
        return Ok(Json(JourneysResponse {
            scope: ReportScope::new(&report, found.as_of),
            total,
            data: ways.iter().map(to_journey).collect(),
            before: vec![],
            after: vec![],
        }));
    };
    let found = state
        .reports
        .adjacent_pages(query, is_bot, &page, limit)
        .await?;
    Ok(Json(JourneysResponse {
        scope: ReportScope::new(&report, found.as_of),
        total: found.value.visits,
        data: vec![],
        before: to_adjacent_pages(found.value.before),
        after: to_adjacent_pages(found.value.after),
    }))
}

fn parse_depth(report: &ReportRequest) -> Result<usize, Problem> {
    let Some(text) = report.own_param("depth") else {
        return Ok(3);
    };
    let depth = text
        .parse()
        .ok()
        .filter(|depth| (1..=MAX_JOURNEY_DEPTH).contains(depth));
    depth.ok_or_else(|| invalid_param("depth", "`depth` must be between 1 and 5"))
}

fn parse_around(report: &ReportRequest) -> Result<Option<WildcardPattern>, Problem> {
    let page = report
        .own_param("around")
        .map(WildcardPattern::parse_path)
        .transpose();
    page.map_err(|e| invalid_param("around", e.to_string()))
}

fn to_journey(way: &SessionPath) -> JourneyItem {
    JourneyItem {
        pages: way
            .pages
            .iter()
            .map(|page| readable_path(page).into_owned())
            .collect(),
        is_whole: !way.has_more_pages,
        sessions: way.sessions,
    }
}

fn to_adjacent_pages(of: AdjacentPageCounts) -> Vec<AdjacentPage> {
    let neighbour = |(page, visits): (Option<Arc<str>>, i64)| AdjacentPage {
        page: page.map(|page| readable_path(&page).into_owned()),
        visits,
    };
    of.into_iter().map(neighbour).collect()
}
