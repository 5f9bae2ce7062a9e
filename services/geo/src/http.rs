//! Translates between HTTP and the locator.

mod error;
mod geolocate;

use std::sync::Arc;

use chassis::auth;
use common::jwt::{Scope, Verifier};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clients::Locator;

/// Every route of the service.
pub fn router(locator: Arc<Locator>, verifier: &Verifier) -> OpenApiRouter {
    let read = OpenApiRouter::new()
        .routes(routes!(geolocate::one, geolocate::many))
        .with_state(locator);
    auth::require(read, verifier, Scope::GeoRead)
}
