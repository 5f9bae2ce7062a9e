//! `GET /analytics/journeys`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::error;
use super::question::{Pairs, Question};
use super::{Scope, wrong};
use crate::domain::pattern::Pattern;
use crate::http::site_scope::SiteScope;
use crate::store::{Neighbours, WayTaken};

const USUAL: i64 = 20;
const MOST: i64 = 200;
const DEEPEST: usize = 5;

/// Ways through the site, or around one page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Journeys)]
pub(in crate::http) struct Body {
    #[serde(flatten)]
    scope: Scope,
    /// Sessions that began in the period; with `around`, visits of the page.
    total: i64,
    /// The ways that sessions took, the most frequent first; empty with `around`.
    data: Vec<Way>,
    /// Where visits of the page came from, with `around`; `page` is `null` where the session began.
    before: Vec<Neighbour>,
    /// Where they went; `page` is `null` where the session ended.
    after: Vec<Neighbour>,
}

/// A way.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Way {
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
pub(in crate::http) struct Neighbour {
    #[schema(value_type = Option<String>)]
    page: Option<Arc<str>>,
    visits: i64,
}

/// The ways that sessions take most often; or what comes before and after a page.
///
/// Filters pick sessions with a visit that passes; with `around` the visits of the page.
#[utoipa::path(get, path = "/analytics/journeys", tag = "analytics",
    params(
        super::Shared,
        ("depth" = Option<usize>, Query, minimum = 1, maximum = 5,
            description = "Pages of a way; 3 without it"),
        ("around" = Option<String>, Query,
            description = "A path, or a pattern: `/quote`, `/blog/*`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 200,
            description = "At most so many; 20 without it"),
    ),
    responses(
        (status = 200, body = Body, description = "The ways"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
    ))]
pub(in crate::http) async fn journeys(
    State(state): State<crate::http::State>,
    scope: SiteScope,
    Query(pairs): Query<Pairs>,
) -> Result<Json<Body>, Problem> {
    let own = ["depth", "around", "limit"];
    let question =
        Question::read(&state.store, state.clock.now(), scope.limit(pairs)?, &own).await?;
    let limit = usize::try_from(question.limit(USUAL, MOST)?).unwrap_or_default();
    let depth = depth(&question)?;
    let (asked, is_bot) = (&question.asked, question.is_bot);
    let Some(page) = around(&question)? else {
        let found = state.store.ways(asked, is_bot, depth, limit).await;
        let found = found.map_err(|e| error::store(&e))?;
        let (ways, total) = found.answer;
        return Ok(Json(Body {
            scope: Scope::of(&question, found.as_of),
            total,
            data: ways.into_iter().map(way).collect(),
            before: vec![],
            after: vec![],
        }));
    };
    let found = state.store.around(asked, is_bot, &page, limit).await;
    let found = found.map_err(|e| error::store(&e))?;
    Ok(Json(Body {
        scope: Scope::of(&question, found.as_of),
        total: found.answer.visits,
        data: vec![],
        before: neighbours(found.answer.before),
        after: neighbours(found.answer.after),
    }))
}

fn depth(question: &Question) -> Result<usize, Problem> {
    let Some(text) = question.own("depth") else {
        return Ok(3);
    };
    let depth = text
        .parse()
        .ok()
        .filter(|depth| (1..=DEEPEST).contains(depth));
    depth.ok_or_else(|| wrong("depth", "a depth lies between 1 and 5"))
}

fn around(question: &Question) -> Result<Option<Pattern>, Problem> {
    let page = question.own("around").map(Pattern::parse).transpose();
    page.map_err(|e| wrong("around", e.to_string()))
}

fn way(way: WayTaken) -> Way {
    Way {
        pages: way.pages,
        is_whole: !way.goes_on,
        sessions: way.sessions,
    }
}

fn neighbours(of: Neighbours) -> Vec<Neighbour> {
    let neighbour = |(page, visits)| Neighbour { page, visits };
    of.into_iter().map(neighbour).collect()
}
