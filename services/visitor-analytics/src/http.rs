//! Translates between HTTP and the domain.

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

/// What the handlers work with; axum clones it several times a request.
pub type SharedState = Arc<AppState>;

/// The same, once for all requests.
pub struct AppState {
    /// Takes visits in.
    pub ingest: IngestService,
    /// Which sites and ids are recorded.
    pub admission: AdmissionControl,
    /// Where visits are.
    pub store: Store,
    /// What is kept of visitors.
    pub policy: PrivacyPolicy,
    /// Which sessions are told of.
    pub telling: NotifyPolicy,
    /// The time.
    pub clock: Clock,
    /// Which visits sites do not want.
    pub wishes: IgnoreRules,
    /// Where visits are heard of as they come.
    pub hub: LiveHub,
    /// Exports that may be under way.
    pub exports: Arc<RequestSlots>,
    /// Imports that may be.
    pub imports: Arc<RequestSlots>,
    /// Ends what would not end by itself, when the service stops.
    pub closing: CancellationToken,
}

/// Every route of the service.
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
