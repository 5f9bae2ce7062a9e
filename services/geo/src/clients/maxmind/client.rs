//! Requests to MaxMind's web service
//! (<https://dev.maxmind.com/geoip/docs/web-services/requests/>).

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::super::record::WebServiceRecord;
use crate::domain::UpstreamError;

/// The most detailed service that free and paid accounts both have.
pub(super) const WEB_SERVICE: &str = "city";

const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Real responses have about 3,000 bytes.
const MAX_RESPONSE_BYTES: usize = 65_536;

#[derive(Clone, Debug)]
pub struct WebServiceSettings {
    pub account_id: u32,
    /// The license key of the account.
    pub api_key: SecretString,
    /// Such as `https://geolite.info`; only scheme, host and port are used.
    pub host: Url,
    /// Maximum number of lookups per day (UTC).
    pub daily_lookups: u32,
}

pub(super) struct WebServiceClient {
    http: reqwest::Client,
    host: Url,
    account_id: u32,
    api_key: SecretString,
}

pub(crate) enum WebLookupResult {
    Found(Box<WebServiceRecord>),
    NotFound,
    /// The address is reserved and has no location.
    Reserved,
}

#[derive(Deserialize)]
struct WebServiceErrorBody {
    code: String,
}

impl WebLookupResult {
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::NotFound => "not_found",
            Self::Reserved => "reserved",
        }
    }
}

impl WebServiceClient {
    pub(super) fn new(settings: WebServiceSettings) -> reqwest::Result<Self> {
        Ok(Self {
            http: chassis::http_client::build("tetralto-geo")?,
            host: settings.host,
            account_id: settings.account_id,
            api_key: settings.api_key,
        })
    }

    pub(super) fn host(&self) -> &str {
        self.host.host_str().unwrap_or_default()
    }

    /// Sends one request. Errors that may come without a body are classified by their status alone.
    pub(super) async fn look_up(&self, ip: IpAddr) -> Result<WebLookupResult, UpstreamError> {
        let response = self.send(ip).await?;
        match response.status().as_u16() {
            200 => parse_found(response).await,
            400 | 404 => parse_error(response).await,
            401 => Err(UpstreamError::Unauthorized),
            402 | 403 => Err(UpstreamError::PaymentRequired),
            429 | 503 => Err(UpstreamError::RateLimited),
            408 | 500..=599 => Err(UpstreamError::Unavailable),
            _ => Err(UpstreamError::InvalidResponse),
        }
    }

    async fn send(&self, ip: IpAddr) -> Result<Response, UpstreamError> {
        let mut url = self.host.clone();
        url.set_path(&format!("/geoip/v2.1/{WEB_SERVICE}/{ip}"));
        let request = self
            .http
            .get(url)
            .basic_auth(self.account_id, Some(self.api_key.expose_secret()))
            .header(ACCEPT, "application/json")
            .timeout(REQUEST_TIMEOUT);
        // The error of reqwest is discarded, because its text contains the address.
        request.send().await.map_err(|_| UpstreamError::Unavailable)
    }
}

async fn parse_found(response: Response) -> Result<WebLookupResult, UpstreamError> {
    if !is_json(&response) {
        return Err(UpstreamError::InvalidResponse);
    }
    let body = read_body(response).await?;
    let record = serde_json::from_slice(&body).map_err(|_| UpstreamError::InvalidResponse)?;
    Ok(WebLookupResult::Found(Box::new(record)))
}

/// Classifies a 400 or 404. A 404 in another format than MaxMind's comes from a wrong server.
async fn parse_error(response: Response) -> Result<WebLookupResult, UpstreamError> {
    let is_not_found = response.status().as_u16() == 404;
    if is_not_found && !response.headers().contains_key(CONTENT_TYPE) {
        return Ok(WebLookupResult::NotFound);
    }
    if !is_json(&response) {
        return Err(UpstreamError::InvalidResponse);
    }
    let body = read_body(response).await?;
    let error: WebServiceErrorBody =
        serde_json::from_slice(&body).map_err(|_| UpstreamError::InvalidResponse)?;
    match error.code.as_str() {
        "IP_ADDRESS_RESERVED" => Ok(WebLookupResult::Reserved),
        "IP_ADDRESS_NOT_FOUND" | "IP_ADDRESS_INVALID" | "IP_ADDRESS_REQUIRED" => {
            Ok(WebLookupResult::NotFound)
        }
        _ => Err(UpstreamError::InvalidResponse),
    }
}

/// Accepts types such as `application/vnd.maxmind.com-city+json; charset=UTF-8; version=2.1`.
fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim_end();
    kind == "application/json" || kind.ends_with("+json")
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, UpstreamError> {
    let mut body = vec![];
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|_| UpstreamError::Unavailable)?
    {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(UpstreamError::InvalidResponse);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
