//! DB-IP's free downloads (<https://db-ip.com/db/download/ip-to-city-lite>): one file per month,
//! which is published in the first days of the month.

use chrono::{DateTime, Months, Utc};
use reqwest::Client;
use url::Url;

use super::archive::ArchiveFormat;
use super::download;
use super::download_dir::{DownloadedArchive, LockedDownloadDir};
use super::outcome::{UpdateError, UpdateOutcome, UpdateResult};

pub(super) const EDITION: &str = "dbip-city-lite";

pub(super) async fn update(
    http: &Client,
    host: &Url,
    folder: &mut LockedDownloadDir,
    now: DateTime<Utc>,
) -> UpdateResult {
    let have = folder.intact_release(EDITION).await?;
    let months = [Some(now), now.checked_sub_months(Months::new(1))];
    for month in months.into_iter().flatten() {
        let release = month.format("%Y-%m").to_string();
        if have.as_ref() == Some(&release) {
            return Ok(UpdateOutcome::UpToDate);
        }
        let mut url = host.clone();
        url.set_path(&format!("/free/{EDITION}-{release}.mmdb.gz"));
        let mut archive = folder.create_temp_file()?;
        match download::download_to(http, url, None, &mut archive).await {
            Err(UpdateError::Refused(404)) => continue,
            saved => saved?,
        }
        let arrival = DownloadedArchive {
            archive,
            format: ArchiveFormat::Gz,
            md5: None,
            release,
        };
        folder.install(EDITION, arrival).await?;
        return Ok(UpdateOutcome::Installed);
    }
    Err(UpdateError::Refused(404))
}
