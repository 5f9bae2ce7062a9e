//! What the handlers share.

use std::sync::Arc;

use common::clock::Clock;
use sqlx::PgPool;

use super::rule_engine::RuleEngine;
use crate::config::CallbackKeys;
use crate::domain::recipient::DefaultRecipient;
use crate::domain::secret_box::SecretBox;
use crate::domain::web_push::VapidSigner;
use crate::workers::intake::Intake;
use crate::workers::queue_signal::QueueSignal;
use crate::workers::routing_cache::RoutingCache;
use crate::workers::rule_failures::RuleFailureCounter;

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
