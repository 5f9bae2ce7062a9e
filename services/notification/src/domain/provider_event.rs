//! Events that providers report: delivery receipts and replies of recipients.

/// A status that a provider reports about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReceipt {
    pub message_id: String,
    /// The provider's name of the status.
    pub status: String,
    /// Only a status with a higher rank replaces the current one.
    pub rank: i16,
    /// Whether the message is not delivered.
    pub failed: bool,
    /// The provider's error code, if the message failed.
    pub code: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderEvent {
    Receipt(ProviderReceipt),
    /// The sender of a reply with this number opts out.
    OptOut(String),
    /// The sender of a reply with this number opts in again.
    OptIn(String),
    /// An event that the service ignores.
    Ignored,
}

/// Recognizes the keywords that carriers define. The message must consist of the keyword only.
#[must_use]
pub fn parse_reply(from: Option<&str>, word: Option<&str>) -> ProviderEvent {
    let (Some(from), Some(word)) = (from, word) else {
        return ProviderEvent::Ignored;
    };
    match word.trim().to_ascii_uppercase().as_str() {
        "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" => {
            ProviderEvent::OptOut(from.to_owned())
        }
        "START" | "UNSTOP" | "YES" => ProviderEvent::OptIn(from.to_owned()),
        _ => ProviderEvent::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_counts_alone() {
        let reply = |text| parse_reply(Some("+15550100067"), Some(text));
        assert_eq!(
            reply(" stop "),
            ProviderEvent::OptOut("+15550100067".into())
        );
        assert_eq!(reply("Start"), ProviderEvent::OptIn("+15550100067".into()));
        assert_eq!(reply("do not stop"), ProviderEvent::Ignored);
        assert_eq!(reply("HELP"), ProviderEvent::Ignored);
    }
}
