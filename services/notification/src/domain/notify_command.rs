//! The validated form of a request to notify.

use common::notification::{MESSAGE_EVENT, NotifyRequest, Priority};
use serde_json::{Map, Value};

use super::channel_address::{CHANNEL_NAMES, DeliveryChannel};
use super::daily_limit::LIMIT_REACHED_EVENT;
use super::recipient_ref::{InvalidRecipientRef, RecipientRef};

pub const MAX_EVENT_CHARS: usize = 100;
/// The limit of Twilio.
pub const MAX_MESSAGE_CHARS: usize = 1_600;
pub const MAX_TITLE_CHARS: usize = 200;
pub const MAX_DEDUPE_KEY_CHARS: usize = 200;
/// Size of `data` as compact JSON.
pub const MAX_DATA_BYTES: usize = 65_536;
pub const MAX_RECIPIENTS_PER_NOTIFICATION: usize = 100;

/// A valid [`NotifyRequest`].
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyCommand {
    pub event: String,
    pub title: Option<String>,
    /// Sent as it is. Without a message, the rules decide.
    pub message: Option<String>,
    /// Variables for conditions and templates.
    pub data: Map<String, Value>,
    pub priority: Priority,
    /// Identifies duplicates for rules without an expression of their own.
    pub dedupe_key: Option<String>,
    /// Requested channels; empty if the rules choose.
    pub channels: Vec<DeliveryChannel>,
    /// Requested recipients; empty if the rules choose.
    pub to: Vec<RecipientRef>,
}

/// Why a request is refused. A number is the index in the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNotification {
    #[error(
        "the event must have 1 to {MAX_EVENT_CHARS} of the characters a-z 0-9 _ . : - and must not \
         be {LIMIT_REACHED_EVENT}"
    )]
    Event,
    #[error("missing field `event`; only a notification with a `message` may omit it")]
    MissingEvent,
    #[error("the title must have at most {MAX_TITLE_CHARS} characters")]
    TitleTooLong,
    #[error("the message must have at most {MAX_MESSAGE_CHARS} characters")]
    MessageTooLong,
    #[error("the message must have a visible character; omit it to let the rules decide")]
    MessageEmpty,
    #[error("`data` must have at most {MAX_DATA_BYTES} bytes as JSON")]
    DataTooLarge,
    #[error("the dedupe key must have 1 to {MAX_DEDUPE_KEY_CHARS} characters")]
    DedupeKey,
    /// No channel can carry NUL, and PostgreSQL cannot store it.
    #[error("the text must not contain the character NUL")]
    NulCharacter(&'static str),
    #[error("unknown channel; use {CHANNEL_NAMES}")]
    UnknownChannel(usize),
    #[error("{1}")]
    Recipient(usize, InvalidRecipientRef),
    #[error("unknown recipient or group; create it first or use an address")]
    UnknownRecipient(usize),
    #[error("the recipient has no address on the requested channels")]
    UnreachableRecipient(usize),
    /// No requested recipient has an address on the requested channel.
    #[error("the channel {} has no recipient; name one in `to`", .0.as_str())]
    MissingRecipient(DeliveryChannel),
    #[error("the list must not be empty; omit it or add an item")]
    EmptyList(&'static str),
    #[error("a notification must have at most {MAX_RECIPIENTS_PER_NOTIFICATION} recipients")]
    TooManyRecipients,
}

impl TryFrom<NotifyRequest> for NotifyCommand {
    type Error = InvalidNotification;

    fn try_from(request: NotifyRequest) -> Result<Self, InvalidNotification> {
        let event = match (request.event, &request.message) {
            (Some(event), _) => event,
            (None, Some(_)) => MESSAGE_EVENT.to_owned(),
            (None, None) => return Err(InvalidNotification::MissingEvent),
        };
        validate_event(&event)?;
        validate_title(request.title.as_deref())?;
        validate_message(request.message.as_deref())?;
        validate_data(&request.data)?;
        validate_dedupe_key(request.dedupe_key.as_deref())?;
        let channels = parse_channels(request.channels.as_deref())?;
        let to = parse_recipients(request.to.as_deref(), &channels)?;
        Ok(Self {
            event,
            title: request.title,
            message: request.message,
            data: request.data,
            priority: request.priority,
            dedupe_key: request.dedupe_key,
            channels,
            to,
        })
    }
}

fn validate_event(name: &str) -> Result<(), InvalidNotification> {
    let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-');
    let good = (1..=MAX_EVENT_CHARS).contains(&name.len()) && name.bytes().all(known);
    let ours = name == LIMIT_REACHED_EVENT;
    (good && !ours)
        .then_some(())
        .ok_or(InvalidNotification::Event)
}

fn validate_title(title: Option<&str>) -> Result<(), InvalidNotification> {
    let title = title.unwrap_or_default();
    check_nul(title, "title")?;
    check_length(title, MAX_TITLE_CHARS, InvalidNotification::TitleTooLong)
}

fn validate_message(message: Option<&str>) -> Result<(), InvalidNotification> {
    let Some(message) = message else {
        return Ok(());
    };
    check_nul(message, "message")?;
    if message.trim().is_empty() {
        return Err(InvalidNotification::MessageEmpty);
    }
    check_length(
        message,
        MAX_MESSAGE_CHARS,
        InvalidNotification::MessageTooLong,
    )
}

fn validate_data(data: &Map<String, Value>) -> Result<(), InvalidNotification> {
    let written = serde_json::to_vec(data).map_or(usize::MAX, |json| json.len());
    if written > MAX_DATA_BYTES {
        return Err(InvalidNotification::DataTooLarge);
    }
    let clean = data
        .iter()
        .all(|(key, value)| !key.contains('\0') && is_nul_free(value));
    clean
        .then_some(())
        .ok_or(InvalidNotification::NulCharacter("data"))
}

/// The JSON parser bounds the recursion to 128 levels.
fn is_nul_free(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(is_nul_free),
        Value::Object(fields) => fields
            .iter()
            .all(|(key, value)| !key.contains('\0') && is_nul_free(value)),
    }
}

fn validate_dedupe_key(key: Option<&str>) -> Result<(), InvalidNotification> {
    let Some(key) = key else {
        return Ok(());
    };
    check_nul(key, "dedupe_key")?;
    if key.is_empty() {
        return Err(InvalidNotification::DedupeKey);
    }
    check_length(key, MAX_DEDUPE_KEY_CHARS, InvalidNotification::DedupeKey)
}

fn check_nul(text: &str, field: &'static str) -> Result<(), InvalidNotification> {
    let clean = !text.contains('\0');
    clean
        .then_some(())
        .ok_or(InvalidNotification::NulCharacter(field))
}

fn check_length(
    text: &str,
    most: usize,
    error: InvalidNotification,
) -> Result<(), InvalidNotification> {
    let fits = text.chars().nth(most).is_none();
    fits.then_some(()).ok_or(error)
}

fn parse_channels(names: Option<&[String]>) -> Result<Vec<DeliveryChannel>, InvalidNotification> {
    let mut channels = Vec::new();
    for (at, name) in names.unwrap_or_default().iter().enumerate() {
        let channel =
            DeliveryChannel::from_name(name).ok_or(InvalidNotification::UnknownChannel(at))?;
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    match names {
        Some([]) => Err(InvalidNotification::EmptyList("channels")),
        _ => Ok(channels),
    }
}

/// Requires that each address is on a requested channel and that each requested channel has a
/// recipient.
fn parse_recipients(
    texts: Option<&[String]>,
    channels: &[DeliveryChannel],
) -> Result<Vec<RecipientRef>, InvalidNotification> {
    let Some(texts) = texts else {
        return Ok(vec![]);
    };
    match texts.len() {
        0 => return Err(InvalidNotification::EmptyList("to")),
        1..=MAX_RECIPIENTS_PER_NOTIFICATION => {}
        _ => return Err(InvalidNotification::TooManyRecipients),
    }
    let mut to: Vec<RecipientRef> = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let recipient_ref: RecipientRef = text
            .parse()
            .map_err(|error| InvalidNotification::Recipient(at, error))?;
        if let RecipientRef::Address(target) = &recipient_ref
            && !channels.is_empty()
            && !channels.contains(&target.channel())
        {
            return Err(InvalidNotification::UnreachableRecipient(at));
        }
        if !to.contains(&recipient_ref) {
            to.push(recipient_ref);
        }
    }
    // Names are resolved later.
    let reached = |channel: &DeliveryChannel| {
        to.iter().any(|recipient_ref| match recipient_ref {
            RecipientRef::Address(target) => target.channel() == *channel,
            RecipientRef::Default | RecipientRef::Recipient(_) | RecipientRef::Group(_) => true,
        })
    };
    match channels.iter().find(|channel| !reached(channel)) {
        Some(channel) => Err(InvalidNotification::MissingRecipient(*channel)),
        None => Ok(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(event: &str) -> NotifyRequest {
        NotifyRequest {
            event: Some(event.into()),
            ..NotifyRequest::default()
        }
    }

    fn to(channels: &[&str], to: &[&str]) -> Result<Vec<RecipientRef>, InvalidNotification> {
        let list = |texts: &[&str]| texts.iter().map(|t| (*t).into()).collect();
        let mut request = request("deploy.finished");
        request.channels = (!channels.is_empty()).then(|| list(channels));
        request.to = Some(list(to));
        NotifyCommand::try_from(request).map(|command| command.to)
    }

    #[test]
    fn every_part_has_its_limit() {
        assert!(NotifyCommand::try_from(request("deploy.finished:v2_a-b")).is_ok());
        assert_eq!(
            NotifyCommand::try_from(request("Deploy finished")),
            Err(InvalidNotification::Event)
        );
        let mut long = request("e");
        long.message = Some("ä".repeat(MAX_MESSAGE_CHARS));
        assert!(NotifyCommand::try_from(long.clone()).is_ok());
        long.message = Some("ä".repeat(MAX_MESSAGE_CHARS + 1));
        assert_eq!(
            NotifyCommand::try_from(long),
            Err(InvalidNotification::MessageTooLong)
        );
        let mut hidden = request("e");
        hidden.data = serde_json::from_str(r#"{"a":[{"b\u0000":1}]}"#).unwrap();
        assert_eq!(
            NotifyCommand::try_from(hidden),
            Err(InvalidNotification::NulCharacter("data"))
        );
    }

    #[test]
    fn each_recipient_goes_out_on_the_channel_that_reaches_it_once() {
        let phone = "+15550100067";
        assert_eq!(to(&[], &[phone, "log", phone]).unwrap().len(), 2);
        assert_eq!(to(&["sms", "log"], &[phone, "log"]).unwrap().len(), 2);
        assert_eq!(
            to(&["log"], &["log", phone]),
            Err(InvalidNotification::UnreachableRecipient(1))
        );
        assert_eq!(
            to(&["log", "sms"], &["log"]),
            Err(InvalidNotification::MissingRecipient(DeliveryChannel::Sms))
        );
        assert_eq!(to(&["sms"], &["recipient:ann"]).unwrap().len(), 1);
        assert!(matches!(
            to(&[], &["group:"]),
            Err(InvalidNotification::Recipient(0, _))
        ));
        assert_eq!(
            to(&["pigeon"], &["log"]),
            Err(InvalidNotification::UnknownChannel(0))
        );
        assert_eq!(to(&[], &[]), Err(InvalidNotification::EmptyList("to")));
    }
}
