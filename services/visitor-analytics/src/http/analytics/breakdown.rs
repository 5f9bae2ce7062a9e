//! `GET /analytics/breakdown`.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chassis::Problem;
use chassis::extract::Query;
use common::readable_url::readable_path;
use rollups::dimension::Dimension;
use rollups::query::Attribute;
use serde::Serialize;
use utoipa::ToSchema;

use super::report_request::{ReportParams, ReportRequest};
use super::response::{ConversionMetrics, ReportScope, VisitorScope, ratio, select_metrics};
use crate::app::reports::{BreakdownOrder, BreakdownQuery, BreakdownRow, ReportQuery};
use crate::domain::source::display_name;
use crate::http::query_params::{QueryPairs, invalid_param};
use crate::http::site_scope::SiteScope;
use crate::http::state::{AppState, SharedState};

const DEFAULT_BREAKDOWN_LIMIT: i64 = 50;
const MAX_BREAKDOWN_LIMIT: i64 = 1_000;

/// The numbers of a period for each value of a dimension.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Breakdown)]
pub(crate) struct BreakdownResponse {
    #[serde(flatten)]
    scope: ReportScope,
    #[serde(flatten)]
    visitor_scope: VisitorScope,
    /// The requested dimension.
    by: String,
    /// The values, in the requested order.
    data: Vec<BreakdownItem>,
    /// Pass as `cursor` to get the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// The numbers of a value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakdownItem {
    /// The value; `null` for visits without one. Paths have decoded characters, such as `/schön`.
    value: Option<String>,
    /// With `by=source`: the name of the source as people write it, such as `Wikipedia` or `X`.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_name: Option<String>,
    /// Visitors with at least one matching visit. A visitor counts once, or once per day if
    /// `visitor_ids` is `daily`.
    visitors: i64,
    /// Sessions with at least one matching visit. A session counts on the day of its first one.
    sessions: i64,
    /// Matching visits (page views).
    visits: i64,
    /// Share of sessions with exactly one visit, from 0 to 1; `null` without sessions.
    bounce_rate: Option<f64>,
    /// Average time until the session's next visit, in seconds.
    average_seconds: Option<f64>,
    #[serde(flatten)]
    conversion_metrics: ConversionMetrics,
}

/// Break down a site's numbers by a dimension.
#[utoipa::path(get, path = "/analytics/breakdown", tag = "analytics",
    params(
        ReportParams,
        ("by" = String, Query,
            description = "A dimension; `property:plan` for the values of a property that the site \
                counts; or `goal` for the sessions that reach each goal of the site"),
        ("goal" = Option<String>, Query,
            description = "Name or id of a goal. Adds the conversions. Refused with `by=goal`"),
        ("sort" = Option<String>, Query,
            description = "`visitors` (default), `sessions`, `visits`, `bounce_rate` or \
                `average_seconds`, largest first; or `value`"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "Maximum number of values per page. Default: 50"),
        ("cursor" = Option<String>, Query,
            description = "`next_cursor` of the previous page; valid for the same request only"),
    ),
    responses(
        (status = 200, body = BreakdownResponse, description = "The numbers"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 404, description = "The site does not exist"),
    ))]
pub(crate) async fn breakdown(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
) -> Result<Json<BreakdownResponse>, Problem> {
    let own = ["by", "sort", "limit", "cursor", "goal"];
    let report = ReportRequest::parse(
        &state.store,
        state.clock.now(),
        scope.restrict(pairs)?,
        &own,
    )
    .await?;
    if report.own_param("by") == Some("goal") {
        return breakdown_by_goal(&state, &report).await;
    }
    let (query, fingerprint) = parse_query(&report)?;
    let found = state.reports.breakdown(&report.query, &query).await?;
    let limit = usize::try_from(query.limit).unwrap_or_default();
    let more = found.value.rows.len() > limit;
    let mut data: Vec<BreakdownItem> = found
        .value
        .rows
        .into_iter()
        .take(limit)
        .map(to_item)
        .collect();
    if let Some((goal, goal_query)) = report.goal_query(&state.store).await? {
        let all = BreakdownQuery {
            offset: 0,
            limit: i64::MAX - 1,
            needs_visitors: false,
            ..query.clone()
        };
        let reached = state.reports.breakdown(&goal_query, &all).await;
        let reached = reached?.value.rows.into_iter();
        let sessions: HashMap<Option<String>, i64> = reached
            .map(|of| (of.value.map(|text| text.to_string()), of.metrics.sessions))
            .collect();
        for line in &mut data {
            let reached = sessions.get(&line.value).copied().unwrap_or_default();
            line.conversion_metrics = ConversionMetrics::new(&goal, line.sessions, reached);
        }
    }
    for item in &mut data {
        item.set_names(query.subject);
    }
    Ok(Json(BreakdownResponse {
        by: query.property.as_ref().map_or_else(
            || query.subject.name().to_owned(),
            |property| format!("property:{property}"),
        ),
        next_cursor: more.then(|| encode_cursor(fingerprint, query.offset + query.limit)),
        data,
        visitor_scope: found.value.counting.into(),
        scope: ReportScope::new(&report, found.as_of),
    }))
}

/// Returns the numbers of the sessions that reach each goal, most frequent goals first.
async fn breakdown_by_goal(
    state: &AppState,
    report: &ReportRequest,
) -> Result<Json<BreakdownResponse>, Problem> {
    for name in ["goal", "sort", "cursor"] {
        if report.own_param(name).is_some() {
            return Err(invalid_param(name, "not supported with `by=goal`"));
        }
    }
    let limit = report.parse_limit(DEFAULT_BREAKDOWN_LIMIT, MAX_BREAKDOWN_LIMIT)?;
    let total = async |goal_query: &ReportQuery| {
        let totals = state.reports.totals(goal_query, report.is_bot).await?;
        let metrics = select_metrics(report.is_bot, totals.value.metrics);
        Ok::<_, Problem>((metrics, totals.map(|totals| totals.counting)))
    };
    let (all, counting) = total(&report.query).await?;
    let goals = state
        .store
        .goals
        .list(Some(&report.query.site.domain))
        .await;
    let mut data = vec![];
    for goal in goals? {
        let goal_query = report.restrict_to_goal(&state.store, &goal).await?;
        let (numbers, _) = total(&goal_query).await?;
        let value = Some(goal.name.as_str().into());
        data.push(BreakdownItem {
            conversion_metrics: ConversionMetrics::new(&goal, all.sessions, numbers.sessions),
            ..to_item(BreakdownRow {
                value,
                metrics: numbers,
            })
        });
    }
    data.sort_by_key(|line| std::cmp::Reverse(line.sessions));
    data.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(Json(BreakdownResponse {
        by: "goal".into(),
        next_cursor: None,
        data,
        visitor_scope: counting.value.into(),
        scope: ReportScope::new(report, counting.as_of),
    }))
}

fn parse_query(report: &ReportRequest) -> Result<(BreakdownQuery, u64), Problem> {
    let by = report
        .own_param("by")
        .ok_or_else(|| invalid_param("by", "`by` is required: name a dimension"))?;
    let named = Attribute::parse(by);
    let (subject, property) = named.ok_or_else(|| invalid_param("by", "unknown dimension"))?;
    report.check_property(property, "by")?;
    let order = match report.own_param("sort").unwrap_or("visitors") {
        "visitors" => BreakdownOrder::Visitors,
        "sessions" => BreakdownOrder::Sessions,
        "visits" => BreakdownOrder::Visits,
        "bounce_rate" => BreakdownOrder::BounceRate,
        "average_seconds" => BreakdownOrder::AverageSeconds,
        "value" => BreakdownOrder::Value,
        _ => {
            return Err(invalid_param(
                "sort",
                "`sort` must be `visitors`, `sessions`, `visits`, `bounce_rate`, `average_seconds` \
                 or `value`",
            ));
        }
    };
    let fingerprint = report.fingerprint((subject, property, order));
    let offset = match report.own_param("cursor") {
        None => 0,
        Some(text) => decode_cursor(text, fingerprint).ok_or_else(|| {
            invalid_param(
                "cursor",
                "not a cursor of this request; repeat the parameters of the first page",
            )
        })?,
    };
    let query = BreakdownQuery {
        subject,
        property: property.map(str::to_owned),
        is_bot: report.is_bot,
        order,
        offset,
        limit: report.parse_limit(DEFAULT_BREAKDOWN_LIMIT, MAX_BREAKDOWN_LIMIT)?,
        needs_visitors: true,
    };
    Ok((query, fingerprint))
}

/// Larger than the number of values of any breakdown.
const MAX_OFFSET: i64 = 1_000_000_000;

/// Encodes the fingerprint of the request and the number of preceding values.
fn encode_cursor(fingerprint: u64, offset: i64) -> String {
    let bytes = [fingerprint.to_be_bytes(), offset.to_be_bytes()];
    BASE64.encode(bytes.concat())
}

fn decode_cursor(text: &str, fingerprint: u64) -> Option<i64> {
    let bytes = BASE64.decode(text).ok()?;
    let (own, offset) = bytes.split_first_chunk::<8>()?;
    let offset = i64::from_be_bytes(offset.try_into().ok()?);
    let is_offset = (0..=MAX_OFFSET).contains(&offset);
    let is_own = u64::from_be_bytes(*own) == fingerprint && is_offset;
    is_own.then_some(offset)
}

impl BreakdownItem {
    /// Replaces a path by its readable form and adds the name of a source.
    fn set_names(&mut self, subject: Attribute) {
        let Some(value) = &mut self.value else {
            return;
        };
        if subject.is_page() {
            *value = readable_path(value).into_owned();
        } else if subject == Attribute::Dimension(Dimension::Source) {
            self.source_name = Some(display_name(value).to_owned());
        }
    }
}

fn to_item(value: BreakdownRow) -> BreakdownItem {
    let numbers = value.metrics;
    BreakdownItem {
        value: value.value.map(|text| text.to_string()),
        source_name: None,
        visitors: numbers.visitors,
        sessions: numbers.sessions,
        visits: numbers.visits,
        bounce_rate: ratio(numbers.bounces, numbers.sessions, 4),
        average_seconds: ratio(numbers.seconds, numbers.visits, 1),
        conversion_metrics: ConversionMetrics::default(),
    }
}
