//! The HTTP API: handlers, their parameters and response bodies.

mod analytics;
mod engagement;
mod error;
mod events;
mod explain;
mod export;
mod goals;
mod imports;
mod live;
mod query_params;
mod segments;
mod sessions;
mod site_scope;
mod sites;
mod submit;
mod users;
mod visit_filter;
mod visitor_data;
mod visitors;
mod visits;

use std::sync::Arc;

use chassis::auth;
use chassis::request_slots::RequestSlots;
use common::clock::Clock;
use common::jwt::{Scope, TokenVerifier};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::AdmissionControl;
use crate::domain::privacy::PrivacyPolicy;
use crate::domain::session::NotifyPolicy;
use crate::ingest::IngestService;
use crate::store::Store;
use crate::workers::ignore_rules::IgnoreRules;
use crate::workers::live::LiveHub;

/// Shared, because axum clones the state several times per request.
pub type SharedState = Arc<AppState>;

pub struct AppState {
    pub ingest: IngestService,
    pub admission: AdmissionControl,
    pub store: Store,
    pub privacy_policy: PrivacyPolicy,
    pub notify_policy: NotifyPolicy,
    pub clock: Clock,
    pub ignore_rules: IgnoreRules,
    pub live_hub: LiveHub,
    /// Limits concurrent exports.
    pub export_slots: Arc<RequestSlots>,
    /// Limits concurrent imports.
    pub import_slots: Arc<RequestSlots>,
    /// Ends live streams, imports and removals when the service stops.
    pub shutdown: CancellationToken,
}

pub fn router(state: SharedState, verifier: &TokenVerifier) -> OpenApiRouter {
    let write = OpenApiRouter::new()
        .routes(routes!(submit::submit))
        .routes(routes!(events::submit))
        .routes(routes!(engagement::report_engagement))
        .routes(routes!(imports::import))
        .routes(routes!(imports::remove))
        .routes(routes!(visitors::erase))
        .routes(routes!(users::erase));
    let read = OpenApiRouter::new()
        .routes(routes!(visits::list))
        .routes(routes!(live::live))
        .routes(routes!(imports::list))
        .routes(routes!(imports::one))
        .routes(routes!(export::export))
        .routes(routes!(sites::list))
        .routes(routes!(segments::list))
        .routes(routes!(goals::list))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::one))
        .routes(routes!(visits::one))
        .routes(routes!(explain::explain))
        .routes(routes!(analytics::bots::bots))
        .routes(routes!(visitors::one))
        .routes(routes!(visitor_data::data))
        .routes(routes!(events::read::list))
        .routes(routes!(events::read::by_type))
        .routes(routes!(events::read::date_range))
        .routes(routes!(events::read::user_events))
        .routes(routes!(analytics::summary::summary))
        .routes(routes!(analytics::timeseries::timeseries))
        .routes(routes!(analytics::breakdown::breakdown))
        .routes(routes!(analytics::realtime::realtime))
        .routes(routes!(analytics::journeys::journeys))
        .routes(routes!(analytics::funnel::funnel))
        .routes(routes!(analytics::cohorts::retention));
    let settings = OpenApiRouter::new()
        .routes(routes!(segments::add))
        .routes(routes!(segments::change))
        .routes(routes!(segments::remove))
        .routes(routes!(goals::add))
        .routes(routes!(goals::remove))
        .routes(routes!(sites::add))
        .routes(routes!(sites::change));
    auth::require_scope(write, verifier, Scope::VisitsWrite)
        .merge(auth::require_scope(read, verifier, Scope::VisitsRead))
        .merge(auth::require_scope(settings, verifier, Scope::Admin))
        .with_state(state)
}
