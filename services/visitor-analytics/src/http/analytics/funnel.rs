//! `POST /analytics/funnel`.

use std::collections::BTreeMap;

use axum::extract::State;
use chassis::Problem;
use chassis::extract::Json;
use rollups::funnel::{FunnelRules, MAX_FUNNEL_STEPS};
use rollups::pattern::WildcardPattern;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::report_request::{ReportRequest, too_many_visits};
use super::response::{ReportScope, ratio};
use crate::app::reports::{BoundedResult, FunnelStep};
use crate::domain::event::validate_event_type;
use crate::http::query_params::QueryPairs;
use crate::http::site_scope::SiteScope;
use crate::http::state::SharedState;

/// A week.
const DEFAULT_WINDOW_SECONDS: i64 = 7 * 86_400;
/// 90 days.
const MAX_WINDOW_SECONDS: i64 = 90 * 86_400;

/// A funnel: steps that visitors take in order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Funnel, example = json!({
    "site": "example.com", "from": "2026-11-01", "to": "2026-11-20",
    "steps": [{"page": "/pricing"}, {"page": "/checkout/*"}, {"event": "purchase"}],
    "order": "loose", "window_seconds": 86400, "filters": {"device_type": ["smartphone"]}
}))]
pub(crate) struct FunnelRequest {
    /// Domain of the site. Optional if there is only one, or if the token is limited to one.
    site: Option<String>,
    /// First day (`2026-11-20`) or timestamp (RFC 3339). Default: six days before the last day.
    from: Option<String>,
    /// Last day (included) or timestamp (excluded). Default: today.
    to: Option<String>,
    /// IANA time zone. Default: the site's time zone.
    time_zone: Option<String>,
    /// `false` (default): people's sessions; `true`: all sessions; `only`: bots' sessions.
    include_bots: Option<String>,
    /// The steps in order, 1 to 10.
    steps: Vec<FunnelRequestStep>,
    /// `loose` (default): other visits may occur between two steps; `strict`: none may, except
    /// repetitions of the step.
    order: Option<StepOrder>,
    /// Maximum time from the first to the last step, in seconds, at most 90 days. Default: a week
    /// (604,800).
    window_seconds: Option<i64>,
    /// Filter values by dimension, written as in query parameters: `!` negates, `*` is a wildcard.
    filters: Option<BTreeMap<String, Vec<String>>>,
}

/// A step: either a page or an event.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FunnelStep)]
pub(crate) struct FunnelRequestStep {
    /// Path of the page, with `*` as wildcard.
    page: Option<String>,
    /// Event type.
    event: Option<String>,
}

/// `loose`: other visits may occur between two steps; `strict`: none may, except repetitions of the
/// step.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = FunnelOrder)]
enum StepOrder {
    Loose,
    Strict,
}

/// The steps of a funnel with their visitors.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FunnelAnswer)]
pub(crate) struct FunnelResponse {
    #[serde(flatten)]
    scope: ReportScope,
    /// The steps, in the order of the request.
    steps: Vec<FunnelStepResult>,
    /// Share of visitors of the first step who complete the last one, from 0 to 1.
    conversion_rate: Option<f64>,
}

/// A step with its visitors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FunnelStepResult {
    /// Page of the step, as in the request.
    page: Option<String>,
    /// Event type of the step, as in the request.
    event: Option<String>,
    /// Visitors who completed this step and all steps before it.
    visitors: i64,
    /// Share of visitors of the previous step who complete this one, from 0 to 1.
    rate: Option<f64>,
}

/// Report a funnel.
///
/// Counts how many visitors complete the steps in order, across sessions and days. A visitor counts
/// once. Visitors are recognized as long as their ids last: with daily visitor ids, a funnel ends
/// with the day.
#[utoipa::path(post, path = "/analytics/funnel", tag = "analytics", request_body = FunnelRequest,
    responses(
        (status = 200, body = FunnelResponse, description = "The steps with their visitors"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
        (status = 422,
            description = "A step or the window is invalid (`FUNNEL_INVALID`), or the period has \
                too many visitors (`TOO_MUCH`)"),
    ))]
pub(crate) async fn funnel(
    State(state): State<SharedState>,
    scope: SiteScope,
    Json(mut request): Json<FunnelRequest>,
) -> Result<axum::Json<FunnelResponse>, Problem> {
    let (steps, rules) = parse_steps(&request)?;
    let pairs = scope.restrict(take_query_pairs(&mut request))?;
    let report = ReportRequest::parse(&state.store, state.clock.now(), pairs, &[]).await?;
    let found = state
        .reports
        .funnel(&report.query, report.is_bot, &steps, rules)
        .await?;
    let BoundedResult::Complete(counts) = found.value else {
        return Err(too_many_visits());
    };
    let first = counts.first().copied().unwrap_or_default();
    let last = counts.last().copied().unwrap_or_default();
    let before = [first].into_iter().chain(counts.iter().copied());
    let steps = request.steps.into_iter().zip(counts.iter().zip(before));
    Ok(axum::Json(FunnelResponse {
        scope: ReportScope::new(&report, found.as_of),
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

fn parse_steps(request: &FunnelRequest) -> Result<(Vec<FunnelStep>, FunnelRules), Problem> {
    let invalid = |field: String, detail: String| Problem::invalid(field, "FUNNEL_INVALID", detail);
    if !(1..=MAX_FUNNEL_STEPS).contains(&request.steps.len()) {
        let detail = format!("a funnel has 1 to {MAX_FUNNEL_STEPS} steps");
        return Err(invalid("steps".into(), detail));
    }
    let window = request.window_seconds.unwrap_or(DEFAULT_WINDOW_SECONDS);
    if !(1..=MAX_WINDOW_SECONDS).contains(&window) {
        let detail = format!("`window_seconds` must be between 1 and {MAX_WINDOW_SECONDS}");
        return Err(invalid("window_seconds".into(), detail));
    }
    let steps = request.steps.iter().enumerate().map(|(place, step)| {
        let field = format!("steps[{place}]");
        match (&step.page, &step.event) {
            (Some(page), None) => match WildcardPattern::parse_path(page) {
                Ok(pattern) => Ok(FunnelStep::Page(pattern)),
                Err(error) => Err(invalid(field + ".page", error.to_string())),
            },
            (None, Some(name)) => match validate_event_type(name.clone()) {
                Ok(name) => Ok(FunnelStep::Event(name)),
                Err(error) => Err(invalid(field + ".event", error.to_string())),
            },
            _ => Err(invalid(
                field,
                "a step needs either `page` or `event`".into(),
            )),
        }
    });
    let steps = steps.collect::<Result<Vec<_>, _>>()?;
    let rules = FunnelRules {
        step_count: steps.len(),
        is_strict: request.order == Some(StepOrder::Strict),
        window_seconds: window,
    };
    Ok((steps, rules))
}

/// Converts the shared fields to query parameters.
fn take_query_pairs(request: &mut FunnelRequest) -> QueryPairs {
    let shared = [
        ("site", request.site.take()),
        ("from", request.from.take()),
        ("to", request.to.take()),
        ("time_zone", request.time_zone.take()),
        ("include_bots", request.include_bots.take()),
    ];
    let shared = shared
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let filters = request.filters.take().unwrap_or_default().into_iter();
    let filters = filters.flat_map(|(name, values)| {
        let pair = move |value| (name.clone(), value);
        values.into_iter().map(pair)
    });
    shared.chain(filters).collect()
}
