//! Events that providers report: delivery receipts and replies of recipients.

use unicode_normalization::UnicodeNormalization as _;

use super::address_text::is_invisible;

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

/// Recognizes the keywords that carriers define. The message must consist of the keyword only; case,
/// punctuation, emoji and the form of the letters do not count. Providers answer HELP and INFO
/// themselves.
#[must_use]
pub fn parse_reply(from: Option<&str>, word: Option<&str>) -> ProviderEvent {
    let (Some(from), Some(word)) = (from, word) else {
        return ProviderEvent::Ignored;
    };
    match normalize_keyword(word).as_str() {
        "STOP" | "STOPALL" | "STOP ALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE"
        | "OPTOUT" | "OPT OUT" => ProviderEvent::OptOut(from.to_owned()),
        "START" | "UNSTOP" | "YES" => ProviderEvent::OptIn(from.to_owned()),
        _ => ProviderEvent::Ignored,
    }
}

/// The words of a message in upper case, separated by single blanks. Everything else than letters
/// and digits separates words.
fn normalize_keyword(text: &str) -> String {
    let visible = text.chars().filter(|c| !is_invisible(*c));
    let letters: String = visible.nfkc().collect();
    let letters = letters.to_uppercase();
    let words = letters.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> ProviderEvent {
        parse_reply(Some("+15550100067"), Some(text))
    }

    #[test]
    fn a_keyword_counts_alone() {
        for text in [
            " stop ",
            "STOP",
            "StopAll",
            "stop  all",
            "Unsubscribe",
            "cancel",
            "End",
            "quit",
            "REVOKE",
            "optout",
            "Opt \t Out",
            "OPT-OUT",
            "opt\u{2011}out",
            "STOP.",
            "\"Stop!\"",
            "(stop)",
            "🛑 STOP 🛑",
            "stop ✋🏽",
            "Stop\u{2764}\u{fe0f}",
            "ＳＴＯＰ",
            "ｏｐｔ－ｏｕｔ！",
            "\u{202a}stop\u{202c}",
            "st\u{200b}op\n",
            "\u{a0}STOP\u{3000}ALL\u{a0}",
        ] {
            assert_eq!(
                reply(text),
                ProviderEvent::OptOut("+15550100067".into()),
                "{text:?}"
            );
        }
        for text in ["Start", "YES!", "unstop", "🙂 yes", "ｓｔａｒｔ"] {
            assert_eq!(
                reply(text),
                ProviderEvent::OptIn("+15550100067".into()),
                "{text:?}"
            );
        }
        for text in [
            "",
            "🛑",
            "do not stop",
            "HELP",
            "info",
            "stopp",
            "nonstop",
            "stop it",
            "yes please",
            "end user",
        ] {
            assert_eq!(reply(text), ProviderEvent::Ignored, "{text:?}");
        }
    }
}
