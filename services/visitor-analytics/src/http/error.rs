//! Conversion of errors to problem responses (RFC 9457).

use std::time::Duration;

use axum::http::StatusCode;
use chassis::Problem;
use common::geo::ItemError;

use crate::admission::AdmissionError;
use crate::domain::visit::ValidationError;
use crate::store::StoreError;
use crate::workers::recorder::RecordError;

/// After this time an operator may have created the site, or an earlier new site no longer counts.
const SITE_LIMIT_RETRY: Duration = Duration::from_mins(10);

pub(super) fn invalid(error: &ValidationError) -> Problem {
    Problem::invalid(error.field(), error.code(), error.to_string())
}

/// Converts the refusal of a valid visit or event; `taken` is the code for an id that belongs to
/// another site.
pub(super) fn refused(refusal: AdmissionError, taken: &'static str) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        AdmissionError::IdTaken => Problem::new(StatusCode::CONFLICT, taken, detail).field("id"),
        AdmissionError::SiteUnknown => Problem::invalid("site", "SITE_UNKNOWN", detail),
        AdmissionError::SiteLimit => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "SITE_LIMIT_REACHED", detail);
            problem.field("site").retry_after(SITE_LIMIT_RETRY)
        }
    }
}

/// Converts the problem of one item of a list.
pub(super) fn item(problem: &Problem) -> ItemError {
    ItemError {
        code: problem.code().into(),
        detail: match problem.field_name() {
            Some(field) => format!("{field}: {}", problem.detail()),
            None => problem.detail().into(),
        },
    }
}

pub(super) fn store(error: &StoreError) -> Problem {
    match error {
        StoreError::Away(_) | StoreError::Silent | StoreError::Overdue => {
            Problem::unavailable(error)
        }
        StoreError::Refused(_) | StoreError::Broken(_) | StoreError::Unreadable(_) => {
            Problem::internal(error)
        }
    }
}

pub(super) fn record(error: &RecordError) -> Problem {
    match error {
        RecordError::NotBrought(_) => Problem::unavailable(error),
        RecordError::Store(error) => store(error),
    }
}
