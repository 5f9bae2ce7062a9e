//! Keeps: every SQL statement of the service.

mod download;
mod service_area;

use sqlx::PgPool;

pub use download::{DownloadWriter, MAX_PART_BYTES, StoredDownload, UpdaterLock};
pub use service_area::{
    MAX_AREAS, MAX_TOTAL_POSTAL_CODES, MAX_TOTAL_VERTICES, ServiceArea, ValidatedArea, WriteError,
};

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach; the same may succeed later.
    #[error("the database is away: {0}")]
    Away(sqlx::Error),
    /// Our statement or its result is wrong.
    #[error("the database and this program disagree: {0}")]
    Broken(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        chassis::metrics::count_error(&error);
        if chassis::database::is_away(&error) {
            Self::Away(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// The service's tables.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Over a pool of connections to a migrated database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}
