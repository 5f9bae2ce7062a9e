//! What is wrong with a rule.

use crate::domain::event_pattern::InvalidEventPattern;
use crate::domain::whom::InvalidRecipientRef;
use crate::domain::{condition, template};

/// The longest name, in characters.
pub const MAX_RULE_NAME_CHARS: usize = 100;
/// The most recipients, templates, quiet hours or escalations of a rule.
pub const MAX_LIST_ITEMS: usize = 20;
/// The longest window, in seconds.
pub const MAX_WINDOW_SECONDS: i64 = 2_592_000;

/// What is wrong with a rule. The first part names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Its name is empty or too long, or holds what cannot be kept.
    #[error("a name has 1 to {MAX_RULE_NAME_CHARS} characters, none of them a control character")]
    Name,
    /// Its event is no pattern.
    #[error("{0}")]
    Event(InvalidEventPattern),
    /// An expression cannot be used.
    #[error("{1}")]
    Expression(&'static str, condition::ExpressionError),
    /// There is no such channel.
    #[error("there is no such channel")]
    Channel(String),
    /// Nobody can be named so.
    #[error("{1}")]
    Recipient(String, InvalidRecipientRef),
    /// Nobody is named.
    #[error("name somebody")]
    Empty(String),
    /// Too many.
    #[error("there are at most {MAX_LIST_ITEMS}")]
    TooMany(String),
    /// A template cannot be used.
    #[error("{1}")]
    Template(String, template::TemplateError),
    /// It is no language.
    #[error("a language is a code such as en or pt-BR")]
    Language(String),
    /// The window is empty or too long.
    #[error("it is 1 to {MAX_WINDOW_SECONDS} seconds long")]
    Seconds(String),
    /// The limit is none.
    #[error("a limit is 1 to 1,000,000")]
    Limit(&'static str),
    /// It is no time of the day.
    #[error("a time is written as 22:00")]
    Time(String),
    /// There is no such zone.
    #[error("there is no such time zone; name one such as Europe/London")]
    TimeZone(String),
    /// A text message has at least one segment.
    #[error("a text message has 1 to 10 segments")]
    Segments,
    /// The steps do not follow each other.
    #[error("each step comes later than the one before")]
    Order(String),
}

impl InvalidRule {
    /// The field that is wrong, and the error's code.
    #[must_use]
    pub fn place(&self) -> (String, &'static str) {
        let field = |name: &str| name.to_owned();
        match self {
            Self::Name => (field("name"), "NAME_INVALID"),
            Self::Event(_) => (field("event"), "EVENT_INVALID"),
            Self::Expression(name, _) => (field(name), "EXPRESSION_INVALID"),
            Self::Channel(name) => (field(name), "CHANNEL_UNKNOWN"),
            Self::Recipient(name, _) => (field(name), "RECIPIENT_INVALID"),
            Self::Empty(name) => (field(name), "LIST_EMPTY"),
            Self::TooMany(name) => (field(name), "LIST_TOO_LONG"),
            Self::Template(name, _) => (field(name), "TEMPLATE_INVALID"),
            Self::Language(name) => (field(name), "LANGUAGE_INVALID"),
            Self::Seconds(name) => (field(name), "SECONDS_INVALID"),
            Self::Limit(name) => (field(name), "LIMIT_INVALID"),
            Self::Time(name) => (field(name), "TIME_INVALID"),
            Self::TimeZone(name) => (field(name), "TIME_ZONE_UNKNOWN"),
            Self::Segments => (field("sms_segments"), "SEGMENTS_INVALID"),
            Self::Order(name) => (field(name), "ORDER_INVALID"),
        }
    }
}
