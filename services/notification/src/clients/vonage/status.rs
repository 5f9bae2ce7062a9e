//! Classifies statuses of Vonage:
//! <https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms>.

use crate::domain::attempt::SendOutcome;

/// Classifies the status of a message part, which is not 0. The explanation does not quote Vonage,
/// whose texts may contain the phone number.
#[must_use]
pub const fn classify_status(status: i32) -> (SendOutcome, &'static str) {
    use SendOutcome::{Config, Permanent, Transient};
    match status {
        1 | 10 => (Transient(None), "the rate limit is exceeded"),
        2 | 3 => (Permanent, "a parameter is missing or invalid"),
        4 => (Config, "authentication failed"),
        5 => (Transient(None), "the provider has an internal error"),
        6 => (Permanent, "the number cannot be reached"),
        7 => (Permanent, "the number is blocked"),
        8 => (Config, "the account is blocked"),
        9 => (Config, "the account has insufficient credit"),
        11 => (Config, "the account is not enabled for this API"),
        14 => (Config, "the signature is invalid"),
        15 => (Config, "the sender is invalid"),
        22 => (Permanent, "the network code is unknown"),
        23 => (Config, "the callback URL is invalid"),
        29 => (Config, "a trial account can send to its own numbers only"),
        _ => (Permanent, "the provider refused the message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_may_be_tried_again_some_elsewhere_the_rest_never() {
        for status in [1, 5, 10] {
            assert_eq!(
                classify_status(status).0,
                SendOutcome::Transient(None),
                "{status}"
            );
        }
        for status in [4, 8, 9, 11, 14, 15, 29] {
            assert_eq!(classify_status(status).0, SendOutcome::Config, "{status}");
        }
        for status in [2, 3, 6, 7, 22, 99] {
            assert_eq!(
                classify_status(status).0,
                SendOutcome::Permanent,
                "{status}"
            );
        }
    }
}
