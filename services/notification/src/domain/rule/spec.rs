//! A rule as the API accepts it and the database stores it.

use common::notification::Priority;
use common::visitor_analytics::VISITOR_ARRIVED;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::quiet_hours::{DayOfWeek, QuietHoursMode};

/// A rule: which events notify which recipients, on which channels, when and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleRequest, example = json!({"name": "Big orders", "event": "order.*",
    "condition": "data.total > 1000", "recipients": ["group:sales"],
    "templates": [{"text": "Order of {{ data.total }} from {{ data.name }}"}]}))]
pub struct RuleSpec {
    /// Display name: 1 to 100 characters.
    pub name: String,
    /// Event names that the rule matches. `*` matches any characters. 1 to 100 characters.
    pub event: String,
    /// CEL expression over `event`, `priority` and `data` that must be true for the rule to match:
    /// at most 1,000 characters. Without a condition, every event matches.
    #[serde(default)]
    pub condition: Option<String>,
    /// Channels on which the rule sends, at most 20. Empty allows every channel of the recipients.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Recipients, 1 to 20: addresses, `recipient:NAME`, `group:NAME` or `default`.
    #[serde(default = "default_recipients")]
    pub recipients: Vec<String>,
    /// Message templates, at most 20. The best match for channel and language is rendered. Without
    /// a matching template, the service sends the default text of the event.
    #[serde(default)]
    pub templates: Vec<TemplateSpec>,
    /// Overrides the priority of the notification; null keeps it.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Limits the number of messages per window.
    #[serde(default)]
    pub throttle: Option<ThrottleSpec>,
    /// Suppresses duplicates within a window.
    #[serde(default)]
    pub dedupe: Option<DedupeSpec>,
    /// Collects the notifications of a window into one message. Urgent notifications bypass it.
    #[serde(default)]
    pub digest: Option<DigestSpec>,
    /// Hours in which messages are held or dropped, at most 20. Urgent notifications bypass them.
    #[serde(default)]
    pub quiet_hours: Vec<QuietHoursSpec>,
    /// Further recipients if nobody acknowledges the notification in time: at most 20 steps, each
    /// later than the step before.
    #[serde(default)]
    pub escalation: Vec<EscalationSpec>,
    /// Maximum number of segments of a text message, 1 to 10; longer texts are truncated.
    #[serde(default = "default_segments")]
    #[schema(minimum = 1, maximum = 10)]
    pub sms_segments: usize,
    /// Whether the service applies the rule.
    #[serde(default = "yes")]
    pub active: bool,
    /// Read-only field of responses; ignored in requests.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub disabled_at: IgnoredField,
    /// Read-only field of responses; ignored in requests.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub disabled_reason: IgnoredField,
}

/// Accepts any value of a field and discards it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
pub struct IgnoredField;

impl From<serde::de::IgnoredAny> for IgnoredField {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

/// A message template in a subset of Jinja over `event`, `title`, `priority`, `data` and `digest`.
/// Each text has at most 10,000 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Template)]
pub struct TemplateSpec {
    /// Restricts the template to this channel; null matches all.
    #[serde(default)]
    pub channel: Option<String>,
    /// Restricts the template to recipients with this language tag; null matches all.
    #[serde(default)]
    pub language: Option<String>,
    /// Title, for channels that show one. Without it, the title of the notification is used.
    #[serde(default)]
    pub title: Option<String>,
    /// Plain text body.
    pub text: String,
    /// HTML body for email. Inserted values are escaped.
    #[serde(default)]
    pub html: Option<String>,
}

/// Limits the number of messages per window. The first message opens the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrottleSpec {
    /// Maximum number of messages per window for each value of `by`: 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub limit: i32,
    /// Length of the window in seconds: 1 to 2,592,000.
    pub seconds: i64,
    /// CEL expression, such as `data.visitor.id`. Messages are counted separately for each value.
    #[serde(default)]
    pub by: Option<String>,
    /// Maximum number of messages per window over all values of `by`: 1 to 1,000,000.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub total: Option<i32>,
    /// Whether to send one summary of the throttled messages: their number and the first five. It
    /// is sent one window length after the first throttled message.
    #[serde(default)]
    pub notice: bool,
}

/// Sends the same notification once per window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupeSpec {
    /// Length of the window in seconds: 1 to 2,592,000.
    pub seconds: i64,
    /// CEL expression; notifications with the same value are duplicates. Without it, the
    /// notification's `dedupe_key` counts, or its event and data if it has none.
    #[serde(default)]
    pub by: Option<String>,
}

/// Collects the notifications of a window and sends them as one message when the window ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DigestWindow)]
pub struct DigestSpec {
    /// Length of the window in seconds: 1 to 2,592,000.
    pub seconds: i64,
    /// CEL expression. Each value has its own digest.
    #[serde(default)]
    pub by: Option<String>,
}

/// Hours in which messages are held or dropped, in the recipient's time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHoursSpec {
    /// Start as `HH:MM`, such as `22:00`. If the clocks are put back, the first occurrence counts.
    pub from: String,
    /// End as `HH:MM`, or `24:00` for the end of the day; on the next day unless it is later than
    /// `from`. Must differ from `from`. If the clocks are put back, the second occurrence counts.
    pub to: String,
    /// Days on which the quiet hours start; empty means every day.
    #[serde(default)]
    pub days: Vec<DayOfWeek>,
    /// IANA time zone for recipients without one, such as `Europe/London`. Default: UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// What happens to messages in quiet hours.
    #[serde(default)]
    pub mode: QuietHoursMode,
}

/// Recipients that are notified if nobody acknowledges in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationSpec {
    /// Seconds after the notification is accepted: 1 to 2,592,000.
    pub after_seconds: i64,
    /// Channels on which this step sends, at most 20. Empty allows all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Recipients, 1 to 20: addresses, `recipient:NAME`, `group:NAME` or `default`.
    pub recipients: Vec<String>,
}

impl RuleSpec {
    /// The built-in rule: sends `visitor.arrived` to the default recipient. Strangers control the
    /// number of visitors, so the rule limits messages per network and in total.
    #[must_use]
    pub fn default_visitor_rule() -> Self {
        Self {
            name: "Visitors".into(),
            event: VISITOR_ARRIVED.into(),
            condition: None,
            channels: vec![],
            recipients: default_recipients(),
            templates: vec![],
            priority: None,
            throttle: Some(ThrottleSpec {
                limit: 5,
                seconds: 3_600,
                by: Some(VISITOR_ORIGIN_EXPRESSION.into()),
                total: Some(20),
                notice: true,
            }),
            dedupe: None,
            digest: None,
            quiet_hours: vec![],
            escalation: vec![],
            sms_segments: default_segments(),
            active: true,
            disabled_at: IgnoredField,
            disabled_reason: IgnoredField,
        }
    }
}

/// The network of a visitor; without it, AS number and city; without those, the visitor's id, so
/// that each visitor counts separately.
const VISITOR_ORIGIN_EXPRESSION: &str = "has(data.visitor.network) && data.visitor.network != null \
    ? data.visitor.network \
    : has(data.visit.asn) && data.visit.asn != null \
    ? string(data.visit.asn) + ' ' \
        + (has(data.visit.city) && data.visit.city != null ? data.visit.city : '') \
    : has(data.visitor.id) ? data.visitor.id : ''";

fn default_recipients() -> Vec<String> {
    vec!["default".into()]
}

const fn default_segments() -> usize {
    3
}

const fn yes() -> bool {
    true
}
