//! References to recipients in rules and requests: an address, or a name of one or more.

use std::fmt;
use std::str::FromStr;

use super::address_text::trim_invisible;
use super::channel_address::{ADDRESS_FORMATS, ChannelAddress, InvalidAddress};

/// Applies to recipients and groups.
pub const MAX_RECIPIENT_NAME_CHARS: usize = 60;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecipientRef {
    /// The recipient in the settings, or the log.
    Default,
    Address(ChannelAddress),
    /// All addresses of the recipient with this name.
    Recipient(String),
    /// All recipients in the group.
    Group(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipientRef {
    #[error(
        "invalid recipient; use {ADDRESS_FORMATS}, `recipient:NAME`, `group:NAME` or `default`"
    )]
    Format,
    #[error("{0}")]
    Address(InvalidAddress),
}

/// Whether the text is a valid name of a recipient or group.
#[must_use]
pub fn is_recipient_name(text: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    !text.is_empty()
        && text.chars().nth(MAX_RECIPIENT_NAME_CHARS).is_none()
        && text.chars().all(known)
}

impl FromStr for RecipientRef {
    type Err = InvalidRecipientRef;

    fn from_str(text: &str) -> Result<Self, InvalidRecipientRef> {
        let named = |name: &str| {
            is_recipient_name(name)
                .then(|| name.to_owned())
                .ok_or(InvalidRecipientRef::Format)
        };
        let trimmed = trim_invisible(text);
        match (trimmed.as_str(), trimmed.split_once(':')) {
            ("default", _) => Ok(Self::Default),
            (_, Some(("recipient", name))) => named(name).map(Self::Recipient),
            (_, Some(("group", name))) => named(name).map(Self::Group),
            _ => text
                .parse()
                .map(Self::Address)
                .map_err(|error| match error {
                    InvalidAddress::Format => InvalidRecipientRef::Format,
                    InvalidAddress::Phone(_) | InvalidAddress::Email(_) => {
                        InvalidRecipientRef::Address(error)
                    }
                }),
        }
    }
}

impl RecipientRef {
    /// The reference with the unmasked address, for the database only.
    #[must_use]
    pub fn unmasked(&self) -> String {
        match self {
            Self::Address(target) => target.unmasked().to_owned(),
            named => named.to_string(),
        }
    }
}

impl fmt::Display for RecipientRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Address(target) => target.fmt(f),
            Self::Recipient(name) => write!(f, "recipient:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}
