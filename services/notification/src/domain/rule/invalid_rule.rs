//! Validation errors of rules, as the API reports them.

use crate::domain::channel_address::CHANNEL_NAMES;
use crate::domain::event_pattern::InvalidEventPattern;
use crate::domain::recipient_ref::InvalidRecipientRef;
use crate::domain::{expression, template};

pub const MAX_RULE_NAME_CHARS: usize = 100;
/// Bounds the channels, recipients, templates, quiet hours and escalations of a rule.
pub const MAX_LIST_ITEMS: usize = 20;
/// 30 days.
pub const MAX_WINDOW_SECONDS: i64 = 2_592_000;

/// Why a rule is refused. A variant that several fields share names the field first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    #[error("the name must have 1 to {MAX_RULE_NAME_CHARS} characters and no control characters")]
    Name,
    #[error("{0}")]
    Event(InvalidEventPattern),
    #[error("{1}")]
    Expression(&'static str, expression::ExpressionError),
    #[error("unknown channel; use {CHANNEL_NAMES}")]
    UnknownChannel(String),
    #[error("{1}")]
    Recipient(String, InvalidRecipientRef),
    #[error("the list must name at least one recipient")]
    NoRecipients(String),
    #[error("the list must have at most {MAX_LIST_ITEMS} items")]
    ListTooLong(String),
    #[error("{1}")]
    Template(String, template::TemplateError),
    #[error("the language must be a tag such as en or pt-BR")]
    Language(String),
    #[error("the duration must be 1 to {MAX_WINDOW_SECONDS} seconds")]
    Duration(String),
    #[error("the limit must be 1 to 1,000,000")]
    Limit(&'static str),
    #[error("the time must have the format HH:MM, such as 22:00; an end may be 24:00")]
    Time(String),
    #[error(
        "quiet hours must not start and end at the same time; for a whole day, use from 00:00 to \
         24:00"
    )]
    EmptyQuietHours(String),
    #[error("unknown time zone; use an IANA name such as Europe/London")]
    TimeZone(String),
    #[error("`sms_segments` must be 1 to 10")]
    Segments,
    #[error("each escalation step must come later than the step before it")]
    Order(String),
}

impl InvalidRule {
    /// Returns the invalid field and the `code` of the problem.
    #[must_use]
    pub fn field_and_code(&self) -> (String, &'static str) {
        let field = |name: &str| name.to_owned();
        match self {
            Self::Name => (field("name"), "NAME_INVALID"),
            Self::Event(_) => (field("event"), "EVENT_INVALID"),
            Self::Expression(name, _) => (field(name), "EXPRESSION_INVALID"),
            Self::UnknownChannel(name) => (field(name), "CHANNEL_UNKNOWN"),
            Self::Recipient(name, _) => (field(name), "RECIPIENT_INVALID"),
            Self::NoRecipients(name) => (field(name), "LIST_EMPTY"),
            Self::ListTooLong(name) => (field(name), "LIST_TOO_LONG"),
            Self::Template(name, _) => (field(name), "TEMPLATE_INVALID"),
            Self::Language(name) => (field(name), "LANGUAGE_INVALID"),
            Self::Duration(name) => (field(name), "SECONDS_INVALID"),
            Self::Limit(name) => (field(name), "LIMIT_INVALID"),
            Self::Time(name) => (field(name), "TIME_INVALID"),
            Self::EmptyQuietHours(name) => (field(name), "QUIET_HOURS_EMPTY"),
            Self::TimeZone(name) => (field(name), "TIME_ZONE_UNKNOWN"),
            Self::Segments => (field("sms_segments"), "SEGMENTS_INVALID"),
            Self::Order(name) => (field(name), "ORDER_INVALID"),
        }
    }
}
