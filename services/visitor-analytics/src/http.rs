//! The HTTP API: handlers, their parameters and response bodies.

mod analytics;
mod engagement;
mod error;
mod events;
mod explain;
mod export;
mod goals;
mod imports;
mod list;
mod live;
mod pick;
mod segments;
mod sessions;
mod site_scope;
mod sites;
mod submit;
mod users;
mod visitor_data;
mod visitors;
mod visits;

use std::sync::Arc;

use chassis::auth;
use chassis::places::RequestSlots;
use common::clock::Clock;
use common::jwt::{Scope, TokenVerifier};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::AdmissionControl;
use crate::domain::policy::PrivacyPolicy;
use crate::domain::session::NotifyPolicy;
use crate::ingest::IngestService;
use crate::store::Store;
use crate::workers::live::LiveHub;
use crate::workers::wishes::IgnoreRules;

/// Shared, because axum clones the state several times per request.
pub type SharedState = Arc<AppState>;

pub struct AppState {
    pub ingest: IngestService,
    pub admission: AdmissionControl,
    pub store: Store,
    pub policy: PrivacyPolicy,
    pub telling: NotifyPolicy,
    pub clock: Clock,
    pub wishes: IgnoreRules,
    pub hub: LiveHub,
    /// Limits concurrent exports.
    pub exports: Arc<RequestSlots>,
    /// Limits concurrent imports.
    pub imports: Arc<RequestSlots>,
    /// Ends live streams, imports and removals when the service stops.
    pub closing: CancellationToken,
}

pub fn router(state: SharedState, verifier: &TokenVerifier) -> OpenApiRouter {
    let write = OpenApiRouter::new()
        .routes(routes!(submit::submit))
        .routes(routes!(events::submit))
        .routes(routes!(engagement::grow))
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
        .routes(routes!(events::read::of_user))
        .routes(routes!(analytics::summary::summary))
        .routes(routes!(analytics::timeseries::timeseries))
        .routes(routes!(analytics::breakdown::breakdown))
        .routes(routes!(analytics::realtime::realtime))
        .routes(routes!(analytics::journeys::journeys))
        .routes(routes!(analytics::funnel::funnel))
        .routes(routes!(analytics::retention::retention));
    let settings = OpenApiRouter::new()
        .routes(routes!(segments::add))
        .routes(routes!(segments::change))
        .routes(routes!(segments::remove))
        .routes(routes!(goals::add))
        .routes(routes!(goals::remove))
        .routes(routes!(sites::add))
        .routes(routes!(sites::change));
    auth::require(write, verifier, Scope::VisitsWrite)
        .merge(auth::require(read, verifier, Scope::VisitsRead))
        .merge(auth::require(settings, verifier, Scope::Admin))
        .with_state(state)
}
