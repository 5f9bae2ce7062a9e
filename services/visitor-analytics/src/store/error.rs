//! Errors of the database, by how a caller reacts.

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached; a retry may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// The database does not answer; whether the statement took effect is unknown.
    #[error("the database does not answer")]
    Timeout,
    /// The request exceeded its deadline; no client waits for the result.
    #[error("the request exceeded its deadline")]
    DeadlineExceeded,
    /// The database rejects the data.
    #[error("the database rejects the data: {0}")]
    Constraint(sqlx::Error),
    /// The statement, or the mapping of its result, is wrong.
    #[error("database error: {0}")]
    Query(sqlx::Error),
    /// A stored value does not have the expected format.
    #[error("invalid stored data: {0}")]
    Corrupt(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        if chassis::database::is_unavailable(&error) {
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
