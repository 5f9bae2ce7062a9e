//! What holds back a notification that a rule would send: windows in which things are counted.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::command::NotifyCommand;
use super::condition::LazyFacts;
use super::finding::RuleOutcome;
use super::rule::{Rule, RuleWindow};

/// What a gate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// The same thing is said once.
    Dedupe,
    /// So many of a kind at most.
    Throttle,
    /// So many in all at most.
    Total,
}

impl WindowKind {
    /// In the order they are asked.
    pub const ALL: [Self; 3] = [Self::Dedupe, Self::Throttle, Self::Total];

    /// What a rule says whose gate of this kind is shut.
    #[must_use]
    pub const fn outcome(self) -> RuleOutcome {
        match self {
            Self::Dedupe => RuleOutcome::Duplicate,
            Self::Throttle | Self::Total => RuleOutcome::Throttled,
        }
    }

    /// The name, as the database has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dedupe => "dedupe",
            Self::Throttle => "throttle",
            Self::Total => "total",
        }
    }
}

/// Lets so many of a kind through in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateWindow {
    /// Whose.
    pub rule: Uuid,
    /// What it is for.
    pub kind: WindowKind,
    /// What is counted together.
    pub key: String,
    /// The most there may be.
    pub limit: i32,
    /// In how long.
    pub length: TimeDelta,
    /// What the notice about those held back says of this one; `None` where there is no notice.
    pub notice: Option<String>,
}

impl RateWindow {
    /// The gates that a rule puts up for a notification, of which `line` is said where what they
    /// hold back is told later.
    pub(super) fn of(
        rule: &Rule,
        command: &NotifyCommand,
        known: &LazyFacts,
        line: impl Fn() -> String,
    ) -> Vec<Self> {
        let gate = |kind, window: &RuleWindow, key| Self {
            rule: rule.id,
            kind,
            key,
            limit: window.limit,
            length: window.length,
            notice: None,
        };
        let dedupe = rule.dedupe.as_ref().map(|window| {
            let key = match &window.by {
                Some(_) => key(window, known),
                None => same(command),
            };
            gate(WindowKind::Dedupe, window, key)
        });
        let throttle = rule.throttle.as_ref();
        let throttle =
            throttle.map(|window| gate(WindowKind::Throttle, window, key(window, known)));
        let total = rule.total.as_ref();
        let total = total.map(|window| gate(WindowKind::Total, window, String::new()));
        let notice = rule.throttle_notice.then(line);
        let throttles = throttle.into_iter().chain(total);
        let throttles = throttles.map(|gate| Self {
            notice: notice.clone(),
            ..gate
        });
        dedupe.into_iter().chain(throttles).collect()
    }

    /// Why it is shut, until the window ends.
    #[must_use]
    pub fn reason(&self, ends_at: DateTime<Utc>) -> String {
        let ends = ends_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        match self.kind {
            WindowKind::Dedupe => format!("the same was said before; again from {ends}"),
            WindowKind::Throttle => {
                format!("throttled: {} were sent; again from {ends}", self.limit)
            }
            WindowKind::Total => format!("throttled: {} in all; again from {ends}", self.limit),
        }
    }
}

/// What a notification is gathered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestEntry {
    /// Whose digest.
    pub rule: Uuid,
    /// What is gathered together.
    pub key: String,
    /// For how long.
    pub length: TimeDelta,
    /// What is said about this one.
    pub text: String,
    /// The digest, once it is open.
    pub digest: Option<Uuid>,
    /// Why a throttle held it back, where one did.
    pub held_back: Option<String>,
}

/// The key of the digest of what a rule's throttle held back.
const THROTTLED_DIGEST_KEY: &str = "\u{1}held back";

impl DigestEntry {
    pub(super) fn new(rule: &Rule, window: &RuleWindow, known: &LazyFacts, text: &str) -> Self {
        Self {
            rule: rule.id,
            key: key(window, known),
            length: window.length,
            text: first_chars(text),
            digest: None,
            held_back: None,
        }
    }

    /// What a gate held back, to be told once as many: a window after the first of them.
    pub(super) fn held_back(gate: &RateWindow, line: &str, reason: String) -> Self {
        Self {
            rule: gate.rule,
            key: THROTTLED_DIGEST_KEY.into(),
            length: gate.length,
            text: first_chars(line),
            digest: None,
            held_back: Some(reason),
        }
    }
}

fn first_chars(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Those for which the expression has no value are counted together.
fn key(window: &RuleWindow, known: &LazyFacts) -> String {
    let by = window.by.as_ref();
    let value = by.and_then(|by| by.text(known.facts()).ok());
    value.unwrap_or_default().replace('\0', "")
}

/// What is the same where nobody says it: the key that came with it, else event and data.
fn same(command: &NotifyCommand) -> String {
    if let Some(key) = &command.dedupe_key {
        return key.clone();
    }
    let said = serde_json::to_vec(&(&command.event, &command.data)).unwrap_or_default();
    let sum = digest(&SHA256, &said);
    let hex = sum.as_ref().iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", hex.collect::<String>())
}

/// How long a window is, in words.
#[must_use]
pub fn in_words(length: TimeDelta) -> String {
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
        let words = |seconds| in_words(TimeDelta::seconds(seconds));
        assert_eq!(words(3_600), "hour");
        assert_eq!(words(900), "15 minutes");
        assert_eq!(words(172_800), "2 days");
        assert_eq!(words(61), "61 seconds");
    }
}
