//! The outcome of a check for a newer release.

use std::path::PathBuf;

use super::super::mmdb::DatabaseError;

pub(super) type UpdateResult = Result<UpdateOutcome, UpdateError>;

/// The result of a successful check for a newer release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// A new release was installed.
    Installed,
    /// The installed release is the newest.
    UpToDate,
}

/// Why an update failed. The installed database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// HTTP status 401.
    #[error("the account was refused: check MAXMIND_ACCOUNT_ID and MAXMIND_API_KEY")]
    Unauthorized,
    /// Any other permanent error (4xx).
    #[error("the request was refused with HTTP status {0}")]
    Refused(u16),
    /// HTTP status 429 with the code `LIMIT_EXCEEDED`.
    #[error("the download limit of the account for today is reached")]
    DownloadLimit,
    /// A connection error, or an error of the server (5xx, 408, 429).
    #[error("the publisher does not answer")]
    Unavailable,
    #[error("the response does not follow the publisher's protocol: {0}")]
    Protocol(&'static str),
    #[error("the download does not match its checksum")]
    ChecksumMismatch,
    #[error("the downloaded database is unusable: {0}")]
    InvalidDatabase(#[from] DatabaseError),
    #[error("{path} cannot be written: {error}", path = .0.display(), error = .1)]
    Io(PathBuf, std::io::Error),
}

impl UpdateError {
    /// Whether a retry within minutes may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// Whether an operator has to act.
    #[must_use]
    pub fn needs_operator(&self) -> bool {
        !matches!(self, Self::Unavailable | Self::DownloadLimit)
    }
}
