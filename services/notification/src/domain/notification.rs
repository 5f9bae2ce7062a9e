//! A notification that was accepted.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use common::clock::Clock;
use common::notification::{NotificationStatus, Priority};
use uuid::Uuid;

use super::command::NotifyCommand;
use super::decision::{DeliveryPlan, PlannedDelivery};
use super::finding::{RuleOutcome, RuleResult};
use super::gate::{DigestEntry, RateWindow};

/// Something to be said, and the deliveries that say it.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its id, from the moment it was accepted.
    pub id: Uuid,
    /// What was asked for.
    pub command: NotifyCommand,
    /// What follows from it.
    pub branches: Vec<DeliveryPlan>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// Whether it is about a person who was erased.
    pub erased: bool,
}

impl Notification {
    /// Gives what was decided its ids and time.
    #[must_use]
    pub fn new(command: NotifyCommand, mut branches: Vec<DeliveryPlan>, clock: &Clock) -> Self {
        let id = clock.new_id();
        let mut told = HashSet::new();
        // Who is told by one rule is not told by the next one, too; a rule that failed tells nobody.
        for is_failure in [false, true] {
            for branch in &mut branches {
                branch.drafts.retain(|draft| {
                    draft.failure.is_some() != is_failure
                        || told.insert((draft.target.clone(), draft.step))
                });
            }
        }
        for draft in branches.iter_mut().flat_map(|branch| &mut branch.drafts) {
            draft.id = clock.new_id();
        }
        Self {
            id,
            command,
            branches,
            created_at: clock.now(),
            erased: false,
        }
    }

    /// One for each recipient and channel.
    pub fn deliveries(&self) -> impl Iterator<Item = &PlannedDelivery> {
        self.branches.iter().flat_map(|branch| &branch.drafts)
    }

    /// What the rules said.
    pub fn findings(&self) -> impl Iterator<Item = &RuleResult> {
        self.branches.iter().filter_map(|b| b.finding.as_ref())
    }

    /// Takes over that it is about a person who was erased: it says nothing, to nobody.
    pub fn erase(&mut self) {
        self.erased = true;
        self.branches.clear();
        self.command.title = None;
        self.command.message = None;
        self.command.data.clear();
        self.command.dedupe_key = None;
    }

    /// Holds a branch back at a gate that is shut until then: nobody is told by it, or later of
    /// many at once.
    pub fn hold_back(&mut self, branch: usize, gate: &RateWindow, ends_at: DateTime<Utc>) {
        let reason = gate.reason(ends_at);
        let notice = gate.notice.as_ref();
        let notice = notice.map(|line| DigestEntry::held_back(gate, line, reason.clone()));
        self.close(branch, gate.kind.outcome(), reason);
        if let Some(branch) = self.branches.get_mut(branch) {
            branch.gather = notice;
        }
    }

    fn close(&mut self, branch: usize, outcome: RuleOutcome, reason: String) {
        let Some(branch) = self.branches.get_mut(branch) else {
            return;
        };
        branch.drafts.clear();
        branch.gather = None;
        if let Some(finding) = &mut branch.finding {
            finding.outcome = outcome;
            finding.detail = Some(reason);
        }
    }

    /// Takes over which deliveries go to addresses that nothing is sent to, and why.
    pub fn suppress(&mut self, why: &HashMap<Uuid, String>) {
        if why.is_empty() {
            return;
        }
        for draft in self.branches.iter_mut().flat_map(|b| &mut b.drafts) {
            if let Some(reason) = why.get(&draft.id) {
                draft.suppressed = true;
                draft.reason = Some(reason.clone());
            }
        }
    }

    /// Whether it goes out.
    #[must_use]
    pub fn status(&self) -> NotificationStatus {
        if self.deliveries().any(PlannedDelivery::is_pending) {
            NotificationStatus::Queued
        } else if self.branches.iter().any(|branch| branch.gather.is_some()) {
            NotificationStatus::Digested
        } else {
            NotificationStatus::Suppressed
        }
    }

    /// Why it does not go out, or not yet.
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
                let held = self.branches.iter().find(|b| b.gather.is_some());
                held?.finding.as_ref()?.detail.clone()
            }
            NotificationStatus::Suppressed => {
                let mut drafts = self.deliveries();
                let dropped = drafts.find_map(|d| d.failure.clone().or(d.reason.clone()));
                let closed = self
                    .findings()
                    .filter(|f| f.outcome != RuleOutcome::ConditionFalse);
                let closed = closed.map(|f| match (&f.detail, f.outcome) {
                    (Some(detail), _) => detail.clone(),
                    (None, _) => "the rule names nobody who could be told".into(),
                });
                let reason = dropped.or_else(|| closed.into_iter().next());
                Some(reason.unwrap_or_else(|| "no rule matches".into()))
            }
        }
    }
}

/// A priority's name.
#[must_use]
pub const fn priority_text(priority: Priority) -> &'static str {
    match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
        Priority::Urgent => "urgent",
    }
}
