//! Conversion of errors to problem responses (RFC 9457).

use axum::http::StatusCode;
use chassis::Problem;
use common::geo::ItemError;
use common::notification::MAX_NOTIFICATIONS_PER_REQUEST;

use crate::app::intake::AcceptError;
use crate::app::rule_engine::RuleEngineError;
use crate::domain::channel_address::InvalidAddress;
use crate::domain::notify_command::InvalidNotification;
use crate::domain::routing_table::{MAX_RECIPIENTS, MAX_RULES};
use crate::domain::{recipient, rule};

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        match &error {
            AcceptError::Submit(_) => Self::unavailable(&error),
            AcceptError::Store(error) => error.as_ref().into(),
        }
    }
}

impl From<RuleEngineError> for Problem {
    fn from(error: RuleEngineError) -> Self {
        match error {
            RuleEngineError::Timeout => trial_too_slow(),
            RuleEngineError::Aborted(error) => Self::internal(&error),
            RuleEngineError::Invalid(error) => error.into(),
        }
    }
}

impl From<InvalidNotification> for Problem {
    fn from(error: InvalidNotification) -> Self {
        let (field, code): (String, _) = match &error {
            InvalidNotification::Event => ("event".into(), "EVENT_INVALID"),
            InvalidNotification::MissingEvent => ("event".into(), "BODY_INVALID"),
            InvalidNotification::TitleTooLong => ("title".into(), "TITLE_TOO_LONG"),
            InvalidNotification::MessageTooLong => ("message".into(), "MESSAGE_TOO_LONG"),
            InvalidNotification::MessageEmpty => ("message".into(), "MESSAGE_EMPTY"),
            InvalidNotification::DataTooLarge => ("data".into(), "DATA_TOO_LARGE"),
            InvalidNotification::DedupeKey => ("dedupe_key".into(), "DEDUPE_KEY_INVALID"),
            InvalidNotification::NulCharacter(field) => ((*field).into(), "NUL_CHARACTER"),
            InvalidNotification::UnknownChannel(at) => {
                (format!("channels[{at}]"), "CHANNEL_UNKNOWN")
            }
            InvalidNotification::Recipient(at, _) => (format!("to[{at}]"), "RECIPIENT_INVALID"),
            InvalidNotification::UnknownRecipient(at) => (format!("to[{at}]"), "RECIPIENT_UNKNOWN"),
            InvalidNotification::UnreachableRecipient(at) => {
                (format!("to[{at}]"), "RECIPIENT_UNREACHABLE")
            }
            InvalidNotification::MissingRecipient(_) => ("to".into(), "RECIPIENT_REQUIRED"),
            InvalidNotification::EmptyList(field) => ((*field).into(), "LIST_EMPTY"),
            InvalidNotification::TooManyRecipients => ("to".into(), "TOO_MANY_RECIPIENTS"),
        };
        Self::invalid(field, code, error.to_string())
    }
}

impl From<rule::InvalidRule> for Problem {
    fn from(error: rule::InvalidRule) -> Self {
        let (field, code) = error.field_and_code();
        Self::invalid(field, code, error.to_string())
    }
}

impl From<recipient::InvalidRecipient> for Problem {
    fn from(error: recipient::InvalidRecipient) -> Self {
        use recipient::InvalidRecipient;
        let (field, code) = match &error {
            InvalidRecipient::Name => ("name".into(), "NAME_INVALID"),
            InvalidRecipient::AddressCount => ("addresses".into(), "ADDRESSES_INVALID"),
            InvalidRecipient::Address(at, _) => (format!("addresses[{at}]"), "ADDRESS_INVALID"),
            InvalidRecipient::TooManyGroups => ("groups".into(), "LIST_TOO_LONG"),
            InvalidRecipient::GroupName(at) => (format!("groups[{at}]"), "NAME_INVALID"),
            InvalidRecipient::TimeZone => ("time_zone".into(), "TIME_ZONE_UNKNOWN"),
            InvalidRecipient::Language => ("language".into(), "LANGUAGE_INVALID"),
        };
        Self::invalid(field, code, error.to_string())
    }
}

pub(super) fn rule_not_found() -> Problem {
    Problem::not_found("there is no rule with this id")
}

fn trial_too_slow() -> Problem {
    let detail =
        "the rule takes more than a second; simplify it, or retry when no other rule is tried";
    Problem::invalid("rule", "RULE_TOO_SLOW", detail)
}

pub(super) fn too_many_rules() -> Problem {
    let detail = format!("the maximum of {MAX_RULES} rules is reached; delete one first");
    Problem::new(StatusCode::CONFLICT, "TOO_MANY_RULES", detail)
}

pub(super) fn recipient_not_found() -> Problem {
    Problem::not_found("there is no recipient with this id")
}

pub(super) fn name_taken() -> Problem {
    let detail = "another recipient has this name";
    Problem::new(StatusCode::CONFLICT, "NAME_TAKEN", detail).field("name")
}

pub(super) fn too_many_recipients() -> Problem {
    let detail = format!("the maximum of {MAX_RECIPIENTS} recipients is reached; delete one first");
    Problem::new(StatusCode::CONFLICT, "TOO_MANY_RECIPIENTS", detail)
}

pub(super) fn url_invalid() -> Problem {
    let detail = "expected a URL such as https://example.com/hooks with at most 2,000 bytes";
    Problem::invalid("url", "URL_INVALID", detail)
}

pub(super) fn keys_invalid() -> Problem {
    let detail = "`p256dh` must be a P-256 point and `auth` 16 bytes, both in base64url";
    Problem::invalid("keys", "KEYS_INVALID", detail)
}

pub(super) fn too_many_endpoints() -> Problem {
    let detail = "the maximum number of endpoints of this kind is reached; delete one first";
    Problem::new(StatusCode::CONFLICT, "TOO_MANY_ENDPOINTS", detail)
}

pub(super) fn webhook_not_found() -> Problem {
    Problem::not_found("there is no webhook with this id")
}

pub(super) fn subscription_not_found() -> Problem {
    Problem::not_found("there is no subscription with this id")
}

pub(super) fn push_not_configured() -> Problem {
    Problem::not_found("browsers cannot subscribe, because VAPID_PRIVATE_KEY is not set")
}

pub(super) fn address_invalid(error: InvalidAddress) -> Problem {
    Problem::invalid("address", "ADDRESS_INVALID", error.to_string())
}

pub(super) fn reason_invalid() -> Problem {
    let detail = "`reason` must have at most 200 characters and no NUL";
    Problem::invalid("reason", "REASON_INVALID", detail)
}

pub(super) fn suppression_not_found() -> Problem {
    Problem::not_found("there is no suppression with this id")
}

pub(super) fn callbacks_not_configured() -> Problem {
    Problem::not_found("callbacks of this provider are not configured")
}

pub(super) fn signature_invalid() -> Problem {
    let detail = "the signature of the callback is missing or invalid, or the callback is too old";
    Problem::new(StatusCode::FORBIDDEN, "SIGNATURE_INVALID", detail)
}

pub(super) fn nul_character(field: &str) -> Problem {
    Problem::invalid(field, "NUL_CHARACTER", "the NUL character is not accepted")
}

pub(super) fn notification_required() -> Problem {
    let detail = "send either `notification` or `notification_id`";
    Problem::invalid("notification", "NOTIFICATION_REQUIRED", detail)
}

pub(super) fn notification_not_found() -> Problem {
    Problem::not_found("there is no notification with this id")
}

pub(super) fn no_dead_delivery() -> Problem {
    let detail = "the notification has no dead delivery to retry";
    Problem::new(StatusCode::CONFLICT, "NOTHING_DEAD", detail)
}

pub(super) fn too_many_notifications() -> Problem {
    let detail = format!(
        "a request has at most {MAX_NOTIFICATIONS_PER_REQUEST} notifications; split the list"
    );
    Problem::invalid("body", "TOO_MANY_NOTIFICATIONS", detail)
}

/// Converts the problem of one notification of a list.
pub(super) fn item_error(problem: &Problem) -> ItemError {
    ItemError {
        code: problem.code().into(),
        detail: match problem.field_name() {
            Some(field) => format!("{field}: {}", problem.detail()),
            None => problem.detail().into(),
        },
    }
}
