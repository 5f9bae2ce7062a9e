//! All SQL statements of the service.

mod download;
mod service_area;

use sqlx::PgPool;

pub use download::{DownloadWriter, MAX_PART_BYTES, StoredDownload, UpdaterLock};
pub use service_area::{
    MAX_AREAS, MAX_TOTAL_POSTAL_CODES, MAX_TOTAL_VERTICES, ServiceArea, ValidatedArea, WriteError,
};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A retry may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// The statement or its result is invalid, which is a bug or a schema mismatch.
    #[error("unexpected database error: {0}")]
    Query(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        if chassis::database::is_unavailable(&error) {
            Self::Unavailable(error)
        } else {
            Self::Query(error)
        }
    }
}

/// Access to the tables of the service.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// The database must be migrated.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}
