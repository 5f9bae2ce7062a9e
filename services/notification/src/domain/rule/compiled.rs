//! Rules with compiled expressions and templates.

use chrono::TimeDelta;
use common::notification::Priority;
use uuid::Uuid;

use crate::domain::channel_address::DeliveryChannel;
use crate::domain::event_pattern::EventPattern;
use crate::domain::expression::CelExpression;
use crate::domain::quiet_hours::QuietHours;
use crate::domain::recipient_ref::RecipientRef;
use crate::domain::template::Template;

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

    /// Returns the rule's priority, or the requested one if the rule has none.
    #[must_use]
    pub fn priority_for(&self, requested: Priority) -> Priority {
        self.priority.unwrap_or(requested)
    }
}

/// The recipients that are notified after a delay.
#[derive(Clone, Debug)]
pub struct EscalationStep {
    /// Delay after the notification is accepted.
    pub after: TimeDelta,
    /// Restricts the channels; empty allows all.
    pub channels: Vec<DeliveryChannel>,
    /// Never empty.
    pub recipients: Vec<RecipientRef>,
}

/// The templates of a rule, by channel and language.
#[derive(Clone, Debug, Default)]
pub struct MessageTemplates(pub(super) Vec<TemplateVariant>);

#[derive(Clone, Debug)]
pub struct TemplateVariant {
    pub(super) channel: Option<DeliveryChannel>,
    pub(super) language: Option<String>,
    pub title: Option<Template>,
    pub text: Template,
    pub html: Option<Template>,
}

impl MessageTemplates {
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the best match: a template for the channel outranks one for the language. Of equal
    /// matches the first wins.
    #[must_use]
    pub fn best_match(
        &self,
        channel: DeliveryChannel,
        language: Option<&str>,
    ) -> Option<&TemplateVariant> {
        let fit = |variant: &&TemplateVariant| {
            let on = variant.channel.is_none_or(|own| own == channel);
            let own = variant.language.as_deref();
            on && own.is_none_or(|own| Some(own) == language)
        };
        let rank = |v: &&TemplateVariant| (v.channel.is_some(), v.language.is_some());
        self.0.iter().rev().filter(fit).max_by_key(rank)
    }
}
