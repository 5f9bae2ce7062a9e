//! Problem responses. The codes about addresses are those of MaxMind's web service.

use std::time::Duration;

use axum::http::StatusCode;
use chassis::Problem;
use chassis::database::StoreError;
use common::geo::ItemError;

use crate::app::ServiceAreaError;
use crate::domain::LocateError;
use crate::domain::areas::InvalidServiceArea;
use crate::store::WriteError;

const RETRY_AFTER: Duration = Duration::from_secs(1);

fn status_and_code(error: LocateError) -> (StatusCode, &'static str) {
    match error {
        LocateError::Required => (StatusCode::BAD_REQUEST, "IP_ADDRESS_REQUIRED"),
        LocateError::Invalid => (StatusCode::BAD_REQUEST, "IP_ADDRESS_INVALID"),
        LocateError::Reserved(_) => (StatusCode::BAD_REQUEST, "IP_ADDRESS_RESERVED"),
        LocateError::NotFound => (StatusCode::NOT_FOUND, "IP_ADDRESS_NOT_FOUND"),
    }
}

pub(super) fn locate_problem(error: LocateError) -> Problem {
    let (status, code) = status_and_code(error);
    Problem::new(status, code, error.to_string()).field("ip")
}

pub(super) fn item_error(error: LocateError) -> ItemError {
    ItemError {
        code: status_and_code(error).1.into(),
        detail: error.to_string(),
    }
}

fn invalid_area(invalid: &InvalidServiceArea) -> Problem {
    Problem::invalid(invalid.field(), invalid.code(), invalid.to_string())
}

pub(super) fn no_database() -> Problem {
    areas_unavailable("service areas require a database: set DATABASE_URL")
}

/// The database has not been available since the start.
pub(super) fn areas_not_loaded() -> Problem {
    areas_unavailable("the service areas are not loaded yet; try again").retry_after(RETRY_AFTER)
}

pub(super) fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "the database is unavailable; the request is answered with 503"
            );
            areas_unavailable("the database is unavailable; nothing was changed; try again")
                .retry_after(RETRY_AFTER)
        }
        other => other.into(),
    }
}

pub(super) fn change_problem(error: &ServiceAreaError) -> Problem {
    match error {
        ServiceAreaError::Invalid(error) => invalid_area(error),
        ServiceAreaError::Write(error) => write_problem(error),
        ServiceAreaError::Aborted(error) => Problem::internal(error),
    }
}

fn write_problem(error: &WriteError) -> Problem {
    let (field, code) = match error {
        WriteError::Store(error) => return store_problem(error),
        WriteError::TooManyAreas => ("body", "TOO_MANY_SERVICE_AREAS"),
        WriteError::TooManyVertices => ("geometry.coordinates", "TOO_MANY_VERTICES_IN_ALL"),
        WriteError::TooManyPostalCodes => ("postal_codes", "TOO_MANY_POSTAL_CODES_IN_ALL"),
    };
    Problem::invalid(field, code, error.to_string())
}

fn areas_unavailable(detail: &str) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "SERVICE_AREAS_UNAVAILABLE", detail)
}
