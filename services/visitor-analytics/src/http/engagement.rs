//! `POST /visits/{id}/engagement`.

use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Json, Path};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::{SiteScope, found};
use crate::domain::engagement::{Engagement, SubmittedEngagement};

/// What is known now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EngagementAnswer)]
pub(super) struct EngagementResponse {
    /// The visit's id.
    id: Uuid,
    engagement_seconds: u32,
    scroll_depth: u8,
}

/// Tells how long a page was looked at, and how much of it.
///
/// The larger number stays, so that a report may come twice, late, or in another order. A second
/// of it confirms that a browser shows the page: what spoke against a person weighs less, and with
/// `NOTIFY_WHEN=second_signal` it is the second signal.
#[utoipa::path(post, path = "/visits/{id}/engagement", tag = "visits", request_body = SubmittedEngagement,
    params(("id" = Uuid, Path, description = "The visit's id")),
    responses(
        (status = 200, body = EngagementResponse, description = "What is known now"),
        (status = 404, description = "There is no such visit"),
        (status = 422, description = "The report cannot be accepted; `field` names why"),
    ))]
pub(super) async fn grow(
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
    Json(report): Json<SubmittedEngagement>,
) -> Result<axum::Json<EngagementResponse>, Problem> {
    let report = Engagement::accept(report).map_err(|e| error::invalid(&e))?;
    let known = state.store.engage(id, report, scope.sites()).await;
    let known = known.map_err(|e| error::store(&e))?;
    let (known, moment) = found(known, "there is no visit with this id")?;
    if known.confirms() {
        let now = state.clock.now();
        let confirmed = state.store.confirm((id, moment), state.telling, now).await;
        confirmed.map_err(|e| error::store(&e))?;
    }
    Ok(axum::Json(EngagementResponse {
        id,
        engagement_seconds: known.seconds,
        scroll_depth: known.depth,
    }))
}
