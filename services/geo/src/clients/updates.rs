//! Downloads databases from their publishers.

mod archive;
mod backup;
mod dbip;
mod download;
mod download_dir;
mod maxmind;
mod update_state;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

use super::mmdb::DatabaseError;

pub use backup::InstalledDatabase;
pub use download_dir::{DownloadDir, LockedDownloadDir};

type UpdateResult = Result<UpdateOutcome, UpdateError>;

#[derive(Clone, Debug)]
pub enum Publisher {
    /// MaxMind, with an account and the protocol of geoipupdate.
    MaxMind {
        /// Such as `https://updates.maxmind.com`.
        host: Url,
        account_id: u32,
        /// The license key of the account.
        api_key: SecretString,
        /// Such as `GeoLite2-City`.
        editions: Vec<String>,
    },
    /// DB-IP, whose City Lite database is free (CC BY 4.0) and published monthly.
    DbIp {
        /// Such as `https://download.db-ip.com`.
        host: Url,
    },
}

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

impl Publisher {
    /// The editions to download; each is the stem of a file name.
    #[must_use]
    pub fn editions(&self) -> Vec<String> {
        match self {
            Self::MaxMind { editions, .. } => editions.clone(),
            Self::DbIp { .. } => vec![dbip::EDITION.into()],
        }
    }

    /// The name and the required attribution.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MaxMind { .. } => "MaxMind",
            Self::DbIp { .. } => "DB-IP (https://db-ip.com, CC BY 4.0)",
        }
    }

    /// Checks once for a newer release of an edition, and installs it.
    pub async fn update(
        &self,
        http: &reqwest::Client,
        edition: &str,
        folder: &mut LockedDownloadDir,
        now: DateTime<Utc>,
    ) -> UpdateResult {
        match self {
            Self::MaxMind {
                host,
                account_id,
                api_key,
                ..
            } => {
                let account = download::AccountCredentials(*account_id, api_key);
                maxmind::update(http, host, account, edition, folder).await
            }
            Self::DbIp { host } => dbip::update(http, host, folder, now).await,
        }
    }
}
