//! Why a database is refused.

use maxminddb::MaxMindDbError;

/// A file is not a usable database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is damaged or has another format.
    #[error("not a valid .mmdb database: {0}")]
    Invalid(#[from] MaxMindDbError),
    #[error("a {0} database contains no locations or networks")]
    UnsupportedType(String),
}
