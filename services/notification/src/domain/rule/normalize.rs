//! Prepares the specification of a new rule. Stored rules may be older than these checks.

use super::invalid_rule::InvalidRule;
use super::spec::{QuietHoursSpec, RuleSpec};
use crate::domain::quiet_hours::{parse_end_time, parse_start_time};
use crate::domain::recipient_ref::RecipientRef;

impl RuleSpec {
    /// Brings the recipients into their normal form, and refuses quiet hours without length.
    /// [`super::Rule::new`] checks everything else.
    pub fn normalize(mut self) -> Result<Self, InvalidRule> {
        if let Some(at) = self.quiet_hours.iter().position(is_empty) {
            return Err(InvalidRule::EmptyQuietHours(format!(
                "quiet_hours[{at}].to"
            )));
        }
        normalize_recipients(&mut self.recipients);
        for step in &mut self.escalation {
            normalize_recipients(&mut step.recipients);
        }
        Ok(self)
    }
}

/// Whether start and end are the same time. `00:00` to `24:00` is a whole day.
fn is_empty(hours: &QuietHoursSpec) -> bool {
    let start = parse_start_time(&hours.from);
    start.is_some() && start == parse_start_time(&hours.to) && parse_end_time(&hours.to).is_some()
}

/// Invalid recipients stay as they are, and so does the index of each.
fn normalize_recipients(texts: &mut [String]) {
    for text in texts {
        if let Ok(recipient_ref) = text.parse::<RecipientRef>() {
            *text = recipient_ref.unmasked();
        }
    }
}
