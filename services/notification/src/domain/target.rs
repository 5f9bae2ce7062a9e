//! Delivery channels, and whom they reach.

use std::fmt;
use std::str::FromStr;

use super::phone::PhoneNumber;

/// A way to tell somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A text message.
    Sms,
    /// A line in the service's log.
    Log,
}

impl Channel {
    /// Every channel there is.
    pub const ALL: [Self; 2] = [Self::Sms, Self::Log];

    /// The name, as the API and the database have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Log => "log",
        }
    }

    /// The channel of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == name)
    }
}

/// A recipient on the channel that reaches it. Shows itself masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A phone, by text message.
    Sms(PhoneNumber),
    /// Whoever reads the log.
    Log,
}

/// A text that names no recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recipient: a phone number in E.164, such as +15550100067, or `log`")]
pub struct NoTarget;

impl Target {
    /// The channel that reaches it.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Sms(_) => Channel::Sms,
            Self::Log => Channel::Log,
        }
    }

    /// The whole address; for the provider and the database only.
    #[must_use]
    pub fn address(&self) -> &str {
        match self {
            Self::Sms(number) => number.as_str(),
            Self::Log => "log",
        }
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        match text {
            "log" => Ok(Self::Log),
            number => number.parse().map(Self::Sms).map_err(|_| NoTarget),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sms(number) => number.fmt(f),
            Self::Log => f.write_str("log"),
        }
    }
}
