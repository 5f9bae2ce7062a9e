//! `POST /analytics/funnel`.

use std::collections::BTreeMap;

use axum::extract::State;
use chassis::Problem;
use chassis::extract::Json;
use rollups::funnel::{FunnelRules, MAX_FUNNEL_STEPS};
use rollups::pattern::WildcardPattern;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error;
use super::question::{QueryPairs, ReportRequest};
use super::{ReportScope, ratio, too_much};
use crate::domain::event::event_type;
use crate::http::site_scope::SiteScope;
use crate::store::{BoundedResult, FunnelStep};

/// A week, and the longest window: 90 days.
const DEFAULT_WINDOW_SECONDS: i64 = 7 * 86_400;
const MAX_WINDOW_SECONDS: i64 = 90 * 86_400;

/// A funnel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Funnel, example = json!({
    "site": "example.com", "from": "2026-11-01", "to": "2026-11-20",
    "steps": [{"page": "/pricing"}, {"page": "/checkout/*"}, {"event": "purchase"}],
    "order": "loose", "window_seconds": 86400, "filters": {"device_type": ["smartphone"]}
}))]
pub(in crate::http) struct FunnelRequest {
    /// As the parameters of other reports.
    site: Option<String>,
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    include_bots: Option<String>,
    /// 1 to 10 steps.
    steps: Vec<FunnelRequestStep>,
    /// `loose` (without it): something else may lie between two steps; `strict`: nothing may.
    order: Option<StepOrder>,
    /// From the first step to the last one at most so many seconds; a week without it.
    window_seconds: Option<i64>,
    /// Values by dimension, as in the parameters of other reports.
    filters: Option<BTreeMap<String, Vec<String>>>,
}

/// A step: a page (with wildcards) or an event.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FunnelStep)]
pub(in crate::http) struct FunnelRequestStep {
    page: Option<String>,
    event: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = FunnelOrder)]
enum StepOrder {
    Loose,
    Strict,
}

/// How many visitors take step after step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FunnelAnswer)]
pub(in crate::http) struct FunnelResponse {
    #[serde(flatten)]
    scope: ReportScope,
    steps: Vec<FunnelStepResult>,
    /// The part of those who took the first step that took the last one: 0 to 1.
    conversion_rate: Option<f64>,
}

/// A step, and who took it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct FunnelStepResult {
    page: Option<String>,
    event: Option<String>,
    /// Visitors who took it, and all before it.
    visitors: i64,
    /// The part of those who took the step before: 0 to 1.
    rate: Option<f64>,
}

/// How many visitors take step after step.
///
/// A visitor counts once, as far as one can be told from another over the days: with ids that
/// change daily a funnel ends with the day.
#[utoipa::path(post, path = "/analytics/funnel", tag = "analytics", request_body = FunnelRequest,
    responses(
        (status = 200, body = FunnelResponse, description = "The steps"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
        (status = 404, description = "There is no such site"),
        (status = 422,
            description = "A step or the window is wrong, or there is too much to count"),
    ))]
pub(in crate::http) async fn funnel(
    State(state): State<crate::http::SharedState>,
    scope: SiteScope,
    Json(mut wanted): Json<FunnelRequest>,
) -> Result<axum::Json<FunnelResponse>, Problem> {
    let (steps, rules) = rules(&wanted)?;
    let pairs = scope.limit(pairs(&mut wanted))?;
    let question = ReportRequest::read(&state.store, state.clock.now(), pairs, &[]).await?;
    let found = state
        .store
        .funnel(&question.asked, question.is_bot, &steps, rules)
        .await;
    let found = found.map_err(|e| error::store(&e))?;
    let BoundedResult::Fits(counts) = found.answer else {
        return Err(too_much());
    };
    let first = counts.first().copied().unwrap_or_default();
    let last = counts.last().copied().unwrap_or_default();
    let before = [first].into_iter().chain(counts.iter().copied());
    let steps = wanted.steps.into_iter().zip(counts.iter().zip(before));
    Ok(axum::Json(FunnelResponse {
        scope: ReportScope::of(&question, found.as_of),
        steps: steps
            .map(|(step, (visitors, before))| FunnelStepResult {
                page: step.page,
                event: step.event,
                visitors: *visitors,
                rate: ratio(*visitors, before, 4),
            })
            .collect(),
        conversion_rate: ratio(last, first, 4),
    }))
}

fn rules(wanted: &FunnelRequest) -> Result<(Vec<FunnelStep>, FunnelRules), Problem> {
    let invalid = |field: String, detail: String| Problem::invalid(field, "FUNNEL_INVALID", detail);
    if !(1..=MAX_FUNNEL_STEPS).contains(&wanted.steps.len()) {
        let detail = format!("a funnel has 1 to {MAX_FUNNEL_STEPS} steps");
        return Err(invalid("steps".into(), detail));
    }
    let window = wanted.window_seconds.unwrap_or(DEFAULT_WINDOW_SECONDS);
    if !(1..=MAX_WINDOW_SECONDS).contains(&window) {
        let detail = format!("a window has 1 to {MAX_WINDOW_SECONDS} seconds");
        return Err(invalid("window_seconds".into(), detail));
    }
    let steps = wanted.steps.iter().enumerate().map(|(place, step)| {
        let field = format!("steps[{place}]");
        match (&step.page, &step.event) {
            (Some(page), None) => match WildcardPattern::parse(page) {
                Ok(pattern) => Ok(FunnelStep::Page(pattern)),
                Err(error) => Err(invalid(field + ".page", error.to_string())),
            },
            (None, Some(name)) => match event_type(name.clone()) {
                Ok(name) => Ok(FunnelStep::Event(name)),
                Err(error) => Err(invalid(field + ".event", error.to_string())),
            },
            _ => Err(invalid(field, "a step is a page or an event".into())),
        }
    });
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let rules = FunnelRules {
        steps: steps.len(),
        is_strict: wanted.order == Some(StepOrder::Strict),
        window,
    };
    Ok((steps, rules))
}

/// The same as parameters.
fn pairs(wanted: &mut FunnelRequest) -> QueryPairs {
    let shared = [
        ("site", wanted.site.take()),
        ("from", wanted.from.take()),
        ("to", wanted.to.take()),
        ("time_zone", wanted.time_zone.take()),
        ("include_bots", wanted.include_bots.take()),
    ];
    let shared = shared
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let filters = wanted.filters.take().unwrap_or_default().into_iter();
    let filters = filters.flat_map(|(name, values)| {
        let pair = move |value| (name.clone(), value);
        values.into_iter().map(pair)
    });
    shared.chain(filters).collect()
}
