//! Rules: which events notify which recipients, on which channels, when and how often.

mod compile;
mod compiled;
mod invalid_rule;
mod normalize;
mod spec;

pub use self::compiled::{EscalationStep, MessageTemplates, Rule, RuleWindow, TemplateVariant};
pub use self::invalid_rule::InvalidRule;
pub use self::spec::{
    DedupeSpec, DigestSpec, EscalationSpec, QuietHoursSpec, RuleSpec, TemplateSpec, ThrottleSpec,
};
