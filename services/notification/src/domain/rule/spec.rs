//! A rule as the API takes and keeps it.

use common::notification::Priority;
use common::visitor_analytics::VISITOR_ARRIVED;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::quiet::{DayOfWeek, QuietHoursMode};

/// A rule: which events are told to whom, how, when, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleRequest, example = json!({"name": "Big orders", "event": "order.*",
    "condition": "data.total > 1000", "recipients": ["group:sales"],
    "templates": [{"text": "Order of {{ data.total }} from {{ data.name }}"}]}))]
pub struct RuleSpec {
    /// What people call it.
    pub name: String,
    /// Which events it is about; `*` stands for any characters.
    pub event: String,
    /// Of those, which ones: CEL over `event`, `priority` and `data`; all without.
    #[serde(default)]
    pub condition: Option<String>,
    /// Only on these channels; empty for every channel the recipients are reached on.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Who is told: an address, `recipient:NAME`, `group:NAME`, or `default`.
    #[serde(default = "default_recipients")]
    pub recipients: Vec<String>,
    /// What is said; the one that fits the channel and language best. Without any, what is known
    /// about the event.
    #[serde(default)]
    pub templates: Vec<TemplateSpec>,
    /// How urgent it is; null for what the notification says.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// How often, at most.
    #[serde(default)]
    pub throttle: Option<ThrottleSpec>,
    /// How long the same thing is not said again.
    #[serde(default)]
    pub dedupe: Option<DedupeSpec>,
    /// How long notifications are gathered to be told together.
    #[serde(default)]
    pub digest: Option<DigestSpec>,
    /// When nobody is told, but for what is urgent.
    #[serde(default)]
    pub quiet_hours: Vec<QuietHoursSpec>,
    /// Who is told next where nobody acknowledges.
    #[serde(default)]
    pub escalation: Vec<EscalationSpec>,
    /// A text message is cut to so many segments: 1 to 10.
    #[serde(default = "default_segments")]
    #[schema(minimum = 1, maximum = 10)]
    pub sms_segments: usize,
    /// Whether it is followed.
    #[serde(default = "yes")]
    pub active: bool,
    /// Stands in answers; what a request says is ignored.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub disabled_at: IgnoredField,
    /// Stands in answers; what a request says is ignored.
    #[serde(default, skip_serializing)]
    #[schema(ignore)]
    pub disabled_reason: IgnoredField,
}

/// A field that is read and not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
pub struct IgnoredField;

impl From<serde::de::IgnoredAny> for IgnoredField {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

/// What is said on a channel in a language, in a part of Jinja over `event`, `title`, `priority`,
/// `data` and `digest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Template)]
pub struct TemplateSpec {
    /// For this channel only.
    #[serde(default)]
    pub channel: Option<String>,
    /// For recipients of this language only.
    #[serde(default)]
    pub language: Option<String>,
    /// The headline, for channels that show one.
    #[serde(default)]
    pub title: Option<String>,
    /// The text.
    pub text: String,
    /// The same as HTML, for email.
    #[serde(default)]
    pub html: Option<String>,
}

/// So many at most in a stretch of time, which begins with the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrottleSpec {
    /// The most there may be: 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub limit: i32,
    /// How long: 1 to 2,592,000.
    pub seconds: i64,
    /// Counted for each value of this expression, such as `data.visitor.id`.
    #[serde(default)]
    pub by: Option<String>,
    /// The most there may be in all, whatever `by` says: 1 to 1,000,000.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub total: Option<i32>,
    /// Whether what is held back is told once: how many, and the first five of them.
    #[serde(default)]
    pub notice: bool,
}

/// The same thing is said once in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupeSpec {
    /// How long: 1 to 2,592,000.
    pub seconds: i64,
    /// What is the same; without it the notification's `dedupe_key`, else its event and data.
    #[serde(default)]
    pub by: Option<String>,
}

/// What comes in a stretch of time is told together at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DigestWindow)]
pub struct DigestSpec {
    /// How long: 1 to 2,592,000.
    pub seconds: i64,
    /// Gathered for each value of this expression.
    #[serde(default)]
    pub by: Option<String>,
}

/// Hours in which nobody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHoursSpec {
    /// When they begin, such as `22:00`.
    pub from: String,
    /// When they end: on the next day where that is not after `from`.
    pub to: String,
    /// The days on which they begin; empty for all.
    #[serde(default)]
    pub days: Vec<DayOfWeek>,
    /// The zone of recipients that have none of their own; UTC without.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// What happens to a message.
    #[serde(default)]
    pub mode: QuietHoursMode,
}

/// Who is told where nobody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationSpec {
    /// So long after the notification came: 1 to 2,592,000.
    pub after_seconds: i64,
    /// Only on these channels; empty for all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Who is told.
    pub recipients: Vec<String>,
}

impl RuleSpec {
    /// The rule that is there from the beginning: a visitor is told to the default recipient.
    /// Visitors choose how many they are, so that there is a limit for each network they come
    /// from, and in all.
    #[must_use]
    pub fn visitors() -> Self {
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

/// Where a visitor comes from: the network; else the provider and the city; else nobody knows, and
/// each visitor counts alone.
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
