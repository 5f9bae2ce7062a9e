//! The HTTP API: handlers, their parameters and response bodies.

mod acceptance;
mod callbacks;
mod dead_letters;
mod erasures;
mod error;
mod idempotency;
mod notifications;
mod notify;
mod push;
mod recipients;
pub mod rule_engine;
mod rule_test;
mod rules;
mod suppressions;
mod webhooks;

use std::ops::RangeInclusive;
use std::sync::Arc;

use chassis::auth;
use chrono::{DateTime, Datelike as _, Utc};
use common::clock::Clock;
use common::jwt::{Scope, TokenVerifier};
use serde::{Deserialize as _, Deserializer};
use sqlx::PgPool;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::rule_engine::RuleEngine;
use crate::config::CallbackKeys;
use crate::domain::channel_address::Channel;
use crate::domain::delivery_plan::DefaultRecipient;
use crate::domain::secret_box::SecretBox;
use crate::domain::web_push::VapidSigner;
use crate::workers::intake::Intake;
use crate::workers::queue_signal::QueueSignal;
use crate::workers::routing_cache::RoutingCache;
use crate::workers::rule_failures::RuleFailureCounter;

/// The accepted years. Sums with windows of months stay far from the limits of the types.
const ALLOWED_YEARS: RangeInclusive<i32> = 1970..=2200;

#[derive(Clone)]
pub struct AppState {
    pub pool: PgPool,
    pub clock: Clock,
    /// Recipient of requests that name none.
    pub default_recipient: Arc<DefaultRecipient>,
    /// `None` without `VAPID_PRIVATE_KEY`.
    pub vapid: Option<Arc<VapidSigner>>,
    /// Encrypts the secrets of webhooks.
    pub secret_box: Arc<SecretBox>,
    pub callback_keys: Arc<CallbackKeys>,
    /// Rules and recipients.
    pub routing_cache: RoutingCache,
    pub intake: Intake,
    pub rule_failures: RuleFailureCounter,
    pub rule_engine: RuleEngine,
    /// Wakes the workers that send.
    pub queue_signal: QueueSignal,
}

/// For `deserialize_with`: the name of a channel.
fn deserialize_channel<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let known = name
        .as_ref()
        .is_none_or(|name| Channel::from_name(name).is_some());
    let unknown = || {
        serde::de::Error::custom(
            "unknown channel; the channels are sms, email, push, webhook, slack, discord, \
             telegram, ntfy, fcm and log",
        )
    };
    known.then_some(name).ok_or_else(unknown)
}

/// For `deserialize_with`: a timestamp in the allowed years.
fn deserialize_timestamp<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let moment = Option::<DateTime<Utc>>::deserialize(deserializer)?;
    let known = moment.is_none_or(|moment| ALLOWED_YEARS.contains(&moment.year()));
    let unknown =
        || serde::de::Error::custom("a timestamp must be between the years 1970 and 2200");
    known.then_some(moment).ok_or_else(unknown)
}

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
