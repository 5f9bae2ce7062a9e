//! Errors of database access, by how a caller reacts.

use super::error_class::is_unavailable;
use crate::Problem;
use crate::metrics::count_error;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be used; a retry may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// The database does not answer; whether the statement took effect is unknown.
    #[error("the database does not answer")]
    Timeout,
    /// The request exceeded its deadline; no client waits for the result.
    #[error("the request exceeded its deadline")]
    DeadlineExceeded,
    /// The database rejects the data: a data exception or a violated constraint.
    #[error("the database rejects the data: {0}")]
    Constraint(sqlx::Error),
    /// The statement, or the mapping of its result, is wrong.
    #[error("database error: {0}")]
    Query(sqlx::Error),
    /// A stored value does not have the expected format.
    #[error("invalid stored data: {0}")]
    Corrupt(&'static str),
    #[error("the random number generator failed")]
    RandomSource,
    #[error("the code that accesses the database panicked")]
    Panicked,
}

impl StoreError {
    /// Whether the database rejects the data, so that other data may succeed.
    #[must_use]
    pub fn is_data_refused(&self) -> bool {
        matches!(self, Self::Constraint(_))
    }

    /// Whether the data violates this constraint or unique index.
    #[must_use]
    pub fn violates(&self, constraint: &str) -> bool {
        let Self::Constraint(error) = self else {
            return false;
        };
        let violated = error
            .as_database_error()
            .and_then(|error| error.constraint());
        violated == Some(constraint)
    }
}

impl From<sqlx::Error> for StoreError {
    /// Classifies the error and counts it in the metrics.
    fn from(error: sqlx::Error) -> Self {
        count_error(&error);
        if is_unavailable(&error) {
            return Self::Unavailable(error);
        }
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        match code.as_deref().map(|code| &code[..2.min(code.len())]) {
            // Data exceptions and violated constraints (PostgreSQL, appendix A).
            Some("22" | "23") => Self::Constraint(error),
            _ => Self::Query(error),
        }
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Timeout | StoreError::DeadlineExceeded => {
                Self::unavailable(error)
            }
            StoreError::Constraint(_)
            | StoreError::Query(_)
            | StoreError::Corrupt(_)
            | StoreError::RandomSource
            | StoreError::Panicked => Self::internal(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        (&error).into()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::StoreError;
    use crate::Problem;

    #[test]
    fn only_errors_that_may_pass_are_answered_with_503() {
        for error in [
            StoreError::from(sqlx::Error::PoolTimedOut),
            StoreError::Timeout,
            StoreError::DeadlineExceeded,
        ] {
            let problem = Problem::from(&error);
            assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE, "{error}");
        }
        for error in [
            StoreError::from(sqlx::Error::RowNotFound),
            StoreError::Corrupt("a row"),
            StoreError::Panicked,
        ] {
            let problem = Problem::from(&error);
            assert_eq!(
                problem.status(),
                StatusCode::INTERNAL_SERVER_ERROR,
                "{error}"
            );
        }
    }
}
