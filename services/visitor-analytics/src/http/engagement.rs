//! `POST /visits/{id}/engagement`.

use axum::extract::State;
use chassis::Problem;
use chassis::extract::{Json, Path};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error;
use super::site_scope::{SiteScope, require_found};
use super::state::SharedState;
use crate::domain::engagement::{Engagement, SubmittedEngagement};

/// The stored engagement of a visit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EngagementAnswer)]
pub(super) struct EngagementResponse {
    /// Id of the visit.
    id: Uuid,
    /// Seconds that the page was visible.
    engagement_seconds: u32,
    /// How far the page was scrolled, in percent.
    scroll_depth: u8,
}

/// Report the engagement of a visit.
///
/// The larger of the stored and the reported value is kept, so reports may arrive repeatedly, late
/// and in any order. An engagement of at least one second confirms that a browser shows the page:
/// the bot score decreases, and `NOTIFY_WHEN=second_signal` counts it as the second signal.
#[utoipa::path(post, path = "/visits/{id}/engagement", tag = "visits",
    request_body = SubmittedEngagement,
    params(("id" = Uuid, Path, description = "The visit's id")),
    responses(
        (status = 200, body = EngagementResponse, description = "The stored engagement"),
        (status = 404, description = "The visit does not exist"),
        (status = 422, description = "The report is invalid; `field` names the field"),
    ))]
pub(super) async fn report_engagement(
    State(state): State<SharedState>,
    scope: SiteScope,
    Path(id): Path<Uuid>,
    Json(report): Json<SubmittedEngagement>,
) -> Result<axum::Json<EngagementResponse>, Problem> {
    let report = Engagement::accept(report).map_err(|e| error::from_validation(&e))?;
    let known = state
        .store
        .visits
        .update_engagement(id, report, scope.sites())
        .await?;
    let (known, moment) = require_found(known, "there is no visit with this id")?;
    if known.confirms_person() {
        let now = state.clock.now();
        let confirmed = state
            .store
            .verdicts
            .confirm_browser((id, moment), state.notify_policy, now)
            .await;
        confirmed?;
    }
    Ok(axum::Json(EngagementResponse {
        id,
        engagement_seconds: known.seconds,
        scroll_depth: known.scroll_depth,
    }))
}
