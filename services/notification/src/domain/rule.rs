//! Rules: which events are told to whom, how, when, and how often.

mod invalid;
mod parts;
mod spec;

use std::sync::Arc;

use chrono::TimeDelta;
use common::notification::Priority;
use uuid::Uuid;

pub use self::invalid::InvalidRule;
pub use self::parts::{EscalationStep, MessageTemplates, TemplateVariant};
pub use self::spec::{
    DedupeSpec, DigestSpec, EscalationSpec, QuietHoursSpec, RuleSpec, TemplateSpec, ThrottleSpec,
};
use super::condition::CelExpression;
use super::event_pattern::EventPattern;
use super::quiet::QuietHours;

/// A rule that can be followed.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// Which events it is about.
    pub event: EventPattern,
    /// Of those, which ones; all without.
    pub condition: Option<CelExpression>,
    /// Who is told at once, and who later where nobody acknowledges; never empty.
    pub steps: Vec<EscalationStep>,
    /// What is said.
    pub texts: MessageTemplates,
    /// How urgent it is; without it as the notification says.
    pub priority: Option<Priority>,
    /// How often, at most, for each of a kind.
    pub throttle: Option<RuleWindow>,
    /// How often, at most, in all.
    pub total: Option<RuleWindow>,
    /// Whether what the two held back is told once.
    pub throttle_notice: bool,
    /// How long the same thing is not said again.
    pub dedupe: Option<RuleWindow>,
    /// How long notifications are gathered to be told together.
    pub digest: Option<RuleWindow>,
    /// When nobody is told.
    pub quiet: Vec<QuietHours>,
    /// The most segments of its text messages.
    pub sms_segments: usize,
    /// Whether it is followed.
    pub active: bool,
}

/// A stretch of time in which things of the same kind are counted.
#[derive(Clone, Debug)]
pub struct RuleWindow {
    /// The most there may be.
    pub limit: i32,
    /// How long it is.
    pub length: TimeDelta,
    /// What is of the same kind; all without.
    pub by: Option<CelExpression>,
}

impl Rule {
    /// Whether it evaluates what people wrote, beside keys of its windows.
    #[must_use]
    pub fn is_costly(&self) -> bool {
        self.condition.is_some() || !self.texts.is_empty()
    }

    /// Makes a rule of what was asked for.
    pub fn new(id: Uuid, spec: &RuleSpec) -> Result<Arc<Self>, InvalidRule> {
        parts::rule(id, spec).map(Arc::new)
    }
}
