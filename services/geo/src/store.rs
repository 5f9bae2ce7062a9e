//! All SQL statements of the service.

mod download;
mod service_area;

use sqlx::PgPool;

pub use download::{DownloadWriter, MAX_PART_BYTES, StoredDownload, UpdaterLock};
pub use service_area::{
    MAX_AREAS, MAX_TOTAL_POSTAL_CODES, MAX_TOTAL_VERTICES, ServiceArea, ValidatedArea, WriteError,
};

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
