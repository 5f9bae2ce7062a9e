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

#[cfg(test)]
mod tests {
    use super::SendOutcome;

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
