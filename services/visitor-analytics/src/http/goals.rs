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
use super::segments::kept;
use super::site_scope::{AllSites, SiteScope};
use crate::domain::goal::{GoalTarget, SubmittedGoal, is_value};
use crate::domain::segment;
use crate::domain::visit;
use crate::store::Goal;

const GOAL_INVALID: &str = "GOAL_INVALID";

/// The parameters of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GoalListParams {
    /// Only this site's.
    site: Option<String>,
}

/// Goals.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GoalPage)]
pub(super) struct GoalPage {
    /// By site and name.
    data: Vec<GoalResponse>,
    /// Always `null`: a site has twenty at most.
    next_cursor: Option<String>,
}

/// A goal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Goal)]
pub(super) struct GoalResponse {
    id: Uuid,
    site: String,
    name: String,
    /// The page, perhaps with wildcards; `null` where it is an event.
    page: Option<String>,
    /// The kind of event; `null` where it is a page.
    event_type: Option<String>,
    /// What reaching it once is worth.
    value: Option<f64>,
    created_at: DateTime<Utc>,
}

/// What sessions may come to; reports take one as `goal`.
#[utoipa::path(get, path = "/goals", tag = "goals", params(GoalListParams),
    responses(
        (status = 200, body = GoalPage, description = "The goals"),
        (status = 400, description = "A parameter is wrong; `field` names it"),
    ))]
pub(super) async fn list(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Query(parameters): Query<GoalListParams>,
) -> Result<axum::Json<GoalPage>, Problem> {
    let site = scope.site(parameters.site.as_deref())?;
    let found = state.store.goals(site.as_deref()).await;
    let found = found.map_err(|e| error::store(&e))?;
    Ok(axum::Json(GoalPage {
        data: found.into_iter().map(line).collect(),
        next_cursor: None,
    }))
}

/// Adds a goal to a site.
#[utoipa::path(post, path = "/goals", tag = "goals", request_body = SubmittedGoal,
    responses(
        (status = 201, body = GoalResponse, description = "The goal"),
        (status = 404, description = "There is no such site"),
        (status = 409, description = "Another goal of the site has this name, or it has twenty"),
        (status = 422, description = "The goal cannot be accepted; `field` names why"),
    ))]
pub(super) async fn add(
    State(state): State<super::SharedState>,
    _: AllSites,
    Json(wanted): Json<SubmittedGoal>,
) -> Result<(StatusCode, axum::Json<GoalResponse>), Problem> {
    let site = visit::site(&wanted.site);
    let site = site.map_err(|e| Problem::invalid("site", GOAL_INVALID, e.to_string()))?;
    let name = segment::name(&wanted.name);
    let name = name.map_err(|e| Problem::invalid("name", GOAL_INVALID, e.to_string()))?;
    let target = GoalTarget::accept(wanted.page, wanted.event_type);
    let target = target.map_err(|(field, why)| Problem::invalid(field, GOAL_INVALID, why))?;
    if !wanted.value.is_none_or(is_value) {
        let detail = "a value lies between 0 and a million millions";
        return Err(Problem::invalid("value", GOAL_INVALID, detail));
    }
    let now = state.clock.now();
    let which = (Clock::id_at(now), site.as_str(), name.as_str());
    let added = state.store.add_goal(which, &target, wanted.value, now);
    let added = kept(added.await.map_err(|e| error::store(&e))?, "goal")?;
    Ok((StatusCode::CREATED, axum::Json(line(added))))
}

/// Removes a goal.
#[utoipa::path(delete, path = "/goals/{id}", tag = "goals",
    params(("id" = Uuid, Path, description = "The goal's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such goal"),
    ))]
pub(super) async fn remove(
    State(state): State<super::SharedState>,
    _: AllSites,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let removed = state.store.remove_goal(id).await;
    let removed = removed.map_err(|e| error::store(&e))?;
    let missing = || Problem::not_found("there is no such goal");
    removed
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(missing)
}

fn line(goal: Goal) -> GoalResponse {
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
