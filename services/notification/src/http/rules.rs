//! `/rules`: which events are told to whom, how, when, and how often.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chassis::page::{Page, PageLimit};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{AppState, error};
use crate::domain::book::UnusableRule;
use crate::domain::rule::RuleSpec;
use crate::store::rule;

/// Which page of rules to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleListParams {
    /// How many: 1 to 500, 50 unless told.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: PageLimit,
    /// `next_cursor` of the page before.
    cursor: Option<Uuid>,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleResponse {
    /// Its id.
    id: Uuid,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
    /// When it was switched off because it failed again and again; a change switches it on again.
    disabled_at: Option<DateTime<Utc>>,
    /// Why it is not followed, where it cannot be.
    disabled_reason: Option<String>,
    /// What it says.
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

/// The rules, the newest first. They are followed in the order they were made; who is told by one
/// is not told by the next one, too.
#[utoipa::path(get, path = "/rules", tag = "rules", params(RuleListParams),
    responses(
        (status = 200, body = Page<RuleResponse>, description = "A page of them"),
        (status = 400, description = "`QUERY_INVALID`"),
    ))]
pub(super) async fn list(
    State(shared): State<AppState>,
    Query(asked): Query<RuleListParams>,
) -> Result<Answer<Page<RuleResponse>>, Problem> {
    let mut rows = rule::list(&shared.pool, asked.cursor, asked.limit.and_one()).await?;
    let next_cursor = asked.limit.cut(&mut rows, |row| row.id);
    let unfollowed = shared.shelf.unfollowed();
    let data = rows.into_iter().map(|row| view(row, &unfollowed)).collect();
    Ok(Answer(Page { data, next_cursor }))
}

/// Makes a rule. It is followed at once by the process that answers, and within a second or two by
/// all others.
#[utoipa::path(post, path = "/rules", tag = "rules", request_body = RuleSpec,
    responses(
        (status = 201, body = RuleResponse, description = "It is followed"),
        (status = 409, description = "`TOO_MANY_RULES`"),
        (status = 422,
            description = "A field that cannot be accepted, such as `EXPRESSION_INVALID` with the \
                position"),
    ))]
pub(super) async fn create(
    State(shared): State<AppState>,
    Json(spec): Json<RuleSpec>,
) -> Result<(StatusCode, Answer<RuleResponse>), Problem> {
    let id = shared.clock.new_id();
    let spec = shared.engine.check(id, spec).await?;
    let row = rule::insert(&shared.pool, id, &spec, shared.clock.now()).await?;
    let row = row.ok_or_else(error::too_many_rules)?;
    shared.shelf.refresh().await?;
    Ok((StatusCode::CREATED, Answer(row.into())))
}

/// One rule.
#[utoipa::path(get, path = "/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses(
        (status = 200, body = RuleResponse, description = "What it says"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn get(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<Answer<RuleResponse>, Problem> {
    let row = rule::get(&shared.pool, id).await?;
    let row = row.ok_or_else(error::no_such_rule)?;
    Ok(Answer(view(row, &shared.shelf.unfollowed())))
}

/// A rule as it is kept, with what was found where it was read to be followed.
fn view(row: rule::RuleRow, unfollowed: &[UnusableRule]) -> RuleResponse {
    let found = unfollowed.iter().find(|found| found.rule == row.id);
    let found = found.map(|found| found.reason.clone());
    RuleResponse {
        disabled_reason: row.disabled_reason.clone().or(found),
        ..row.into()
    }
}

/// Changes a rule. One that was switched off is followed again.
#[utoipa::path(put, path = "/rules/{id}", tag = "rules", request_body = RuleSpec,
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses(
        (status = 200, body = RuleResponse, description = "It is followed as it is now"),
        (status = 404, description = "`NOT_FOUND`"),
        (status = 422, description = "A field that cannot be accepted"),
    ))]
pub(super) async fn update(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
    Json(spec): Json<RuleSpec>,
) -> Result<Answer<RuleResponse>, Problem> {
    let spec = shared.engine.check(id, spec).await?;
    let row = rule::update(&shared.pool, id, &spec, shared.clock.now()).await?;
    let row = row.ok_or_else(error::no_such_rule)?;
    shared.shelf.refresh().await?;
    Ok(Answer(row.into()))
}

/// Deletes a rule. What it gathered is told no more.
#[utoipa::path(delete, path = "/rules/{id}", tag = "rules",
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`NOT_FOUND`"),
    ))]
pub(super) async fn delete(
    State(shared): State<AppState>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if !rule::delete(&shared.pool, id).await? {
        return Err(error::no_such_rule());
    }
    shared.shelf.refresh().await?;
    Ok(StatusCode::NO_CONTENT)
}
