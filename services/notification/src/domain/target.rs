//! Delivery channels, and whom they reach.

use std::fmt;
use std::str::FromStr;

use super::phone::{self, PhoneNumber};

/// A way to tell somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    channel: Channel,
    address: String,
}

/// How an address is written.
pub const FORMS: &str = "a phone number in E.164, such as +15550100067, or `log`";

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address; write {FORMS}")]
pub struct NoTarget;

impl Target {
    /// Whoever reads the log.
    #[must_use]
    pub fn log() -> Self {
        Self {
            channel: Channel::Log,
            address: "log".into(),
        }
    }

    /// The channel that reaches it.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// The whole address; for the provider and the database only.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl From<PhoneNumber> for Target {
    fn from(number: PhoneNumber) -> Self {
        Self {
            channel: Channel::Sms,
            address: number.as_str().to_owned(),
        }
    }
}

impl FromStr for Target {
    type Err = NoTarget;

    fn from_str(text: &str) -> Result<Self, NoTarget> {
        match text {
            "log" => Ok(Self::log()),
            number => {
                let number = number.parse::<PhoneNumber>();
                number.map(Self::from).map_err(|_| NoTarget)
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.channel {
            Channel::Sms => f.write_str(&phone::mask(&self.address)),
            Channel::Log => f.write_str(&self.address),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
