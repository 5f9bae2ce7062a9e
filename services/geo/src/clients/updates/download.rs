//! HTTP downloads. Redirects never send credentials to another origin.

use std::io::Write as _;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tempfile::NamedTempFile;
use url::{Host, Url};

use super::outcome::UpdateError;

/// Three times the size of MaxMind's largest download.
const MAX_DOWNLOAD_BYTES: u64 = 512 << 20;

/// For responses other than downloads.
const MAX_RESPONSE_BYTES: usize = 65_536;

/// For a whole download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(30);

/// Without any data.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// MaxMind's downloads redirect once.
const MAX_REDIRECTS: usize = 5;

/// Account ID and license key, for Basic authentication.
#[derive(Clone, Copy)]
pub(super) struct AccountCredentials<'a>(pub(super) u32, pub(super) &'a SecretString);

pub(super) async fn fetch_small(
    http: &Client,
    url: Url,
    account: AccountCredentials<'_>,
) -> Result<Vec<u8>, UpdateError> {
    let mut response = send_request(http, url, Some(account)).await?;
    read_small_body(&mut response).await
}

pub(super) async fn download_to(
    http: &Client,
    url: Url,
    account: Option<AccountCredentials<'_>>,
    to: &mut NamedTempFile,
) -> Result<(), UpdateError> {
    let mut response = send_request(http, url, account).await?;
    let mut size = 0;
    while let Some(chunk) = next_chunk(&mut response).await? {
        size += chunk.len() as u64;
        if size > MAX_DOWNLOAD_BYTES {
            return Err(UpdateError::Protocol("the download is too large"));
        }
        // Small writes to the page cache do not block for long.
        let written = to.write_all(&chunk);
        written.map_err(|error| UpdateError::Io(to.path().to_owned(), error))?;
    }
    Ok(())
}

async fn send_request(
    http: &Client,
    url: Url,
    account: Option<AccountCredentials<'_>>,
) -> Result<Response, UpdateError> {
    let origin = url.origin();
    let mut url = url;
    for _ in 0..=MAX_REDIRECTS {
        let mut request = http.get(url.clone()).timeout(DOWNLOAD_TIMEOUT);
        if let Some(AccountCredentials(id, key)) = account
            && url.origin() == origin
        {
            request = request.basic_auth(id, Some(key.expose_secret()));
        }
        // The error of reqwest is discarded, because its text contains the URL, which may be
        // signed.
        let sent = tokio::time::timeout(IDLE_TIMEOUT, request.send()).await;
        let response = sent.map_err(|_| UpdateError::Unavailable)?;
        let response = response.map_err(|_| UpdateError::Unavailable)?;
        match response.status().as_u16() {
            200 => return Ok(response),
            301 | 302 | 303 | 307 | 308 => url = redirect_target(&url, &response)?,
            _ => return Err(error_from_response(response).await),
        }
    }
    Err(UpdateError::Protocol("there are too many redirects"))
}

/// The target of a redirect, which must be HTTPS or a loopback address.
fn redirect_target(from: &Url, response: &Response) -> Result<Url, UpdateError> {
    let target = response.headers().get(LOCATION);
    let target = target.and_then(|target| target.to_str().ok());
    let target = target.and_then(|target| from.join(target).ok());
    let target = target.ok_or(UpdateError::Protocol("a redirect has no valid location"))?;
    let is_here = match target.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match target.scheme() {
        "https" => Ok(target),
        "http" if is_here => Ok(target),
        _ => Err(UpdateError::Protocol("a redirect leaves HTTPS")),
    }
}

#[derive(Deserialize)]
struct DownloadErrorBody {
    code: String,
}

async fn error_from_response(mut response: Response) -> UpdateError {
    match response.status().as_u16() {
        401 => UpdateError::Unauthorized,
        429 => {
            let body = read_small_body(&mut response).await.unwrap_or_default();
            match serde_json::from_slice(&body) {
                Ok(DownloadErrorBody { code }) if code == "LIMIT_EXCEEDED" => {
                    UpdateError::DownloadLimit
                }
                _ => UpdateError::Unavailable,
            }
        }
        408 | 500..=599 => UpdateError::Unavailable,
        status => UpdateError::Refused(status),
    }
}

async fn read_small_body(response: &mut Response) -> Result<Vec<u8>, UpdateError> {
    let mut body = vec![];
    while let Some(chunk) = next_chunk(response).await? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(UpdateError::Protocol("the response is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn next_chunk(response: &mut Response) -> Result<Option<bytes::Bytes>, UpdateError> {
    let chunk = tokio::time::timeout(IDLE_TIMEOUT, response.chunk()).await;
    let chunk = chunk.map_err(|_| UpdateError::Unavailable)?;
    chunk.map_err(|_| UpdateError::Unavailable)
}
