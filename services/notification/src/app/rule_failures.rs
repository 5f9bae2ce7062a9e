//! Counts failures of rules, and reports rules that fail repeatedly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::domain::delivery_plan::DeliveryPlan;
use crate::domain::rule_result::RuleOutcome;

/// A rule with this many failures in a row is disabled. A single failure does not suffice, because
/// visitors control the data of their events.
pub const MAX_CONSECUTIVE_FAILURES: u32 = 20;
/// If the queue is full, a rule is reported again at its next failures.
const MAX_QUEUED_RULES: usize = 100;

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
pub struct FailingRule {
    pub id: Uuid,
    pub name: String,
    pub reason: String,
    /// The first failure. A rule that was changed later is not disabled.
    pub failing_since: DateTime<Utc>,
}

impl RuleFailureCounter {
    /// Creates a counter, and the receiver of the rules to disable.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<FailingRule>) {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED_RULES);
        let streaks = Arc::default();
        (Self { streaks, sender }, receiver)
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

    fn streaks(&self) -> MutexGuard<'_, HashMap<Uuid, RuleFailureStreak>> {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
