//! `GET`, `POST` and `DELETE /goals`.

use axum::extract::State;
use axum::http::StatusCode;
use chassis::Problem;
use chassis::extract::{Json, Path, Query};
use chrono::{DateTime, Utc};
use common::clock::Clock;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::error;
use super::site_scope::{AllSites, SiteScope};
use super::state::SharedState;
use crate::domain::goal::{GoalTarget, SubmittedGoal, is_valid_value};
use crate::domain::segment;
use crate::domain::visit;
use crate::store::Goal;

const GOAL_INVALID: &str = "GOAL_INVALID";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GoalListParams {
    /// Only goals of this site.
    site: Option<String>,
}

/// All goals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GoalPage)]
pub(super) struct GoalPage {
    /// The goals, ordered by site and name.
    data: Vec<GoalResponse>,
    /// Always `null`: a site has at most 20 goals, so the list is not paged.
    next_cursor: Option<String>,
}

/// A goal: a page or an event that sessions should reach.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Goal)]
pub(super) struct GoalResponse {
    /// Id of the goal.
    id: Uuid,
    /// Domain of the site.
    site: String,
    /// Name of the goal, unique within the site.
    name: String,
    /// Path of the page, with `*` as wildcard; `null` if the goal is an event.
    page: Option<String>,
    /// Event type; `null` if the goal is a page.
    event_type: Option<String>,
    /// Value of one conversion, between 0 and 10^12.
    value: Option<f64>,
    /// Time of creation.
    created_at: DateTime<Utc>,
}

/// List goals.
///
/// Reports accept the name or id of a goal as `goal`.
#[utoipa::path(get, path = "/goals", tag = "goals", params(GoalListParams),
    responses(
        (status = 200, body = GoalPage, description = "All goals"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(parameters): Query<GoalListParams>,
) -> Result<axum::Json<GoalPage>, Problem> {
    let site = scope.resolve_site(parameters.site.as_deref())?;
    let found = state.store.goals.list(site.as_deref()).await?;
    Ok(axum::Json(GoalPage {
        data: found.into_iter().map(to_response).collect(),
        next_cursor: None,
    }))
}

/// Create a goal.
///
/// A goal is either a page (`page`, with wildcards) or an event (`event_type`).
#[utoipa::path(post, path = "/goals", tag = "goals", request_body = SubmittedGoal,
    responses(
        (status = 201, body = GoalResponse, description = "The new goal"),
        (status = 404, description = "The site does not exist"),
        (status = 409,
            description = "The site has a goal with this name (`NAME_TAKEN`), or 20 goals \
                (`TOO_MANY`)"),
        (status = 422,
            description = "The goal is invalid (`GOAL_INVALID`); `field` names the field"),
    ))]
pub(super) async fn add(
    State(state): State<SharedState>,
    _: AllSites,
    Json(submitted): Json<SubmittedGoal>,
) -> Result<(StatusCode, axum::Json<GoalResponse>), Problem> {
    let site = visit::normalize_domain(&submitted.site);
    let site = site.map_err(|e| Problem::invalid("site", GOAL_INVALID, e.to_string()))?;
    let name = segment::validate_name(&submitted.name);
    let name = name.map_err(|e| Problem::invalid("name", GOAL_INVALID, e.to_string()))?;
    let target = GoalTarget::accept(submitted.page, submitted.event_type);
    let target = target.map_err(|(field, why)| Problem::invalid(field, GOAL_INVALID, why))?;
    if !submitted.value.is_none_or(is_valid_value) {
        let detail = "`value` must be between 0 and 10^12";
        return Err(Problem::invalid("value", GOAL_INVALID, detail));
    }
    let now = state.clock.now();
    let key = (Clock::new_id_at(now), site.as_str(), name.as_str());
    let added = state.store.goals.add(key, &target, submitted.value, now);
    let added = error::upsert_result(added.await?, "goal")?;
    Ok((StatusCode::CREATED, axum::Json(to_response(added))))
}

/// Delete a goal.
#[utoipa::path(delete, path = "/goals/{id}", tag = "goals",
    params(("id" = Uuid, Path, description = "The goal's id")),
    responses(
        (status = 204, description = "The goal was deleted"),
        (status = 404, description = "The goal does not exist"),
    ))]
pub(super) async fn remove(
    State(state): State<SharedState>,
    _: AllSites,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let removed = state.store.goals.remove(id).await?;
    let missing = || Problem::not_found("there is no goal with this id");
    removed
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(missing)
}

fn to_response(goal: Goal) -> GoalResponse {
    GoalResponse {
        id: goal.id,
        site: goal.site,
        name: goal.name,
        page: goal.page,
        event_type: goal.event_type,
        value: goal.value,
        created_at: goal.created_at,
    }
}
