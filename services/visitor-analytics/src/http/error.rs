//! Errors on the wire.

use chassis::Problem;
use common::geo::ItemError;

use crate::domain::visit::Invalid;
use crate::store::StoreError;
use crate::workers::recorder::RecordError;

/// The problem with one visit.
pub(super) fn invalid(error: &Invalid) -> Problem {
    Problem::invalid(error.field(), error.code(), error.to_string())
}

/// The problem with one visit of a list.
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
