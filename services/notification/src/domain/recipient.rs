//! People and the addresses they are reached at.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::target::{ChannelAddress, InvalidAddress};
use super::whom::{MAX_RECIPIENT_NAME_CHARS, is_name};

/// The most addresses, and the most groups, of one recipient.
pub const MAX_ADDRESSES_OR_GROUPS: usize = 20;

/// A recipient as the API takes and keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecipientRequest, example = json!({"name": "ann", "addresses": ["+15550100067"],
    "groups": ["on-call"], "time_zone": "Europe/London", "language": "en"}))]
pub struct RecipientSpec {
    /// What rules and requests call it, as `recipient:NAME`.
    pub name: String,
    /// Where it is reached; each on the channel that reaches it.
    pub addresses: Vec<String>,
    /// The groups it belongs to, which are called `group:NAME`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// For quiet hours, such as `Europe/London`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// For templates, such as `de`.
    #[serde(default)]
    pub language: Option<String>,
}

/// Somebody who can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where; never empty.
    pub targets: Vec<ChannelAddress>,
    /// For quiet hours.
    pub time_zone: Option<Tz>,
    /// For templates.
    pub language: Option<String>,
}

/// What is wrong with a recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipient {
    /// It cannot be called so.
    #[error("a name is 1 to {MAX_RECIPIENT_NAME_CHARS} letters, digits, `_`, `.` and `-`")]
    Name,
    /// None, or too many.
    #[error("there are 1 to {MAX_ADDRESSES_OR_GROUPS} addresses")]
    Addresses,
    /// It cannot be reached there.
    #[error("{1}")]
    Address(usize, InvalidAddress),
    /// Too many.
    #[error("there are at most {MAX_ADDRESSES_OR_GROUPS} groups")]
    Groups,
    /// A group cannot be called so.
    #[error("a group's name is 1 to {MAX_RECIPIENT_NAME_CHARS} letters, digits, `_`, `.` and `-`")]
    Group(usize),
    /// There is no such zone.
    #[error("there is no such time zone; name one such as Europe/London")]
    TimeZone,
    /// It is no language.
    #[error("a language is a code such as en or pt-BR")]
    Language,
}

impl TryFrom<&RecipientSpec> for Recipient {
    type Error = InvalidRecipient;

    fn try_from(spec: &RecipientSpec) -> Result<Self, InvalidRecipient> {
        if !is_name(&spec.name) {
            return Err(InvalidRecipient::Name);
        }
        if !(1..=MAX_ADDRESSES_OR_GROUPS).contains(&spec.addresses.len()) {
            return Err(InvalidRecipient::Addresses);
        }
        if spec.groups.len() > MAX_ADDRESSES_OR_GROUPS {
            return Err(InvalidRecipient::Groups);
        }
        if let Some(at) = spec.groups.iter().position(|group| !is_name(group)) {
            return Err(InvalidRecipient::Group(at));
        }
        let addresses = spec.addresses.iter().enumerate();
        let target = |(at, text): (usize, &String)| {
            let target = text.parse::<ChannelAddress>();
            target.map_err(|error| InvalidRecipient::Address(at, error))
        };
        let targets = addresses.map(target).collect::<Result<_, _>>()?;
        let zone = spec.time_zone.as_deref().map(str::parse::<Tz>).transpose();
        let language = spec.language.clone();
        if language.as_deref().is_some_and(|code| !is_language(code)) {
            return Err(InvalidRecipient::Language);
        }
        Ok(Self {
            targets,
            time_zone: zone.map_err(|_| InvalidRecipient::TimeZone)?,
            language,
        })
    }
}

/// Whether it looks like a language tag (BCP 47).
pub(super) fn is_language(code: &str) -> bool {
    let plain = code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (2..=20).contains(&code.len()) && plain
}
