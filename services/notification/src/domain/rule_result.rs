//! The result of a rule for a notification: why it sent a message or not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::rule::Rule;

/// The result of a rule for a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleResult {
    /// Id of the rule.
    pub rule_id: Uuid,
    /// Name of the rule when it was evaluated.
    pub rule: String,
    /// What the rule decided.
    pub outcome: RuleOutcome,
    /// Explanation, such as the error or the end of the window; null if there is nothing to add.
    pub detail: Option<String>,
}

/// What a rule decided about a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// The rule sends messages.
    Matched,
    /// The condition is false.
    ConditionFalse,
    /// The condition cannot be evaluated on these data.
    ConditionFailed,
    /// The template cannot be rendered with these data.
    TemplateFailed,
    /// The rule has no reachable recipient.
    Nobody,
    /// A duplicate was sent in the window.
    Duplicate,
    /// The throttle's limit for the window is reached.
    Throttled,
    /// The notification is collected for a digest.
    Digested,
}

impl RuleResult {
    pub(super) fn new(rule: &Rule, outcome: RuleOutcome, detail: Option<String>) -> Self {
        Self {
            rule_id: rule.id,
            rule: rule.name.clone(),
            outcome,
            detail,
        }
    }
}
