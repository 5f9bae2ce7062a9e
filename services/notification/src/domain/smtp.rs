//! What replies of mail servers mean (RFC 5321 §4.2).

use super::attempt::Outcome;

/// The meaning of a reply that refuses, in our own words: the server's may repeat the address.
/// `text` is looked at for the enhanced code (RFC 3463) alone.
#[must_use]
pub fn meaning(code: u16, text: &str) -> (Outcome, &'static str) {
    match code {
        421 => (Outcome::Transient(None), "the server closes"),
        450 => (
            Outcome::Transient(None),
            "the mailbox cannot be reached now",
        ),
        451 => (Outcome::Transient(None), "the server is in trouble"),
        452 => (Outcome::Transient(None), "the server has no room"),
        400..=499 => (Outcome::Transient(None), "not now"),
        530 | 534 | 535 | 538 => (Outcome::Config, "the sign-in is not accepted"),
        500..=504 => (Outcome::Config, "the server does not understand"),
        // 550 is also said of relays and policies, which is no fault of the mailbox.
        550 | 551 | 553 if text.contains("5.1.1") || text.contains("5.1.10") => {
            (Outcome::Gone, "there is no such mailbox")
        }
        550 => (Outcome::Permanent, "the mailbox cannot be reached"),
        552 => (Outcome::Permanent, "the mailbox is full"),
        554 => (Outcome::Permanent, "the message is refused"),
        _ => (Outcome::Permanent, "it is refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    fn meaning(code: u16) -> (Outcome, &'static str) {
        super::meaning(code, "")
    }

    #[test]
    fn replies_are_for_now_for_good_or_about_us() {
        for code in [421, 450, 451, 452, 454] {
            assert_eq!(meaning(code).0, Outcome::Transient(None), "{code}");
        }
        for code in [502, 530, 535] {
            assert_eq!(meaning(code).0, Outcome::Config, "{code}");
        }
        let gone = super::meaning(550, "5.1.1 <ann@example.com>: no such user");
        assert_eq!(gone.0, Outcome::Gone);
        assert_eq!(meaning(550).0, Outcome::Permanent);
        assert_eq!(meaning(554).0, Outcome::Permanent);
    }
}
