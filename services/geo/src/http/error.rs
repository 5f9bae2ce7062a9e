//! Errors on the wire carry MaxMind's own codes.

use axum::http::StatusCode;
use chassis::Problem;
use common::geo::ItemError;

use crate::domain::LocateError;

/// The stable code of an error.
fn code(error: LocateError) -> (StatusCode, &'static str) {
    match error {
        LocateError::Required => (StatusCode::BAD_REQUEST, "IP_ADDRESS_REQUIRED"),
        LocateError::Invalid => (StatusCode::BAD_REQUEST, "IP_ADDRESS_INVALID"),
        LocateError::Reserved(_) => (StatusCode::BAD_REQUEST, "IP_ADDRESS_RESERVED"),
        LocateError::NotFound => (StatusCode::NOT_FOUND, "IP_ADDRESS_NOT_FOUND"),
    }
}

pub(super) fn problem(error: LocateError) -> Problem {
    let (status, code) = code(error);
    Problem::new(status, code, error.to_string()).field("ip")
}

pub(super) fn item(error: LocateError) -> ItemError {
    ItemError {
        code: code(error).1.into(),
        detail: error.to_string(),
    }
}
