//! Counts failures of rules and disables rules that fail repeatedly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::routing_cache::RoutingCache;
use super::service_notices::ServiceNotices;
use crate::domain::delivery_plan::DeliveryPlan;
use crate::domain::rule_result::RuleOutcome;
use crate::store::{StoreError, rule};

/// A rule with this many failures in a row is disabled. A single failure does not suffice, because
/// visitors control the data of their events.
pub const MAX_CONSECUTIVE_FAILURES: u32 = 20;
/// If the queue is full, a rule is reported again at its next failures.
const MAX_QUEUED_RULES: usize = 100;
const RULE_DISABLED_EVENT: &str = "rule.disabled";

/// Counts consecutive failures of rules, per process.
#[derive(Clone, Debug)]
pub struct RuleFailureCounter {
    streaks: Arc<Mutex<HashMap<Uuid, RuleFailureStreak>>>,
    sender: mpsc::Sender<FailingRule>,
}

/// The failures of a rule since its last success.
#[derive(Clone, Copy, Debug)]
struct RuleFailureStreak {
    failures: u32,
    since: DateTime<Utc>,
}

/// A rule to disable.
#[derive(Debug)]
struct FailingRule {
    id: Uuid,
    name: String,
    reason: String,
    /// The first failure. A rule that was changed later is not disabled.
    failing_since: DateTime<Utc>,
}

/// The worker that disables rules.
pub struct RuleDisabler {
    pool: PgPool,
    clock: Clock,
    routing_cache: RoutingCache,
    notices: ServiceNotices,
    receiver: mpsc::Receiver<FailingRule>,
}

impl RuleFailureCounter {
    /// Creates a counter and its worker. Rules are disabled only while the worker runs.
    #[must_use]
    pub fn new(
        pool: PgPool,
        clock: Clock,
        shelf: RoutingCache,
        notices: ServiceNotices,
    ) -> (Self, RuleDisabler) {
        let (broken, receiver) = mpsc::channel(MAX_QUEUED_RULES);
        let failures = Self {
            streaks: Arc::default(),
            sender: broken,
        };
        let switch = RuleDisabler {
            pool,
            clock,
            routing_cache: shelf,
            notices,
            receiver,
        };
        (failures, switch)
    }

    /// Counts the results of rules. If a rule is disabled, the dead letters of its last failure say
    /// so.
    pub fn record_results(&self, branches: &mut [DeliveryPlan], now: DateTime<Utc>) {
        for branch in branches {
            let Some(finding) = &branch.rule_result else {
                continue;
            };
            let Some(reason) = &branch.rule_error else {
                // A condition that fails because of missing data is neither a failure nor a
                // success.
                if finding.outcome != RuleOutcome::ConditionFailed {
                    self.streaks().remove(&finding.rule_id);
                }
                continue;
            };
            let Some(since) = self.count_failure(finding.rule_id, now) else {
                continue;
            };
            let failures = branch
                .deliveries
                .iter_mut()
                .filter_map(|d| d.failure.as_mut());
            for failure in failures {
                failure.push_str("; the rule is disabled");
            }
            let reason = format!("it failed {MAX_CONSECUTIVE_FAILURES} times in a row: {reason}");
            // If the queue is full, the rule is reported again at its next failures.
            let _ = self.sender.try_send(FailingRule {
                id: finding.rule_id,
                name: finding.rule.clone(),
                reason,
                failing_since: since,
            });
        }
    }

    /// Counts a failure. If the limit is reached, returns the time of the first failure.
    fn count_failure(&self, rule: Uuid, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut streaks = self.streaks();
        let streak = streaks.entry(rule).or_insert(RuleFailureStreak {
            failures: 0,
            since: now,
        });
        streak.failures += 1;
        if streak.failures < MAX_CONSECUTIVE_FAILURES {
            return None;
        }
        streaks.remove(&rule).map(|streak| streak.since)
    }

    fn streaks(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, RuleFailureStreak>> {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
