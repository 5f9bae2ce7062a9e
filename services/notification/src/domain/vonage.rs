//! What Vonage's statuses mean: <https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms>.

use super::attempt::SendOutcome;

/// The meaning of a part's status other than 0, in our own words: Vonage's may repeat the number.
#[must_use]
pub const fn meaning(status: i32) -> (SendOutcome, &'static str) {
    use SendOutcome::{Config, Permanent, Transient};
    match status {
        1 | 10 => (Transient(None), "so many at once are not taken"),
        2 | 3 => (Permanent, "a part of the message is not accepted"),
        4 => (Config, "the key or its secret is not accepted"),
        5 => (Transient(None), "the provider is in trouble"),
        6 => (Permanent, "the number cannot be reached"),
        7 => (Permanent, "the number is barred"),
        8 => (Config, "the account is barred"),
        9 => (Config, "there is no credit left"),
        11 => (Config, "the account is not made for it"),
        14 => (Config, "the signature is not accepted"),
        15 => (Config, "the sender cannot be used"),
        22 => (Permanent, "the network's code is not known"),
        23 => (Config, "the callback cannot be used"),
        29 => (Config, "a trial account sends to its own numbers only"),
        _ => (Permanent, "it is refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_may_be_tried_again_some_elsewhere_the_rest_never() {
        for status in [1, 5, 10] {
            assert_eq!(meaning(status).0, SendOutcome::Transient(None), "{status}");
        }
        for status in [4, 8, 9, 11, 14, 15, 29] {
            assert_eq!(meaning(status).0, SendOutcome::Config, "{status}");
        }
        for status in [2, 3, 6, 7, 22, 99] {
            assert_eq!(meaning(status).0, SendOutcome::Permanent, "{status}");
        }
    }
}
