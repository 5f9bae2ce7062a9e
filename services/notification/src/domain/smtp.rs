//! What replies of mail servers mean (RFC 5321 §4.2).

use super::attempt::SendOutcome;

/// The meaning of a reply that refuses, in our own words: the server's may repeat the address.
/// `text` is looked at for the enhanced code (RFC 3463) alone.
#[must_use]
pub fn meaning(code: u16, text: &str) -> (SendOutcome, &'static str) {
    match code {
        421 => (SendOutcome::Transient(None), "the server closes"),
        450 => (
            SendOutcome::Transient(None),
            "the mailbox cannot be reached now",
        ),
        451 => (SendOutcome::Transient(None), "the server is in trouble"),
        452 => (SendOutcome::Transient(None), "the server has no room"),
        400..=499 => (SendOutcome::Transient(None), "not now"),
        530 | 534 | 535 | 538 => (SendOutcome::Config, "the sign-in is not accepted"),
        500..=504 => (SendOutcome::Config, "the server does not understand"),
        // 550 is also said of relays and policies, which is no fault of the mailbox.
        550 | 551 | 553 if text.contains("5.1.1") || text.contains("5.1.10") => {
            (SendOutcome::Gone, "there is no such mailbox")
        }
        550 => (SendOutcome::Permanent, "the mailbox cannot be reached"),
        552 => (SendOutcome::Permanent, "the mailbox is full"),
        554 => (SendOutcome::Permanent, "the message is refused"),
        _ => (SendOutcome::Permanent, "it is refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::SendOutcome;

    fn meaning(code: u16) -> (SendOutcome, &'static str) {
        super::meaning(code, "")
    }

    #[test]
    fn replies_are_for_now_for_good_or_about_us() {
        for code in [421, 450, 451, 452, 454] {
            assert_eq!(meaning(code).0, SendOutcome::Transient(None), "{code}");
        }
        for code in [502, 530, 535] {
            assert_eq!(meaning(code).0, SendOutcome::Config, "{code}");
        }
        let gone = super::meaning(550, "5.1.1 <ann@example.com>: no such user");
        assert_eq!(gone.0, SendOutcome::Gone);
        assert_eq!(meaning(550).0, SendOutcome::Permanent);
        assert_eq!(meaning(554).0, SendOutcome::Permanent);
    }
}
