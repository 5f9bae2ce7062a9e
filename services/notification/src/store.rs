//! All SQL statements, one module per table. [`accept`] and [`queue`] contain the transactions that
//! span several tables.

pub mod accept;
pub mod attempt;
pub mod daily_usage;
pub mod dead_letter;
pub mod delivery;
pub mod digest;
pub mod endpoint;
pub mod erasure;
pub mod idempotency_key;
pub mod notification;
pub mod queue;
pub mod receipt;
pub mod recipient;
pub mod retention;
pub mod routing_table;
pub mod rule;
pub mod schedule;
pub mod suppression;
pub mod window_counter;

use sqlx::migrate::Migrator;

pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/notification");

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Database(sqlx::Error),
    /// Whether the statement was executed is unknown.
    #[error("the database did not answer in time")]
    Timeout,
    #[error("the code that accesses the database panicked")]
    Panicked,
    /// A row has a value that no version of this service writes.
    #[error("a row of the table {0} is invalid")]
    Corrupt(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        Self::Database(error)
    }
}

impl StoreError {
    /// Whether the data caused the error, so that other data may succeed.
    #[must_use]
    pub fn is_caused_by_data(&self) -> bool {
        self.is_data_refused() || matches!(self, Self::Panicked)
    }

    /// Whether the database refuses the data: data exceptions (class 22) and violated constraints
    /// (class 23; PostgreSQL, appendix A).
    #[must_use]
    pub fn is_data_refused(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        let code = error.code().unwrap_or_default();
        code.starts_with("22") || code.starts_with("23")
    }
}
