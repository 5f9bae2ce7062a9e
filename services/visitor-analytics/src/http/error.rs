//! Conversion of errors to problem responses (RFC 9457).

use std::time::Duration;

use axum::http::StatusCode;
use chassis::Problem;
use common::geo::ItemError;

use crate::app::admission::AdmissionError;
use crate::app::recorder::RecordError;
use crate::domain::visit::ValidationError;
use crate::store::UpsertOutcome;

/// After this time an operator may have created the site, or an earlier new site no longer counts.
const SITE_LIMIT_RETRY: Duration = Duration::from_mins(10);

pub(super) fn from_validation(error: &ValidationError) -> Problem {
    Problem::invalid(error.field(), error.code(), error.to_string())
}

/// Converts the refusal of a valid visit or event; `taken` is the code for an id that belongs to
/// another site.
pub(super) fn from_admission(refusal: AdmissionError, taken: &'static str) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        AdmissionError::IdTaken => Problem::new(StatusCode::CONFLICT, taken, detail).field("id"),
        AdmissionError::UnknownSite => Problem::invalid("site", "SITE_UNKNOWN", detail),
        AdmissionError::SiteLimitReached => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "SITE_LIMIT_REACHED", detail);
            problem.field("site").retry_after(SITE_LIMIT_RETRY)
        }
    }
}

/// Converts the problem of one item of a list.
pub(super) fn item_error(problem: &Problem) -> ItemError {
    ItemError {
        code: problem.code().into(),
        detail: match problem.field_name() {
            Some(field) => format!("{field}: {}", problem.detail()),
            None => problem.detail().into(),
        },
    }
}

pub(super) fn from_record(error: &RecordError) -> Problem {
    match error {
        RecordError::Submit(_) => Problem::unavailable(error),
        RecordError::Store(error) => error.as_ref().into(),
    }
}

/// Converts the outcome of adding or changing a named `what`, such as a goal.
pub(super) fn upsert_result<T>(kept: UpsertOutcome<T>, what: &str) -> Result<T, Problem> {
    let conflict = |code: &'static str, detail: String| {
        Err(Problem::new(StatusCode::CONFLICT, code, detail).field("name"))
    };
    match kept {
        UpsertOutcome::Saved(one) => Ok(one),
        UpsertOutcome::NameTaken => conflict("NAME_TAKEN", format!("another {what} has this name")),
        UpsertOutcome::LimitReached => conflict(
            "TOO_MANY",
            format!("the maximum number of {what}s is reached; delete one first"),
        ),
        UpsertOutcome::NotFound => Err(Problem::not_found(format!(
            "there is no such {what} or site"
        ))),
    }
}
