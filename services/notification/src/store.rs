//! Keeps: every SQL statement, one file per table; [`accept`] and [`queue`] hold the transactions
//! that span several.

pub mod accept;
pub mod attempt;
pub mod book;
pub mod dead_letter;
pub mod delivery;
pub mod digest;
pub mod endpoint;
pub mod erasure;
pub mod gates;
pub mod idempotency_key;
pub mod notification;
pub mod queue;
pub mod receipt;
pub mod recipient;
pub mod retention;
pub mod rule;
pub mod schedule;
pub mod spent;
pub mod suppression;

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no, or nothing.
    #[error("database: {0}")]
    Database(sqlx::Error),
    /// It does not answer; whether it did what it was asked is not known.
    #[error("the database is silent")]
    Silent,
    /// The code that keeps or reads it panicked.
    #[error("the code panicked")]
    Panicked,
    /// A row holds what no version of this service writes.
    #[error("a row of {0} cannot be read")]
    Corrupt(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        Self::Database(error)
    }
}

impl StoreError {
    /// Whether these data are the cause, while others may be welcome.
    #[must_use]
    pub fn is_from_data(&self) -> bool {
        self.is_refusal() || matches!(self, Self::Panicked)
    }

    /// Whether the database refuses these data, while others may be welcome: data exceptions and
    /// violated constraints (PostgreSQL, appendix A).
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        let code = error.code().unwrap_or_default();
        code.starts_with("22") || code.starts_with("23")
    }
}
