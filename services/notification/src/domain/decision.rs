//! What is said about an event, and to whom.

use common::visitor_analytics::VISITOR_ARRIVED;

use super::arrival;
use super::command::{Command, Invalid};
use super::phone::PhoneNumber;
use super::target::{Channel, Target};

/// Whom to tell where a request names nobody.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// The phone that is texted; without one the log is told.
    pub phone: Option<PhoneNumber>,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// `text` goes to each of `targets`.
    Send {
        /// What is said.
        text: String,
        /// To whom; never empty.
        targets: Vec<Target>,
    },
    /// Nobody is told.
    Suppress {
        /// Why.
        reason: &'static str,
    },
}

/// A message is sent as it is; `visitor.arrived` has a message of its own; of other events nobody
/// is told.
pub fn decide(command: &Command, defaults: &Defaults) -> Result<Decision, Invalid> {
    let text = match (&command.message, command.event.as_str()) {
        (Some(message), _) => message.clone(),
        (None, VISITOR_ARRIVED) => arrival::message(&command.data),
        (None, _) => {
            let reason = "no rule matches";
            return Ok(Decision::Suppress { reason });
        }
    };
    let targets = targets(command, defaults)?;
    Ok(Decision::Send { text, targets })
}

fn targets(command: &Command, defaults: &Defaults) -> Result<Vec<Target>, Invalid> {
    let phone = || defaults.phone.clone().map(Target::Sms);
    if !command.to.is_empty() {
        return Ok(command.to.clone());
    }
    if command.channels.is_empty() {
        return Ok(vec![phone().unwrap_or(Target::Log)]);
    }
    let on = |channel: &Channel| match channel {
        Channel::Sms => phone().ok_or(Invalid::NobodyOn(Channel::Sms)),
        Channel::Log => Ok(Target::Log),
    };
    command.channels.iter().map(on).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::notification::NotifyRequest;

    const PHONE: &str = "+15550100067";

    fn ask(json: serde_json::Value, phone: Option<&str>) -> Result<Decision, Invalid> {
        let request: NotifyRequest = serde_json::from_value(json).unwrap();
        let phone = phone.map(|number| number.parse().unwrap());
        decide(&Command::try_from(request)?, &Defaults { phone })
    }

    fn targets_of(decision: Result<Decision, Invalid>) -> Vec<String> {
        match decision.unwrap() {
            Decision::Send { targets, .. } => {
                targets.iter().map(|t| t.address().to_owned()).collect()
            }
            Decision::Suppress { .. } => vec![],
        }
    }

    #[test]
    fn a_visitor_is_told_to_the_phone_or_else_to_the_log() {
        let arrived = serde_json::json!({"event": "visitor.arrived"});
        assert_eq!(targets_of(ask(arrived.clone(), Some(PHONE))), [PHONE]);
        assert_eq!(targets_of(ask(arrived, None)), ["log"]);
    }

    #[test]
    fn an_event_without_message_and_rule_is_suppressed() {
        let other = serde_json::json!({"event": "deploy.finished", "to": [PHONE]});
        let reason = "no rule matches";
        assert_eq!(ask(other, Some(PHONE)), Ok(Decision::Suppress { reason }));
    }

    #[test]
    fn a_channel_without_recipients_needs_the_default_phone() {
        let both = serde_json::json!({"event": "e", "message": "m", "channels": ["log", "sms"]});
        assert_eq!(targets_of(ask(both.clone(), Some(PHONE))), ["log", PHONE]);
        assert_eq!(ask(both, None), Err(Invalid::NobodyOn(Channel::Sms)));
    }
}
