//! Common handling of HTTP responses.

use chrono::TimeDelta;
use reqwest::{Response, header};

use crate::domain::attempt::{SendOutcome, SendResult};

/// Parses `Retry-After` in seconds (RFC 9110 §10.2.3); no provider sends dates.
#[must_use]
pub fn retry_after(response: &Response) -> Option<TimeDelta> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    TimeDelta::try_seconds(value.trim().parse::<u32>().ok()?.into())
}

/// Classifies a request without a response.
#[must_use]
pub fn transport_error(error: &reqwest::Error) -> SendResult {
    // Without a connection, the message cannot have been sent.
    if error.is_connect() {
        return SendResult::new(SendOutcome::Transient(None), Some("no connection"));
    }
    if error.is_builder() {
        return SendResult::new(SendOutcome::Permanent, Some("the request is invalid"));
    }
    let detail = if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke"
    };
    SendResult::new(SendOutcome::Unknown, Some(detail))
}

/// Creates a result from an HTTP status and an explanation. The explanation must not quote the
/// response, which may contain addresses.
#[must_use]
pub fn from_status(status: u16, outcome: SendOutcome, words: Option<&str>) -> SendResult {
    let detail = match (outcome, words) {
        (SendOutcome::Sent, _) => None,
        (_, Some(words)) => Some(format!("HTTP {status}: {words}")),
        (_, None) => Some(format!("HTTP {status}")),
    };
    SendResult {
        outcome,
        detail,
        http_status: Some(status),
        code: None,
        message_id: None,
    }
}
