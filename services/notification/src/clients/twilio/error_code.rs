//! Classifies error responses of Twilio, according to its error dictionary.

use chrono::TimeDelta;

use crate::domain::attempt::{SendOutcome, SendResult};

/// Classifies an error response by its HTTP status and Twilio's code.
#[must_use]
pub fn classify_error(
    status: u16,
    code: Option<i32>,
    retry_after: Option<TimeDelta>,
) -> SendResult {
    let meaning = code.and_then(classify_code);
    let outcome = match (status, meaning.map(|(class, _)| class)) {
        // Twilio refused the request before it processed it.
        (429, _) | (400..=499, Some(ErrorClass::Transient)) => SendOutcome::Transient(retry_after),
        (_, Some(ErrorClass::Gone)) => SendOutcome::Gone,
        (_, Some(ErrorClass::Permanent)) => SendOutcome::Permanent,
        // The response may come from a proxy, after Twilio accepted the request.
        (408 | 500.., _) => SendOutcome::Unknown,
        (_, Some(ErrorClass::Config)) | (401 | 403, None) => SendOutcome::Config,
        _ => SendOutcome::Permanent,
    };
    let code_text = code.map(|code| format!(", code {code}"));
    let words = meaning.map(|(_, words)| format!(": {words}"));
    let detail = [
        format!("HTTP {status}"),
        code_text.unwrap_or_default(),
        words.unwrap_or_default(),
    ];
    SendResult {
        outcome,
        detail: Some(detail.concat()),
        http_status: Some(status),
        code,
        message_id: None,
    }
}

#[derive(Clone, Copy)]
enum ErrorClass {
    Permanent,
    Transient,
    Config,
    Gone,
}

/// Explains a code of Twilio.
#[must_use]
pub fn describe_code(code: i32) -> Option<&'static str> {
    classify_code(code).map(|(_, words)| words)
}

/// The explanations do not quote Twilio, whose messages contain the phone number.
fn classify_code(code: i32) -> Option<(ErrorClass, &'static str)> {
    use ErrorClass::{Config, Gone, Permanent, Transient};
    Some(match code {
        20003 => (Config, "authentication failed"),
        21211 => (Permanent, "the recipient's number is invalid"),
        21212 | 21606 => (Config, "the sender is invalid or cannot send text messages"),
        21408 => (Permanent, "the recipient's region is not enabled"),
        21610 => (Gone, "the recipient has opted out"),
        21614 => (Permanent, "the recipient's number is not a mobile one"),
        30004 => (Permanent, "the recipient is blocked"),
        30005 => (Permanent, "the recipient is unknown"),
        30006 => (Permanent, "the recipient is a landline"),
        30007 => (Permanent, "the message was filtered"),
        21611 | 30001 => (Transient, "the sender's queue is full"),
        30003 => (Transient, "the recipient's phone is unreachable"),
        30008 => (Transient, "the carrier gave no reason"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_permanent_transient_or_unknown() {
        let wait = Some(TimeDelta::seconds(7));
        let of = |status, code| classify_error(status, code, wait).outcome;
        assert_eq!(of(429, Some(20429)), SendOutcome::Transient(wait));
        assert_eq!(of(400, Some(21611)), SendOutcome::Transient(wait));
        for code in [21212, 21606] {
            assert_eq!(of(400, Some(code)), SendOutcome::Config);
        }
        assert_eq!(of(400, Some(21610)), SendOutcome::Gone);
        for code in [21211, 21408, 21614, 30004, 30007] {
            assert_eq!(of(400, Some(code)), SendOutcome::Permanent);
        }
        for status in [401, 403] {
            assert_eq!(of(status, None), SendOutcome::Config, "{status}");
        }
        for status in [301, 400, 404, 405] {
            assert_eq!(of(status, None), SendOutcome::Permanent, "{status}");
        }
        assert_eq!(of(500, Some(30001)), SendOutcome::Unknown);
        for status in [408, 500, 502, 503, 504] {
            assert_eq!(of(status, None), SendOutcome::Unknown, "{status}");
        }
    }

    #[test]
    fn the_detail_is_in_our_words() {
        let detail = |code| classify_error(400, code, None).detail.unwrap();
        assert_eq!(
            detail(Some(21610)),
            "HTTP 400, code 21610: the recipient has opted out"
        );
        assert_eq!(detail(Some(1)), "HTTP 400, code 1");
        assert_eq!(detail(None), "HTTP 400");
    }
}
