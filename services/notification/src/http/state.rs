//! What the handlers share.

use std::sync::Arc;

use common::clock::Clock;
use sqlx::PgPool;

use crate::app::acceptance::NotificationAcceptor;
use crate::app::queue_signal::QueueSignal;
use crate::app::routing_cache::RoutingCache;
use crate::app::rule_engine::RuleEngine;
use crate::app::rule_failures::RuleFailureCounter;
use crate::clients::callback_keys::CallbackKeys;
use crate::clients::web_push::vapid::VapidSigner;
use crate::domain::recipient::DefaultRecipient;
use crate::domain::secret_box::SecretBox;

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
    pub acceptor: NotificationAcceptor,
    pub rule_failures: RuleFailureCounter,
    pub rule_engine: RuleEngine,
    /// Wakes the workers that send.
    pub queue_signal: QueueSignal,
}
