//! The HTTP API: handlers, their parameters and response bodies.

mod callbacks;
mod dead_letters;
mod deserialize;
mod erasures;
mod error;
mod idempotency;
mod notifications;
mod notify;
mod push;
mod recipients;
mod rule_test;
mod rules;
mod state;
mod suppressions;
mod webhooks;

use chassis::auth;
use common::jwt::{Scope, TokenVerifier};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::state::AppState;

pub fn router(shared: AppState, verifier: &TokenVerifier) -> OpenApiRouter {
    // Callbacks are authenticated by the provider's signature instead of a token.
    let signed = OpenApiRouter::new()
        .routes(routes!(callbacks::twilio_callback))
        .routes(routes!(callbacks::vonage_callback));
    let send = OpenApiRouter::new()
        .routes(routes!(notify::notify))
        .routes(routes!(erasures::erase));
    let read = OpenApiRouter::new()
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::get))
        .routes(routes!(dead_letters::list));
    let write = OpenApiRouter::new()
        .routes(routes!(notifications::retry))
        .routes(routes!(dead_letters::retry))
        .routes(routes!(notifications::acknowledge))
        .routes(routes!(rules::list, rules::create))
        .routes(routes!(rules::get, rules::update, rules::delete))
        .routes(routes!(rule_test::test))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::update, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(suppressions::list, suppressions::create))
        .routes(routes!(suppressions::delete))
        .routes(routes!(push::key))
        .routes(routes!(push::subscribe))
        .routes(routes!(push::unsubscribe))
        .routes(routes!(recipients::list, recipients::create))
        .routes(routes!(
            recipients::get,
            recipients::update,
            recipients::delete
        ));
    auth::require_scope(send, verifier, Scope::NotifySend)
        .merge(auth::require_scope(read, verifier, Scope::NotifyRead))
        .merge(auth::require_scope(write, verifier, Scope::NotifyWrite))
        .merge(signed)
        .with_state(shared)
}
