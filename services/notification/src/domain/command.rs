//! A request to notify, made valid.

use common::notification::{NotifyRequest, Priority};
use serde_json::{Map, Value};

use super::limit::REACHED;
use super::target::Channel;
use super::whom::{NoOne, Whom};

/// The longest event name, in characters.
pub const EVENT_CHARS: usize = 100;
/// The longest message, in characters; Twilio takes no longer one.
pub const MESSAGE_CHARS: usize = 1_600;
/// The longest title, in characters.
pub const TITLE_CHARS: usize = 200;
/// The longest dedupe key, in characters.
pub const DEDUPE_KEY_CHARS: usize = 200;
/// The largest `data`, in bytes of JSON.
pub const DATA_BYTES: usize = 65_536;
/// The most recipients of one notification.
pub const RECIPIENTS: usize = 100;

/// A [`NotifyRequest`] whose every part can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What happened.
    pub event: String,
    /// A headline.
    pub title: Option<String>,
    /// What to say.
    pub message: Option<String>,
    /// What templates and rules may use.
    pub data: Map<String, Value>,
    /// How urgent it is.
    pub priority: Priority,
    /// Kept for deduplication.
    pub dedupe_key: Option<String>,
    /// The channels asked for; empty where the rules choose.
    pub channels: Vec<Channel>,
    /// The recipients asked for; empty where the rules choose.
    pub to: Vec<Whom>,
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The event's name has another form.
    #[error("an event is 1 to {EVENT_CHARS} of the characters a-z 0-9 _ . : -, but not {REACHED}")]
    Event,
    /// The title is too long.
    #[error("a title has {TITLE_CHARS} characters at most")]
    Title,
    /// The message is too long.
    #[error("a message has {MESSAGE_CHARS} characters at most")]
    MessageTooLong,
    /// The message says nothing.
    #[error("a message has at least one visible character; without one leave it out")]
    MessageEmpty,
    /// The data are too large.
    #[error("data have {DATA_BYTES} bytes at most, written as JSON")]
    Data,
    /// The dedupe key is empty or too long.
    #[error("a dedupe key has 1 to {DEDUPE_KEY_CHARS} characters")]
    DedupeKey,
    /// A text holds the character NUL, which no channel can carry.
    #[error("the character NUL is not accepted")]
    Nul(&'static str),
    /// There is no such channel.
    #[error(
        "there is no such channel; the channels are sms, email, push, webhook, slack, discord, telegram, ntfy, fcm and log"
    )]
    Channel(usize),
    /// Nobody can be reached by that.
    #[error("{1}")]
    Recipient(usize, NoOne),
    /// There is nobody of that name.
    #[error("there is no such recipient and no such group")]
    Nobody(usize),
    /// None of the channels asked for reaches this recipient.
    #[error("none of the channels asked for reaches this recipient")]
    Unreachable(usize),
    /// A channel was asked for, and nobody to be reached by it.
    #[error("the channel {} has no recipient: name one in `to`", .0.as_str())]
    NobodyOn(Channel),
    /// A list that is given names at least one.
    #[error("the list is empty; name somebody or leave it out")]
    Empty(&'static str),
    /// Too many recipients.
    #[error("one notification has {RECIPIENTS} recipients at most")]
    TooMany,
}

impl TryFrom<NotifyRequest> for Command {
    type Error = Invalid;

    fn try_from(request: NotifyRequest) -> Result<Self, Invalid> {
        event(&request.event)?;
        title(request.title.as_deref())?;
        message(request.message.as_deref())?;
        data(&request.data)?;
        dedupe_key(request.dedupe_key.as_deref())?;
        let channels = channels(request.channels.as_deref())?;
        let to = recipients(request.to.as_deref(), &channels)?;
        Ok(Self {
            event: request.event,
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

fn event(name: &str) -> Result<(), Invalid> {
    let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-');
    let good = (1..=EVENT_CHARS).contains(&name.len()) && name.bytes().all(known);
    let ours = name == REACHED;
    (good && !ours).then_some(()).ok_or(Invalid::Event)
}

fn title(title: Option<&str>) -> Result<(), Invalid> {
    let title = title.unwrap_or_default();
    without_nul(title, "title")?;
    within(title, TITLE_CHARS, Invalid::Title)
}

fn message(message: Option<&str>) -> Result<(), Invalid> {
    let Some(message) = message else {
        return Ok(());
    };
    without_nul(message, "message")?;
    if message.trim().is_empty() {
        return Err(Invalid::MessageEmpty);
    }
    within(message, MESSAGE_CHARS, Invalid::MessageTooLong)
}

fn data(data: &Map<String, Value>) -> Result<(), Invalid> {
    let written = serde_json::to_vec(data).map_or(usize::MAX, |json| json.len());
    if written > DATA_BYTES {
        return Err(Invalid::Data);
    }
    let clean = data
        .iter()
        .all(|(key, value)| !key.contains('\0') && is_clean(value));
    clean.then_some(()).ok_or(Invalid::Nul("data"))
}

/// Depth is bounded by the JSON parser, which stops at 128 levels.
fn is_clean(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(is_clean),
        Value::Object(fields) => fields
            .iter()
            .all(|(key, value)| !key.contains('\0') && is_clean(value)),
    }
}

fn dedupe_key(key: Option<&str>) -> Result<(), Invalid> {
    let Some(key) = key else {
        return Ok(());
    };
    without_nul(key, "dedupe_key")?;
    if key.is_empty() {
        return Err(Invalid::DedupeKey);
    }
    within(key, DEDUPE_KEY_CHARS, Invalid::DedupeKey)
}

fn without_nul(text: &str, field: &'static str) -> Result<(), Invalid> {
    let clean = !text.contains('\0');
    clean.then_some(()).ok_or(Invalid::Nul(field))
}

fn within(text: &str, most: usize, error: Invalid) -> Result<(), Invalid> {
    let fits = text.chars().nth(most).is_none();
    fits.then_some(()).ok_or(error)
}

fn channels(names: Option<&[String]>) -> Result<Vec<Channel>, Invalid> {
    let mut channels = Vec::new();
    for (at, name) in names.unwrap_or_default().iter().enumerate() {
        let channel = Channel::named(name).ok_or(Invalid::Channel(at))?;
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    match names {
        Some([]) => Err(Invalid::Empty("channels")),
        _ => Ok(channels),
    }
}

/// An address must be on one of the channels asked for, and each of those must reach somebody.
fn recipients(texts: Option<&[String]>, channels: &[Channel]) -> Result<Vec<Whom>, Invalid> {
    let Some(texts) = texts else {
        return Ok(vec![]);
    };
    match texts.len() {
        0 => return Err(Invalid::Empty("to")),
        1..=RECIPIENTS => {}
        _ => return Err(Invalid::TooMany),
    }
    let mut to: Vec<Whom> = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let whom: Whom = text
            .parse()
            .map_err(|error| Invalid::Recipient(at, error))?;
        if let Whom::Target(target) = &whom
            && !channels.is_empty()
            && !channels.contains(&target.channel())
        {
            return Err(Invalid::Unreachable(at));
        }
        if !to.contains(&whom) {
            to.push(whom);
        }
    }
    // Whom a name stands for is known later.
    let reached = |channel: &Channel| {
        to.iter().any(|whom| match whom {
            Whom::Target(target) => target.channel() == *channel,
            Whom::Default | Whom::Recipient(_) | Whom::Group(_) => true,
        })
    };
    match channels.iter().find(|channel| !reached(channel)) {
        Some(channel) => Err(Invalid::NobodyOn(*channel)),
        None => Ok(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(event: &str) -> NotifyRequest {
        NotifyRequest {
            event: event.into(),
            ..NotifyRequest::default()
        }
    }

    fn to(channels: &[&str], to: &[&str]) -> Result<Vec<Whom>, Invalid> {
        let list = |texts: &[&str]| texts.iter().map(|t| (*t).into()).collect();
        let mut request = request("deploy.finished");
        request.channels = (!channels.is_empty()).then(|| list(channels));
        request.to = Some(list(to));
        Command::try_from(request).map(|command| command.to)
    }

    #[test]
    fn every_part_has_its_limit() {
        assert!(Command::try_from(request("deploy.finished:v2_a-b")).is_ok());
        assert_eq!(
            Command::try_from(request("Deploy finished")),
            Err(Invalid::Event)
        );
        let mut long = request("e");
        long.message = Some("ä".repeat(MESSAGE_CHARS));
        assert!(Command::try_from(long.clone()).is_ok());
        long.message = Some("ä".repeat(MESSAGE_CHARS + 1));
        assert_eq!(Command::try_from(long), Err(Invalid::MessageTooLong));
        let mut hidden = request("e");
        hidden.data = serde_json::from_str(r#"{"a":[{"b\u0000":1}]}"#).unwrap();
        assert_eq!(Command::try_from(hidden), Err(Invalid::Nul("data")));
    }

    #[test]
    fn each_recipient_goes_out_on_the_channel_that_reaches_it_once() {
        let phone = "+15550100067";
        assert_eq!(to(&[], &[phone, "log", phone]).unwrap().len(), 2);
        assert_eq!(to(&["sms", "log"], &[phone, "log"]).unwrap().len(), 2);
        assert_eq!(to(&["log"], &["log", phone]), Err(Invalid::Unreachable(1)));
        assert_eq!(
            to(&["log", "sms"], &["log"]),
            Err(Invalid::NobodyOn(Channel::Sms))
        );
        assert_eq!(to(&["sms"], &["recipient:ann"]).unwrap().len(), 1);
        assert!(matches!(
            to(&[], &["group:"]),
            Err(Invalid::Recipient(0, _))
        ));
        assert_eq!(to(&["pigeon"], &["log"]), Err(Invalid::Channel(0)));
        assert_eq!(to(&[], &[]), Err(Invalid::Empty("to")));
    }
}
