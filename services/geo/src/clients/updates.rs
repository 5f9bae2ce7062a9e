//! Downloads databases from their publishers.

mod archive;
mod backup;
mod dbip;
mod download;
mod download_dir;
mod maxmind;
mod outcome;
mod temp_file;
mod update_state;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

pub use backup::InstalledDatabase;
pub use download_dir::{DownloadDir, LockedDownloadDir};
use outcome::UpdateResult;
pub use outcome::{UpdateError, UpdateOutcome};

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
