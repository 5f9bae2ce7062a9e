//! MaxMind's update service (<https://dev.maxmind.com/geoip/updating-databases/>).

use reqwest::Client;
use serde::Deserialize;
use url::Url;

use super::archive::ArchiveFormat;
use super::download::{self, AccountCredentials};
use super::download_dir::{DownloadedArchive, LockedDownloadDir};
use super::outcome::{UpdateError, UpdateOutcome, UpdateResult};

#[derive(Deserialize)]
struct UpdateMetadata {
    databases: Vec<DatabaseRelease>,
}

/// The newest release of an edition.
#[derive(Deserialize)]
struct DatabaseRelease {
    edition_id: String,
    /// Of the unpacked database, not of its archive.
    md5: String,
    /// `2026-11-17`
    date: String,
}

pub(super) async fn update(
    http: &Client,
    host: &Url,
    account: AccountCredentials<'_>,
    edition: &str,
    folder: &mut LockedDownloadDir,
) -> UpdateResult {
    let offer = fetch_latest_release(http, host, account, edition).await?;
    let have = folder.file_md5(edition).await?;
    if have.is_some_and(|have| have.eq_ignore_ascii_case(&offer.md5)) {
        return Ok(UpdateOutcome::UpToDate);
    }
    let mut url = url_with_path(host, &["geoip", "databases", edition, "download"]);
    url.query_pairs_mut()
        .append_pair("date", &offer.date.replace('-', ""))
        .append_pair("suffix", "tar.gz");
    let mut archive = folder.create_temp_file()?;
    download::download_to(http, url, Some(account), &mut archive).await?;
    let arrival = DownloadedArchive {
        archive,
        format: ArchiveFormat::TarGz,
        md5: Some(offer.md5),
        release: offer.date,
    };
    folder.install(edition, arrival).await?;
    Ok(UpdateOutcome::Installed)
}

async fn fetch_latest_release(
    http: &Client,
    host: &Url,
    account: AccountCredentials<'_>,
    edition: &str,
) -> Result<DatabaseRelease, UpdateError> {
    let mut url = url_with_path(host, &["geoip", "updates", "metadata"]);
    url.query_pairs_mut().append_pair("edition_id", edition);
    let body = download::fetch_small(http, url, account).await?;
    let metadata: UpdateMetadata =
        serde_json::from_slice(&body).map_err(|_| UpdateError::Protocol("invalid metadata"))?;
    let mut offers = metadata.databases.into_iter();
    match (offers.next(), offers.next()) {
        (Some(offer), None) if offer.edition_id == edition => Ok(offer),
        _ => Err(UpdateError::Protocol("metadata of another edition")),
    }
}

fn url_with_path(host: &Url, segments: &[&str]) -> Url {
    let mut url = host.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(segments);
    }
    url
}
