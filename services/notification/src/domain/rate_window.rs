//! Windows of rules: throttles and duplicates, which hold messages back, and digests, which collect
//! them.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::expression::LazyFacts;
use super::notify_command::NotifyCommand;
use super::rule::{Rule, RuleWindow};
use super::rule_result::RuleOutcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// Sends a duplicate once per window.
    Dedupe,
    /// Limits the messages for each key.
    Throttle,
    /// Limits the messages over all keys.
    Total,
}

impl WindowKind {
    /// In the order in which the windows are checked.
    pub const ALL: [Self; 3] = [Self::Dedupe, Self::Throttle, Self::Total];

    /// Returns the outcome of a rule whose window of this kind is full.
    #[must_use]
    pub const fn outcome_when_full(self) -> RuleOutcome {
        match self {
            Self::Dedupe => RuleOutcome::Duplicate,
            Self::Throttle | Self::Total => RuleOutcome::Throttled,
        }
    }

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dedupe => "dedupe",
            Self::Throttle => "throttle",
            Self::Total => "total",
        }
    }
}

/// A window that admits at most `limit` messages with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateWindow {
    pub rule_id: Uuid,
    pub kind: WindowKind,
    pub key: String,
    pub limit: i32,
    pub length: TimeDelta,
    /// The line about this notification in the summary of throttled messages; `None` if the rule
    /// sends no summary.
    pub summary_line: Option<String>,
}

impl RateWindow {
    /// Returns the windows of a rule for a notification. `line` describes the notification in the
    /// summary of throttled messages.
    pub(super) fn for_rule(
        rule: &Rule,
        command: &NotifyCommand,
        known: &LazyFacts,
        line: impl Fn() -> String,
    ) -> Vec<Self> {
        let gate = |kind, window: &RuleWindow, key| Self {
            rule_id: rule.id,
            kind,
            key,
            limit: window.limit,
            length: window.length,
            summary_line: None,
        };
        let dedupe = rule.dedupe.as_ref().map(|window| {
            let key = match &window.key_expression {
                Some(_) => window_key(window, known),
                None => duplicate_key(command),
            };
            gate(WindowKind::Dedupe, window, key)
        });
        let throttle = rule.throttle.as_ref();
        let throttle =
            throttle.map(|window| gate(WindowKind::Throttle, window, window_key(window, known)));
        let total = rule.total_throttle.as_ref();
        let total = total.map(|window| gate(WindowKind::Total, window, String::new()));
        let notice = rule.throttle_summary.then(line);
        let throttles = throttle.into_iter().chain(total);
        let throttles = throttles.map(|gate| Self {
            summary_line: notice.clone(),
            ..gate
        });
        dedupe.into_iter().chain(throttles).collect()
    }

    /// Explains why the window holds a message back.
    #[must_use]
    pub fn reason(&self, ends_at: DateTime<Utc>) -> String {
        let ends = ends_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        match self.kind {
            WindowKind::Dedupe => {
                format!("duplicate of a recent message; the window ends at {ends}")
            }
            WindowKind::Throttle => {
                format!(
                    "throttled after {} messages; the window ends at {ends}",
                    self.limit
                )
            }
            WindowKind::Total => format!(
                "throttled after {} messages in total; the window ends at {ends}",
                self.limit
            ),
        }
    }
}

/// The digest that a notification joins, and its text there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestEntry {
    pub rule_id: Uuid,
    /// Notifications with the same key join the same digest.
    pub key: String,
    /// Length of the window.
    pub length: TimeDelta,
    /// The text of this notification.
    pub text: String,
    /// The id of the digest, once it is open.
    pub digest_id: Option<Uuid>,
    /// Why a throttle held the notification back.
    pub throttle_reason: Option<String>,
}

/// The key of the digest that summarizes throttled messages.
const THROTTLED_DIGEST_KEY: &str = "\u{1}held back";

impl DigestEntry {
    pub(super) fn new(rule: &Rule, window: &RuleWindow, known: &LazyFacts, text: &str) -> Self {
        Self {
            rule_id: rule.id,
            key: window_key(window, known),
            length: window.length,
            text: truncate_line(text),
            digest_id: None,
            throttle_reason: None,
        }
    }

    /// Adds a throttled notification to the summary, which is sent one window length after its
    /// first notification.
    pub(super) fn from_throttled(gate: &RateWindow, line: &str, reason: String) -> Self {
        Self {
            rule_id: gate.rule_id,
            key: THROTTLED_DIGEST_KEY.into(),
            length: gate.length,
            text: truncate_line(line),
            digest_id: None,
            throttle_reason: Some(reason),
        }
    }
}

fn truncate_line(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Evaluates the key of a window; the empty string if the expression has no value.
fn window_key(window: &RuleWindow, known: &LazyFacts) -> String {
    let by = window.key_expression.as_ref();
    let value = by.and_then(|by| by.evaluate_text(known.get()).ok());
    value.unwrap_or_default().replace('\0', "")
}

/// Returns the default key of duplicates: `dedupe_key`, or a hash of event and data.
fn duplicate_key(command: &NotifyCommand) -> String {
    if let Some(key) = &command.dedupe_key {
        return key.clone();
    }
    let said = serde_json::to_vec(&(&command.event, &command.data)).unwrap_or_default();
    let sum = digest(&SHA256, &said);
    let hex = sum.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", hex.collect::<String>())
}

/// Formats the length of a window, such as `hour` or `15 minutes`.
#[must_use]
pub fn format_duration(length: TimeDelta) -> String {
    let seconds = length.num_seconds();
    let units = [
        ("day", 86_400),
        ("hour", 3_600),
        ("minute", 60),
        ("second", 1),
    ];
    let fits = |(_, unit): &&(&str, i64)| seconds % unit == 0;
    let (name, unit) = units.iter().find(fits).unwrap_or(&("second", 1));
    match seconds / unit {
        1 => (*name).to_owned(),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_words() {
        let words = |seconds| format_duration(TimeDelta::seconds(seconds));
        assert_eq!(words(3_600), "hour");
        assert_eq!(words(900), "15 minutes");
        assert_eq!(words(172_800), "2 days");
        assert_eq!(words(61), "61 seconds");
    }
}
