//! The HTTP API: handlers, their parameters and response bodies.

mod analytics;
mod engagement;
mod error;
mod events;
mod explain;
mod export;
mod filter_params;
mod goals;
mod imports;
mod live;
mod query_params;
mod segments;
mod sessions;
mod site_scope;
mod sites;
mod state;
mod submit;
mod users;
mod visit_filter;
mod visit_query;
mod visitor_data;
mod visitor_params;
mod visitors;
mod visits;

use chassis::auth;
use common::jwt::{Scope, TokenVerifier};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::state::{AppState, SharedState};

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
