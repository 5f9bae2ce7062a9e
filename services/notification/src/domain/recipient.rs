//! Recipients and their addresses.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channel_address::{ChannelAddress, InvalidAddress};
use super::phone::PhoneNumber;
use super::recipient_ref::{MAX_RECIPIENT_NAME_CHARS, is_recipient_name};

/// Bounds the addresses and the groups of a recipient.
pub const MAX_ADDRESSES_OR_GROUPS: usize = 20;

/// A recipient: a person or team with addresses, groups, a time zone and a language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecipientRequest, example = json!({"name": "ann", "addresses": ["+15550100067"],
    "groups": ["on-call"], "time_zone": "Europe/London", "language": "en"}))]
pub struct RecipientSpec {
    /// Unique name, used as `recipient:NAME`: 1 to 60 letters, digits, `_`, `.` or `-`.
    pub name: String,
    /// Addresses, 1 to 20. The format of an address determines its channel. Phone numbers are
    /// stored in E.164, and domains of email addresses in their ASCII form.
    pub addresses: Vec<String>,
    /// Groups of the recipient, at most 20; used as `group:NAME`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// IANA time zone for quiet hours, such as `Europe/London`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Language tag (BCP 47) that selects templates, such as `de` or `pt-BR`.
    #[serde(default)]
    pub language: Option<String>,
}

/// A valid recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Never empty.
    pub addresses: Vec<ChannelAddress>,
    /// For quiet hours.
    pub time_zone: Option<Tz>,
    /// For templates.
    pub language: Option<String>,
}

/// The recipient of notifications and rules that name no other.
#[derive(Clone, Debug, Default)]
pub struct DefaultRecipient {
    /// Receives text messages. Without a phone, messages go to the log.
    pub phone: Option<PhoneNumber>,
}

impl DefaultRecipient {
    /// Returns the phone, or the log.
    #[must_use]
    pub fn address(&self) -> ChannelAddress {
        let phone = self.phone.clone().map(ChannelAddress::from);
        phone.unwrap_or_else(ChannelAddress::log)
    }
}

impl RecipientSpec {
    /// Brings the addresses into their normal form. Equal addresses are kept once.
    pub fn normalize(self) -> Result<Self, InvalidRecipient> {
        let recipient = Recipient::try_from(&self)?;
        let mut addresses: Vec<String> = Vec::with_capacity(self.addresses.len());
        for target in &recipient.addresses {
            if !addresses.iter().any(|known| known == target.unmasked()) {
                addresses.push(target.unmasked().to_owned());
            }
        }
        Ok(Self { addresses, ..self })
    }
}

/// Why a recipient is refused. A number is the index in the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipient {
    #[error("the name must have 1 to {MAX_RECIPIENT_NAME_CHARS} letters, digits, `_`, `.` or `-`")]
    Name,
    #[error("a recipient must have 1 to {MAX_ADDRESSES_OR_GROUPS} addresses")]
    AddressCount,
    #[error("{1}")]
    Address(usize, InvalidAddress),
    #[error("a recipient must have at most {MAX_ADDRESSES_OR_GROUPS} groups")]
    TooManyGroups,
    #[error(
        "a group name must have 1 to {MAX_RECIPIENT_NAME_CHARS} letters, digits, `_`, `.` or `-`"
    )]
    GroupName(usize),
    #[error("unknown time zone; use an IANA name such as Europe/London")]
    TimeZone,
    #[error("the language must be a tag such as en or pt-BR")]
    Language,
}

impl TryFrom<&RecipientSpec> for Recipient {
    type Error = InvalidRecipient;

    fn try_from(spec: &RecipientSpec) -> Result<Self, InvalidRecipient> {
        if !is_recipient_name(&spec.name) {
            return Err(InvalidRecipient::Name);
        }
        if !(1..=MAX_ADDRESSES_OR_GROUPS).contains(&spec.addresses.len()) {
            return Err(InvalidRecipient::AddressCount);
        }
        if spec.groups.len() > MAX_ADDRESSES_OR_GROUPS {
            return Err(InvalidRecipient::TooManyGroups);
        }
        if let Some(at) = spec
            .groups
            .iter()
            .position(|group| !is_recipient_name(group))
        {
            return Err(InvalidRecipient::GroupName(at));
        }
        let addresses = spec.addresses.iter().enumerate();
        let target = |(at, text): (usize, &String)| {
            let target = text.parse::<ChannelAddress>();
            target.map_err(|error| InvalidRecipient::Address(at, error))
        };
        let targets = addresses.map(target).collect::<Result<_, _>>()?;
        let zone = spec.time_zone.as_deref().map(str::parse::<Tz>).transpose();
        let language = spec.language.clone();
        if language
            .as_deref()
            .is_some_and(|code| !is_language_tag(code))
        {
            return Err(InvalidRecipient::Language);
        }
        Ok(Self {
            addresses: targets,
            time_zone: zone.map_err(|_| InvalidRecipient::TimeZone)?,
            language,
        })
    }
}

/// Checks the form of a language tag (BCP 47), not whether the language exists.
pub(super) fn is_language_tag(code: &str) -> bool {
    let plain = code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (2..=20).contains(&code.len()) && plain
}
