//! Counts how often rules fail, and switches off those that fail again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::panics::catch_panics;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::notices::ServiceNotices;
use super::reader::RoutingCache;
use crate::domain::decision::DeliveryPlan;
use crate::domain::finding::RuleOutcome;
use crate::store::{StoreError, rule};

/// A rule that fails so many times in a row is switched off. One odd event does not suffice, as
/// visitors choose what their events hold.
pub const MAX_CONSECUTIVE_FAILURES: u32 = 20;
/// Rules that may wait to be switched off; others are reported when they fail again.
const MAX_QUEUED_RULES: usize = 100;
/// The event of the message that tells of it.
const RULE_DISABLED_EVENT: &str = "rule.disabled";

/// Counts failures of rules, in each process.
#[derive(Clone, Debug)]
pub struct RuleFailureCounter {
    streaks: Arc<Mutex<HashMap<Uuid, RuleFailureStreak>>>,
    broken: mpsc::Sender<FailingRule>,
}

/// Failures of a rule since it worked.
#[derive(Clone, Copy, Debug)]
struct RuleFailureStreak {
    failures: u32,
    since: DateTime<Utc>,
}

/// A rule that is to be switched off.
#[derive(Debug)]
struct FailingRule {
    id: Uuid,
    name: String,
    reason: String,
    /// Whoever changed it later has mended it.
    since: DateTime<Utc>,
}

/// The worker that switches rules off.
pub struct RuleDisabler {
    pool: PgPool,
    clock: Clock,
    shelf: RoutingCache,
    notices: ServiceNotices,
    broken: mpsc::Receiver<FailingRule>,
}

impl RuleFailureCounter {
    /// A counter and its worker, which must run for rules to be switched off.
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
            broken,
        };
        let switch = RuleDisabler {
            pool,
            clock,
            shelf,
            notices,
            broken: receiver,
        };
        (failures, switch)
    }

    /// Counts what rules said at `now`. The dead letters of a rule that is switched off say so.
    pub fn observe(&self, branches: &mut [DeliveryPlan], now: DateTime<Utc>) {
        for branch in branches {
            let Some(finding) = &branch.finding else {
                continue;
            };
            let Some(reason) = &branch.fault else {
                // Data that lack a field say nothing about the rule.
                if finding.outcome != RuleOutcome::ConditionFailed {
                    self.streaks().remove(&finding.rule_id);
                }
                continue;
            };
            let Some(since) = self.count(finding.rule_id, now) else {
                continue;
            };
            let failures = branch.drafts.iter_mut().filter_map(|d| d.failure.as_mut());
            for failure in failures {
                failure.push_str("; the rule is switched off");
            }
            let reason = format!("it failed {MAX_CONSECUTIVE_FAILURES} times in a row: {reason}");
            // Where too many wait, it is reported when it fails again.
            let _ = self.broken.try_send(FailingRule {
                id: finding.rule_id,
                name: finding.rule.clone(),
                reason,
                since,
            });
        }
    }

    /// Counts a failure; since when there were too many, if so.
    fn count(&self, rule: Uuid, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
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
    /// Switches rules off until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(broken)) = stop.run_until_cancelled(self.broken.recv()).await {
            match catch_panics(self.switch_off(&broken)).await {
                Ok(Ok(())) => {}
                // It is reported again when it fails again.
                Ok(Err(error)) => tracing::warn!(%error, rule = %broken.id, "not switched off"),
                Err(panic) => tracing::error!(%panic, rule = %broken.id, "not switched off"),
            }
        }
    }

    async fn switch_off(&self, broken: &FailingRule) -> Result<(), StoreError> {
        let FailingRule {
            id, reason, since, ..
        } = broken;
        if !rule::switch_off(&self.pool, *id, reason, *since, self.clock.now()).await? {
            return Ok(());
        }
        // The reason may hold what visitors sent; the rule shows it.
        tracing::error!(rule = %id, "a rule is switched off, as it failed again and again");
        metrics::counter!("notification_rules_disabled_total").increment(1);
        self.shelf.refresh().await?;
        let message = format!(
            "The rule {:?} is switched off: {reason}. Mend it with PUT /rules/{id}.",
            broken.name
        );
        self.notices.send(RULE_DISABLED_EVENT, message).await
    }
}
