//! Who is to be told: an address, or a name that stands for one or more.

use std::fmt;
use std::str::FromStr;

use super::target::ChannelAddress;

/// The longest name of a recipient or a group, in characters.
pub const MAX_RECIPIENT_NAME_CHARS: usize = 60;

/// Somebody, as rules and requests name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecipientRef {
    /// Whom the settings name, else the log.
    Default,
    /// An address.
    Target(ChannelAddress),
    /// All addresses of the recipient of that name.
    Recipient(String),
    /// All recipients of that group.
    Group(String),
}

/// A text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody can be named so; name {}, `recipient:NAME`, `group:NAME` or `default`",
    super::target::ADDRESS_FORMATS
)]
pub struct InvalidRecipientRef;

/// Whether it may be the name of a recipient or a group.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    !text.is_empty()
        && text.chars().nth(MAX_RECIPIENT_NAME_CHARS).is_none()
        && text.chars().all(known)
}

impl FromStr for RecipientRef {
    type Err = InvalidRecipientRef;

    fn from_str(text: &str) -> Result<Self, InvalidRecipientRef> {
        let named = |name: &str| {
            is_name(name)
                .then(|| name.to_owned())
                .ok_or(InvalidRecipientRef)
        };
        match (text, text.split_once(':')) {
            ("default", _) => Ok(Self::Default),
            (_, Some(("recipient", name))) => named(name).map(Self::Recipient),
            (_, Some(("group", name))) => named(name).map(Self::Group),
            _ => text
                .parse()
                .map(Self::Target)
                .map_err(|_| InvalidRecipientRef),
        }
    }
}

impl fmt::Display for RecipientRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Target(target) => target.fmt(f),
            Self::Recipient(name) => write!(f, "recipient:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}
