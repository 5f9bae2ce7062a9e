//! Classifies replies of mail servers (RFC 5321 §4.2).

use crate::domain::attempt::SendOutcome;

/// Classifies a negative reply. The explanation does not quote the server, whose text may contain
/// the address. `text` is used only for its enhanced status code (RFC 3463).
#[must_use]
pub fn classify_reply(code: u16, text: &str) -> (SendOutcome, &'static str) {
    match code {
        421 => (SendOutcome::Transient(None), "the service is not available"),
        450 => (
            SendOutcome::Transient(None),
            "the mailbox is temporarily unavailable",
        ),
        451 => (SendOutcome::Transient(None), "the server has a local error"),
        452 => (
            SendOutcome::Transient(None),
            "the server has insufficient storage",
        ),
        400..=499 => (
            SendOutcome::Transient(None),
            "the server refused the message temporarily",
        ),
        530 | 534 | 535 | 538 => (SendOutcome::Config, "authentication failed"),
        500..=504 => (
            SendOutcome::Config,
            "the server does not support the command",
        ),
        // 550 also means that a relay or policy refused the message.
        550 | 551 | 553 if text.contains("5.1.1") || text.contains("5.1.10") => {
            (SendOutcome::Gone, "the mailbox does not exist")
        }
        550 => (SendOutcome::Permanent, "the mailbox is unavailable"),
        552 => (SendOutcome::Permanent, "the mailbox is full"),
        554 => (SendOutcome::Permanent, "the server refused the message"),
        _ => (
            SendOutcome::Permanent,
            "the server refused the message permanently",
        ),
    }
}

/// Whether the server refuses the name in EHLO. Servers may check the name at any command, and only
/// their text tells. A 504 is about the name, unless about a method of authentication.
#[must_use]
pub fn refuses_hello_name(code: u16, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mentions = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let is_about_mailbox = mentions(&["sender address", "recipient address"]);
    let names_hello = mentions(&["helo", "ehlo"])
        || !is_about_mailbox && mentions(&["fully-qualified", "fully qualified", "fqdn"]);
    match code {
        504 => names_hello || !is_about_mailbox && !mentions(&["auth", "mechanism", "5.7.4"]),
        450 | 451 | 501 | 550 | 553 | 554 => names_hello,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::SendOutcome;
    use super::refuses_hello_name;

    #[test]
    fn complaints_about_the_name_are_recognized() {
        for (code, text) in [
            (
                504,
                "5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
            ),
            (504, "unrecognized parameter"),
            (501, "5.5.4 Invalid HELO name (See RFC2821 4.1.1.1)"),
            (501, "Syntactically invalid EHLO argument(s)"),
            (550, "Access denied - Invalid HELO name"),
            (550, "5.7.1 HELO must be a FQDN"),
            (450, "4.7.1 <vm>: Helo command rejected: Host not found"),
            (554, "5.7.1 <vm>: Helo command rejected: Access denied"),
        ] {
            assert!(refuses_hello_name(code, text), "{code} {text}");
        }
        for (code, text) in [
            (504, "5.7.4 Unrecognized authentication type"),
            (504, "Authentication mechanism not supported"),
            (503, "5.5.1 Error: send HELO/EHLO first"),
            (550, "5.1.1 no such user"),
            (504, "5.5.4 AUTH mechanism"),
            (
                554,
                "5.5.2 <ann>: Sender address rejected: need fully-qualified address",
            ),
            (
                504,
                "5.5.2 <ann>: Sender address rejected: need fully-qualified address",
            ),
            (502, "5.5.1 EHLO is not implemented"),
            (421, "closing"),
        ] {
            assert!(!refuses_hello_name(code, text), "{code} {text}");
        }
    }

    fn meaning(code: u16) -> (SendOutcome, &'static str) {
        super::classify_reply(code, "")
    }

    #[test]
    fn replies_are_for_now_for_good_or_about_us() {
        for code in [421, 450, 451, 452, 454] {
            assert_eq!(meaning(code).0, SendOutcome::Transient(None), "{code}");
        }
        for code in [502, 530, 535] {
            assert_eq!(meaning(code).0, SendOutcome::Config, "{code}");
        }
        let gone = super::classify_reply(550, "5.1.1 <ann@example.com>: no such user");
        assert_eq!(gone.0, SendOutcome::Gone);
        assert_eq!(meaning(550).0, SendOutcome::Permanent);
        assert_eq!(meaning(554).0, SendOutcome::Permanent);
    }
}
