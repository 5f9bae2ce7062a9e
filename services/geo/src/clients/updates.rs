//! Fetches databases from those who publish them.

mod copy;
mod dbip;
mod fetch;
mod folder;
mod ledger;
mod maxmind;
mod unpack;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

use super::mmdb::DatabaseError;

pub use copy::InstalledDatabase;
pub use folder::{DownloadDir, LockedDownloadDir};

type UpdateResult = Result<UpdateOutcome, UpdateError>;

/// Who publishes databases, and how to ask for them.
#[derive(Clone, Debug)]
pub enum Publisher {
    /// MaxMind, with an account, by the protocol of its program geoipupdate.
    MaxMind {
        /// Such as `https://updates.maxmind.com`.
        host: Url,
        /// The account's number.
        account_id: u32,
        /// A licence key of the account.
        api_key: SecretString,
        /// Such as `GeoLite2-City`.
        editions: Vec<String>,
    },
    /// DB-IP, whose City Lite database is free (CC BY 4.0) and comes monthly.
    DbIp {
        /// Such as `https://download.db-ip.com`.
        host: Url,
    },
}

/// What a question for something newer has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// A new database is in the folder.
    New,
    /// The one that is there is the newest.
    Nothing,
}

/// Why no newer database came. What was there before still is.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The account id or the key is wrong (401).
    #[error("the account is not accepted: check MAXMIND_ACCOUNT_ID and MAXMIND_API_KEY")]
    Unauthorized,
    /// Any other final answer (4xx).
    #[error("refused with HTTP status {0}")]
    Refused(u16),
    /// No more downloads today (429 with `LIMIT_EXCEEDED`).
    #[error("the account has no downloads left today")]
    Limit,
    /// No connection, a broken one, or an error of the publisher's own (5xx, 408, 429).
    #[error("does not answer")]
    Away,
    /// An answer that is not the publisher's protocol.
    #[error("what answers does not speak the publisher's protocol: {0}")]
    Foreign(&'static str),
    /// Not what was announced.
    #[error("what came has another checksum than announced")]
    Checksum,
    /// Not a database, or a damaged one.
    #[error("what came cannot be used: {0}")]
    Unsound(#[from] DatabaseError),
    /// It cannot be unpacked or kept.
    #[error("{path} cannot be written: {error}", path = .0.display(), error = .1)]
    Disk(PathBuf, std::io::Error),
}

impl UpdateError {
    /// Whether the same may go well soon.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Away)
    }

    /// Whether somebody has to do something.
    #[must_use]
    pub fn needs_people(&self) -> bool {
        !matches!(self, Self::Away | Self::Limit)
    }
}

impl Publisher {
    /// The databases it brings; each is also the name of its file.
    #[must_use]
    pub fn editions(&self) -> Vec<String> {
        match self {
            Self::MaxMind { editions, .. } => editions.clone(),
            Self::DbIp { .. } => vec![dbip::EDITION.into()],
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MaxMind { .. } => "MaxMind",
            Self::DbIp { .. } => "DB-IP (https://db-ip.com, CC BY 4.0)",
        }
    }

    /// Asks once for something newer than what is in the folder, and puts it there.
    pub async fn bring(
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
                let account = fetch::AccountCredentials(*account_id, api_key);
                maxmind::bring(http, host, account, edition, folder).await
            }
            Self::DbIp { host } => dbip::bring(http, host, folder, now).await,
        }
    }
}
