//! `/rules`: which events are sent to which recipients, how, when, and how often.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chassis::page::{ListParams, Page};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::state::AppState;
use crate::domain::routing_table::UnusableRule;
use crate::domain::rule::RuleSpec;
use crate::store::rule;

/// A stored rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleResponse {
    /// Id of the rule.
    id: Uuid,
    /// Time of creation.
    created_at: DateTime<Utc>,
    /// Time of the last update.
    updated_at: DateTime<Utc>,
    /// Time at which the rule was disabled after repeated failures; updating the rule enables it
    /// again. `null` if it is not disabled.
    disabled_at: Option<DateTime<Utc>>,
    /// Why the rule is disabled or cannot be evaluated.
    disabled_reason: Option<String>,
    #[serde(flatten)]
    spec: RuleSpec,
}

impl From<rule::RuleRow> for RuleResponse {
    fn from(row: rule::RuleRow) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            disabled_at: row.disabled_at,
            disabled_reason: row.disabled_reason,
            spec: row.spec.0,
        }
    }
}

/// List rules.
///
/// Newest first. Rules are evaluated in the order of their creation. A recipient gets a
/// notification once, from the first matching rule that names the recipient.
#[utoipa::path(get, path = "/rules", tag = "rules", params(ListParams),
    responses(
        (status = 200, body = Page<RuleResponse>, description = "A page of rules"),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(parameters): Query<ListParams>,
) -> Result<axum::Json<Page<RuleResponse>>, Problem> {
    let limit = parameters.limit;
    let rows = rule::list(&shared.pool, parameters.cursor, limit.with_lookahead()).await?;
    let unusable = shared.routing_cache.unusable_rules();
    let item = |row| rule_response(row, &unusable);
    Ok(axum::Json(Page::from_rows(rows, limit, |row| row.id, item)))
}

/// Create a rule.
///
/// The rule takes effect immediately in the process that answers, and within about two seconds in
/// all others.
#[utoipa::path(post, path = "/rules", tag = "rules", request_body = RuleSpec,
    responses(
        (status = 201, body = RuleResponse, description = "The new rule"),
        (status = 409, description = "`TOO_MANY_RULES`: the maximum of 500 rules is reached"),
        (status = 422,
            description = "A field is invalid; `field` names it. The detail of \
                `EXPRESSION_INVALID` names the position of the error"),
    ))]
pub(super) async fn create(
    State(shared): State<AppState>,
    Json(spec): Json<RuleSpec>,
) -> Result<(StatusCode, axum::Json<RuleResponse>), Problem> {
    let id = shared.clock.new_id();
    let spec = shared.rule_engine.validate(id, spec).await?;
    let row = rule::insert(&shared.pool, id, &spec, shared.clock.now()).await?;
    let row = row.ok_or_else(error::too_many_rules)?;
    shared.routing_cache.refresh().await?;
    Ok((StatusCode::CREATED, axum::Json(row.into())))
}

/// Get a rule.
#[utoipa::path(get, path = "/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses(
        (status = 200, body = RuleResponse, description = "The rule"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn get(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<axum::Json<RuleResponse>, Problem> {
    let row = rule::get(&shared.pool, id).await?;
    let row = row.ok_or_else(error::rule_not_found)?;
    Ok(axum::Json(rule_response(
        row,
        &shared.routing_cache.unusable_rules(),
    )))
}

/// Adds the reason why the cache cannot evaluate a stored rule.
fn rule_response(row: rule::RuleRow, unfollowed: &[UnusableRule]) -> RuleResponse {
    let found = unfollowed.iter().find(|found| found.rule_id == row.id);
    let found = found.map(|found| found.reason.clone());
    RuleResponse {
        disabled_reason: row.disabled_reason.clone().or(found),
        ..row.into()
    }
}

/// Update a rule.
///
/// Enables a rule that was disabled after repeated failures.
#[utoipa::path(put, path = "/rules/{id}", tag = "rules", request_body = RuleSpec,
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses(
        (status = 200, body = RuleResponse, description = "The updated rule"),
        (status = 404, description = "`NOT_FOUND`"),
        (status = 422, description = "A field is invalid; `field` names it"),
    ))]
pub(super) async fn update(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
    Json(spec): Json<RuleSpec>,
) -> Result<axum::Json<RuleResponse>, Problem> {
    let spec = shared.rule_engine.validate(id, spec).await?;
    let row = rule::update(&shared.pool, id, &spec, shared.clock.now()).await?;
    let row = row.ok_or_else(error::rule_not_found)?;
    shared.routing_cache.refresh().await?;
    Ok(axum::Json(row.into()))
}

/// Delete a rule.
///
/// Notifications in its open digests are not sent.
#[utoipa::path(delete, path = "/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses(
        (status = 204, description = "The rule was deleted"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn delete(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if !rule::delete(&shared.pool, id).await? {
        return Err(error::rule_not_found());
    }
    shared.routing_cache.refresh().await?;
    Ok(StatusCode::NO_CONTENT)
}
