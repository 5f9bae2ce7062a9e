//! What a rule said about a notification: why something was sent, or was not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::rule::Rule;

/// What a rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleResult {
    /// The rule's id.
    pub rule_id: Uuid,
    /// Its name at that time.
    pub rule: String,
    /// What followed.
    pub outcome: RuleOutcome,
    /// The same in words, where there is more to say.
    pub detail: Option<String>,
}

/// What followed from a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// Somebody is told.
    Matched,
    /// Its condition did not hold.
    ConditionFalse,
    /// Its condition has no value on this data.
    ConditionFailed,
    /// Its template yields no text on this data.
    TemplateFailed,
    /// It names nobody who could be told.
    Nobody,
    /// The same was said before.
    Duplicate,
    /// So many were sent already.
    Throttled,
    /// It is told together with others.
    Digested,
}

impl RuleResult {
    pub(super) fn of(rule: &Rule, outcome: RuleOutcome, detail: Option<String>) -> Self {
        Self {
            rule_id: rule.id,
            rule: rule.name.clone(),
            outcome,
            detail,
        }
    }
}
