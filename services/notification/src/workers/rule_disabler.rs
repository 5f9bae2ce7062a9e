//! Disables rules that fail repeatedly.

use chassis::database::StoreError;
use chassis::panics::catch_panics;
use common::clock::Clock;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::routing_cache::RoutingCache;
use crate::app::rule_failures::FailingRule;
use crate::app::service_notices::ServiceNotices;
use crate::store::rule;

const RULE_DISABLED_EVENT: &str = "rule.disabled";

pub struct RuleDisabler {
    pub pool: PgPool,
    pub clock: Clock,
    pub routing_cache: RoutingCache,
    pub notices: ServiceNotices,
    /// The rules that [`RuleFailureCounter`](crate::app::rule_failures::RuleFailureCounter)
    /// reports.
    pub receiver: mpsc::Receiver<FailingRule>,
}

impl RuleDisabler {
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(broken)) = stop.run_until_cancelled(self.receiver.recv()).await {
            match catch_panics(self.disable(&broken)).await {
                Ok(Ok(())) => {}
                // The rule is reported again at its next failures.
                Ok(Err(error)) => {
                    tracing::warn!(%error, rule = %broken.id, "a failing rule was not disabled");
                }
                Err(panic) => {
                    tracing::error!(%panic, rule = %broken.id, "disabling a failing rule panicked");
                }
            }
        }
    }

    async fn disable(&self, broken: &FailingRule) -> Result<(), StoreError> {
        let FailingRule {
            id,
            reason,
            failing_since: since,
            ..
        } = broken;
        if !rule::disable(&self.pool, *id, reason, *since, self.clock.now()).await? {
            return Ok(());
        }
        // The reason is not logged: it may contain data of visitors. The API shows it.
        tracing::error!(
            rule = %id,
            "a rule was disabled after repeated failures; GET /rules shows the reason"
        );
        metrics::counter!("notification_rules_disabled_total").increment(1);
        self.routing_cache.refresh().await?;
        let message = format!(
            "The rule {:?} is disabled: {reason}. To enable it, correct it with PUT /rules/{id}.",
            broken.name
        );
        self.notices.send(RULE_DISABLED_EVENT, message).await
    }
}
