//! An accepted notification.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::notification::NotificationStatus;
use uuid::Uuid;

use super::delivery_plan::{DeliveryPlan, PlannedDelivery};
use super::notify_command::NotifyCommand;
use super::rate_window::{DigestEntry, RateWindow};
use super::rule_result::{RuleOutcome, RuleResult};

/// A notification and its planned deliveries.
#[derive(Clone, Debug)]
pub struct Notification {
    pub id: Uuid,
    pub command: NotifyCommand,
    /// One plan for each rule that matches the event, or one without a rule.
    pub plans: Vec<DeliveryPlan>,
    pub created_at: DateTime<Utc>,
    /// Whether the notification is about a person who was erased.
    pub erased: bool,
}

impl Notification {
    /// Assigns ids and the time, and drops deliveries that an earlier rule already sends.
    #[must_use]
    pub fn new(command: NotifyCommand, mut plans: Vec<DeliveryPlan>, clock: &Clock) -> Self {
        let id = clock.new_id();
        let mut told = HashSet::new();
        // An address gets a message from one rule only. Deliveries of failed rules come last, so
        // that they do not displace others.
        for is_failure in [false, true] {
            for branch in &mut plans {
                branch.deliveries.retain(|draft| {
                    draft.failure.is_some() != is_failure
                        || told.insert((draft.address.clone(), draft.step))
                });
            }
        }
        for draft in plans.iter_mut().flat_map(|branch| &mut branch.deliveries) {
            draft.id = clock.new_id();
        }
        Self {
            id,
            command,
            plans,
            created_at: clock.now(),
            erased: false,
        }
    }

    pub fn deliveries(&self) -> impl Iterator<Item = &PlannedDelivery> {
        self.plans.iter().flat_map(|branch| &branch.deliveries)
    }

    pub fn rule_results(&self) -> impl Iterator<Item = &RuleResult> {
        self.plans.iter().filter_map(|b| b.rule_result.as_ref())
    }

    /// Removes the content and all deliveries, because the person was erased.
    pub fn erase(&mut self) {
        self.erased = true;
        self.plans.clear();
        self.command.title = None;
        self.command.message = None;
        self.command.data.clear();
        self.command.dedupe_key = None;
    }

    /// Replaces the deliveries of a plan because a window is full until `ends_at`. The notification
    /// joins the summary of throttled messages, if the rule sends one.
    pub fn hold_back(&mut self, branch: usize, gate: &RateWindow, ends_at: DateTime<Utc>) {
        let reason = gate.reason(ends_at);
        let notice = gate.summary_line.as_ref();
        let notice = notice.map(|line| DigestEntry::from_throttled(gate, line, reason.clone()));
        self.clear_plan(branch, gate.kind.outcome_when_full(), reason);
        if let Some(branch) = self.plans.get_mut(branch) {
            branch.digest_entry = notice;
        }
    }

    fn clear_plan(&mut self, branch: usize, outcome: RuleOutcome, reason: String) {
        let Some(branch) = self.plans.get_mut(branch) else {
            return;
        };
        branch.deliveries.clear();
        branch.digest_entry = None;
        if let Some(finding) = &mut branch.rule_result {
            finding.outcome = outcome;
            finding.detail = Some(reason);
        }
    }

    /// Suppresses the deliveries to addresses on the suppression list, with the reason.
    pub fn suppress(&mut self, why: &HashMap<Uuid, String>) {
        if why.is_empty() {
            return;
        }
        for draft in self.plans.iter_mut().flat_map(|b| &mut b.deliveries) {
            if let Some(reason) = why.get(&draft.id) {
                draft.suppressed = true;
                draft.reason = Some(reason.clone());
            }
        }
    }

    #[must_use]
    pub fn status(&self) -> NotificationStatus {
        if self.deliveries().any(PlannedDelivery::is_pending) {
            NotificationStatus::Queued
        } else if self
            .plans
            .iter()
            .any(|branch| branch.digest_entry.is_some())
        {
            NotificationStatus::Digested
        } else {
            NotificationStatus::Suppressed
        }
    }

    /// Explains why the notification is not sent, or is delayed.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        if self.erased {
            return Some("erased".into());
        }
        match self.status() {
            NotificationStatus::Queued => {
                let mut all = self.deliveries().filter(|draft| draft.step == 0);
                let first = all.next()?.reason.clone()?;
                all.all(|draft| draft.reason.is_some()).then_some(first)
            }
            NotificationStatus::Digested => {
                let held = self.plans.iter().find(|b| b.digest_entry.is_some());
                held?.rule_result.as_ref()?.detail.clone()
            }
            NotificationStatus::Suppressed => {
                let mut drafts = self.deliveries();
                let dropped = drafts.find_map(|d| d.failure.clone().or(d.reason.clone()));
                let closed = self
                    .rule_results()
                    .filter(|f| f.outcome != RuleOutcome::ConditionFalse);
                let closed = closed.map(|f| match (&f.detail, f.outcome) {
                    (Some(detail), _) => detail.clone(),
                    (None, _) => "the rule has no reachable recipient".into(),
                });
                let reason = dropped.or_else(|| closed.into_iter().next());
                Some(reason.unwrap_or_else(|| "no rule matches".into()))
            }
        }
    }
}
