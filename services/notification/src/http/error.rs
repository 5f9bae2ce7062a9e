//! Errors as callers see them.

use axum::http::StatusCode;
use chassis::{Problem, database};
use common::geo::ItemError;
use common::notification::MAX_NOTIFICATIONS;

use crate::domain::command::Invalid;
use crate::store::StoreError;

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Database(cause) if database::is_away(cause) => Self::unavailable(&error),
            StoreError::Database(_) | StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(error: Invalid) -> Self {
        let (field, code): (String, _) = match &error {
            Invalid::Event => ("event".into(), "EVENT_INVALID"),
            Invalid::Title => ("title".into(), "TITLE_TOO_LONG"),
            Invalid::MessageTooLong => ("message".into(), "MESSAGE_TOO_LONG"),
            Invalid::MessageEmpty => ("message".into(), "MESSAGE_EMPTY"),
            Invalid::Data => ("data".into(), "DATA_TOO_LARGE"),
            Invalid::DedupeKey => ("dedupe_key".into(), "DEDUPE_KEY_INVALID"),
            Invalid::Nul(field) => ((*field).into(), "NUL_CHARACTER"),
            Invalid::Channel(at) => (format!("channels[{at}]"), "CHANNEL_UNKNOWN"),
            Invalid::Recipient(at, _) => (format!("to[{at}]"), "RECIPIENT_INVALID"),
            Invalid::Unreachable(at) => (format!("to[{at}]"), "RECIPIENT_UNREACHABLE"),
            Invalid::NobodyOn(_) => ("to".into(), "RECIPIENT_REQUIRED"),
            Invalid::Empty(field) => ((*field).into(), "LIST_EMPTY"),
            Invalid::TooMany => ("to".into(), "TOO_MANY_RECIPIENTS"),
        };
        Self::invalid(field, code, error.to_string())
    }
}

pub(super) fn no_such_notification() -> Problem {
    Problem::not_found("there is no such notification")
}

pub(super) fn nothing_dead() -> Problem {
    let detail = "none of its deliveries is dead; there is nothing to send again";
    Problem::new(StatusCode::CONFLICT, "NOTHING_DEAD", detail)
}

pub(super) fn too_many() -> Problem {
    let detail = format!("at most {MAX_NOTIFICATIONS} notifications at once");
    Problem::invalid("body", "TOO_MANY_NOTIFICATIONS", detail)
}

/// The problem with one notification of a list.
pub(super) fn item(problem: &Problem) -> ItemError {
    ItemError {
        code: problem.code().into(),
        detail: match problem.field_name() {
            Some(field) => format!("{field}: {}", problem.detail()),
            None => problem.detail().into(),
        },
    }
}
