//! Delivery channels and addresses on them.

use std::fmt;
use std::str::FromStr;

use url::Url;
use uuid::Uuid;

use super::address_text::{to_half_width, trim_invisible};
use super::email_address::{EmailAddress, InvalidEmailAddress};
use super::phone::{self, InvalidPhoneNumber, PhoneNumber};

const MAX_ADDRESS_BYTES: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryChannel {
    Sms,
    Email,
    /// Web Push to a browser.
    Push,
    /// A signed request according to Standard Webhooks.
    Webhook,
    Slack,
    Discord,
    Telegram,
    Ntfy,
    /// Firebase Cloud Messaging to a mobile app.
    Fcm,
    /// The service's log.
    Log,
}

impl DeliveryChannel {
    pub const ALL: [Self; 10] = [
        Self::Sms,
        Self::Email,
        Self::Push,
        Self::Webhook,
        Self::Slack,
        Self::Discord,
        Self::Telegram,
        Self::Ntfy,
        Self::Fcm,
        Self::Log,
    ];

    /// The name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Push => "push",
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Telegram => "telegram",
            Self::Ntfy => "ntfy",
            Self::Fcm => "fcm",
            Self::Log => "log",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == name)
    }
}

/// An address and its channel. `Display` and `Debug` mask the address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ChannelAddress {
    channel: DeliveryChannel,
    address: String,
}

/// The names of all channels, for error messages.
pub const CHANNEL_NAMES: &str =
    "sms, email, push, webhook, slack, discord, telegram, ntfy, fcm or log";

/// The formats of addresses, for error messages.
pub const ADDRESS_FORMATS: &str = "a phone number in E.164, such as +15550100067, an email \
    address, `webhook:ID`, `push:ID`, `slack:URL`, `discord:URL`, `telegram:CHAT`, `ntfy:TOPIC`, \
    `fcm:TOKEN` or `log`";

/// Why a text is not an address. The messages contain at most one character of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("invalid address; use {ADDRESS_FORMATS}")]
    Format,
    #[error(transparent)]
    Phone(#[from] InvalidPhoneNumber),
    #[error(transparent)]
    Email(#[from] InvalidEmailAddress),
}

impl ChannelAddress {
    /// The address of the log.
    #[must_use]
    pub fn log() -> Self {
        Self {
            channel: DeliveryChannel::Log,
            address: "log".into(),
        }
    }

    #[must_use]
    pub const fn channel(&self) -> DeliveryChannel {
        self.channel
    }

    /// The unmasked address, for providers and the database only.
    #[must_use]
    pub fn unmasked(&self) -> &str {
        &self.address
    }

    /// The unmasked address without the channel's prefix, for providers only.
    #[must_use]
    pub fn unmasked_value(&self) -> &str {
        match self.channel {
            DeliveryChannel::Sms | DeliveryChannel::Email | DeliveryChannel::Log => &self.address,
            _ => self.address.split_once(':').map_or("", |(_, value)| value),
        }
    }
}

impl From<PhoneNumber> for ChannelAddress {
    fn from(number: PhoneNumber) -> Self {
        Self {
            channel: DeliveryChannel::Sms,
            address: number.as_str().to_owned(),
        }
    }
}

/// Returns the normal form of the address, so that equal addresses are equal texts.
impl FromStr for ChannelAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(InvalidAddress::Format);
        }
        let trimmed = trim_invisible(text);
        if trimmed == "log" {
            return Ok(Self::log());
        }
        if let Some((name, value)) = trimmed.split_once(':') {
            let channel = DeliveryChannel::from_name(name);
            let channel = channel.filter(|channel| is_valid_value(*channel, value));
            return Ok(Self {
                channel: channel.ok_or(InvalidAddress::Format)?,
                address: trimmed,
            });
        }
        // The original text, because errors name positions in it.
        if trimmed.contains(['@', '\u{ff20}']) {
            return Ok(Self {
                channel: DeliveryChannel::Email,
                address: text.parse::<EmailAddress>()?.into_string(),
            });
        }
        if is_phone_like(&trimmed) {
            return Ok(text.parse::<PhoneNumber>()?.into());
        }
        Err(InvalidAddress::Format)
    }
}

/// Whether the text is meant as a phone number.
fn is_phone_like(text: &str) -> bool {
    let first = text.chars().map(to_half_width).find(|c| *c != '(');
    first.is_some_and(|c| c == '+' || c.is_ascii_digit())
}

/// Checks the part of an address after the channel's prefix.
fn is_valid_value(channel: DeliveryChannel, value: &str) -> bool {
    let plain = |most: usize, more: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        (1..=most).contains(&value.len()) && value.chars().all(known)
    };
    match channel {
        DeliveryChannel::Sms | DeliveryChannel::Email | DeliveryChannel::Log => false,
        // Addresses are compared as text, so only the canonical form of an id is valid.
        DeliveryChannel::Push | DeliveryChannel::Webhook => value
            .parse::<Uuid>()
            .is_ok_and(|id| id.to_string() == value),
        DeliveryChannel::Slack | DeliveryChannel::Discord => is_http_url(value),
        DeliveryChannel::Telegram => plain(40, "-@_"),
        DeliveryChannel::Ntfy => plain(64, "-_"),
        DeliveryChannel::Fcm => plain(400, "-_:"),
    }
}

/// Whether the text is an HTTP or HTTPS URL with a host and without credentials.
#[must_use]
pub fn is_http_url(text: &str) -> bool {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "https" | "http"));
    url.is_some_and(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
}

impl fmt::Display for ChannelAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.channel {
            DeliveryChannel::Sms => f.write_str(&phone::mask_phone_number(&self.address)),
            DeliveryChannel::Email => {
                let (local, domain) = self.address.rsplit_once('@').unwrap_or_default();
                let first = &local[..local.len().min(1)];
                write!(f, "{first}•••@{domain}")
            }
            // These ids are not secret.
            DeliveryChannel::Log | DeliveryChannel::Push | DeliveryChannel::Webhook => {
                f.write_str(&self.address)
            }
            // The other addresses are secrets that permit sending.
            channel => {
                let value = self.unmasked_value();
                let shown = value.chars().rev().take(value.len().min(12) / 3);
                let end: String = shown.collect::<Vec<_>>().into_iter().rev().collect();
                write!(f, "{}:•••{end}", channel.as_str())
            }
        }
    }
}

impl fmt::Debug for ChannelAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_on_its_channel_and_shows_itself_masked() {
        for (text, channel, masked) in [
            ("+15550100067", DeliveryChannel::Sms, "+1555•••67"),
            (
                "ann.b@example.com",
                DeliveryChannel::Email,
                "a•••@example.com",
            ),
            (
                "slack:https://hooks.slack.com/services/T0/B0/secret",
                DeliveryChannel::Slack,
                "slack:•••cret",
            ),
            (
                "discord:https://discord.com/api/webhooks/1/token",
                DeliveryChannel::Discord,
                "discord:•••oken",
            ),
            (
                "telegram:-100123",
                DeliveryChannel::Telegram,
                "telegram:•••23",
            ),
            ("ntfy:my-topic", DeliveryChannel::Ntfy, "ntfy:•••ic"),
            (
                "fcm:abc:DEF_gh-ijklmnop",
                DeliveryChannel::Fcm,
                "fcm:•••mnop",
            ),
            ("log", DeliveryChannel::Log, "log"),
        ] {
            let target: ChannelAddress = text.parse().unwrap();
            assert_eq!(target.channel(), channel, "{text}");
            assert_eq!(target.unmasked(), text);
            assert_eq!(target.to_string(), masked);
        }
        let id = "webhook:01900000-0000-7000-8000-000000000001";
        assert_eq!(id.parse::<ChannelAddress>().unwrap().to_string(), id);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "ann",
            "slack:ftp://example.com",
            "slack:x",
            "discord:https://user:secret@example.com/",
            "webhook:1",
            "webhook:01900000-0000-7000-8000-00000000000A",
            "telegram:",
            "ntfy:a/b",
            "fcm:a b",
            "log:",
            "sms:+15550100067",
            "email:ann@example.com",
            "pigeon:x",
        ] {
            assert_eq!(
                bad.parse::<ChannelAddress>(),
                Err(InvalidAddress::Format),
                "{bad}"
            );
        }
        for bad in [
            "@example.com",
            "ann@",
            "a b@example.com",
            "ann@-example.com",
        ] {
            let error = bad.parse::<ChannelAddress>();
            assert!(matches!(error, Err(InvalidAddress::Email(_))), "{bad}");
        }
        for bad in [
            "555-0100",
            "(555) 010-0067",
            "+1 555 FLOWERS",
            "0015550100067",
        ] {
            let error = bad.parse::<ChannelAddress>();
            assert!(matches!(error, Err(InvalidAddress::Phone(_))), "{bad}");
        }
    }

    #[test]
    fn addresses_are_normalized() {
        for (written, normal) in [
            (" +1 (555) 010-0067", "+15550100067"),
            ("\u{202a}(+1) 555 010 0067\u{202c}", "+15550100067"),
            ("Ann@Bücher.example ", "Ann@xn--bcher-kva.example"),
            ("\u{feff}log\n", "log"),
            (" ntfy:my-topic\u{200b}", "ntfy:my-topic"),
        ] {
            let target: ChannelAddress = written.parse().unwrap();
            assert_eq!(target.unmasked(), normal, "{written:?}");
        }
    }
}
