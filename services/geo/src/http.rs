//! The HTTP API.

mod check;
mod error;
mod fields;
mod geolocate;
mod service_areas;

use std::sync::Arc;

use chassis::auth;
use common::jwt::{Scope, TokenVerifier};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{Locator, ServiceAreas};

/// Returns all routes. Without `areas` the routes of service areas answer 503.
pub fn router(
    locator: Arc<Locator>,
    areas: Option<ServiceAreas>,
    verifier: &TokenVerifier,
) -> OpenApiRouter {
    let read = OpenApiRouter::new()
        .routes(routes!(geolocate::geolocate, geolocate::geolocate_batch))
        .with_state(locator.clone());
    let check = OpenApiRouter::new()
        .routes(routes!(check::check))
        .with_state((areas.clone(), locator));
    let read_areas = OpenApiRouter::new()
        .routes(routes!(service_areas::list))
        .routes(routes!(service_areas::get))
        .with_state(areas.clone());
    let write_areas = OpenApiRouter::new()
        .routes(routes!(service_areas::create))
        .routes(routes!(service_areas::replace, service_areas::delete))
        .with_state(areas);
    let read = read.merge(check).merge(read_areas);
    auth::require_scope(read, verifier, Scope::GeoRead).merge(auth::require_scope(
        write_areas,
        verifier,
        Scope::GeoWrite,
    ))
}
