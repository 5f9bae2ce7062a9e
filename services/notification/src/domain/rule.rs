//! Rules: which events notify which recipients, on which channels, when and how often.

mod compile;
mod invalid_rule;
mod spec;

use std::sync::Arc;

use chrono::TimeDelta;
use common::notification::Priority;
use uuid::Uuid;

pub use self::compile::{EscalationStep, MessageTemplates, TemplateVariant};
pub use self::invalid_rule::InvalidRule;
pub use self::spec::{
    DedupeSpec, DigestSpec, EscalationSpec, QuietHoursSpec, RuleSpec, TemplateSpec, ThrottleSpec,
};
use super::event_pattern::EventPattern;
use super::expression::CelExpression;
use super::quiet_hours::QuietHours;

/// A valid rule with compiled expressions and templates.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: Uuid,
    pub name: String,
    pub event: EventPattern,
    /// Without a condition, every event matches.
    pub condition: Option<CelExpression>,
    /// Never empty. The first step is sent at once, the others if nobody acknowledges in time.
    pub steps: Vec<EscalationStep>,
    pub templates: MessageTemplates,
    /// Overrides the priority of the notification.
    pub priority: Option<Priority>,
    /// Limits the messages for each value of an expression.
    pub throttle: Option<RuleWindow>,
    /// Limits the messages over all values.
    pub total_throttle: Option<RuleWindow>,
    /// Whether a summary of the throttled messages is sent.
    pub throttle_summary: bool,
    pub dedupe: Option<RuleWindow>,
    pub digest: Option<RuleWindow>,
    pub quiet_hours: Vec<QuietHours>,
    /// Maximum number of segments of a text message.
    pub sms_segments: usize,
    /// Whether the rule is applied.
    pub active: bool,
}

/// A window in which notifications with the same key are counted.
#[derive(Clone, Debug)]
pub struct RuleWindow {
    /// Maximum count.
    pub limit: i32,
    pub length: TimeDelta,
    /// Yields the key; without it, all notifications have the same key.
    pub key_expression: Option<CelExpression>,
}

impl Rule {
    /// Whether the rule has a condition or templates. Keys of windows do not count.
    #[must_use]
    pub fn is_expensive(&self) -> bool {
        self.condition.is_some() || !self.templates.is_empty()
    }

    pub fn new(id: Uuid, spec: &RuleSpec) -> Result<Arc<Self>, InvalidRule> {
        compile::compile_rule(id, spec).map(Arc::new)
    }
}
