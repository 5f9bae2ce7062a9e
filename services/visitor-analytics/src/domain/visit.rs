//! Visits as clients submit them, and their validation.

mod error;
mod fields;

use common::embedded_ipv4::canonical_address;
use std::collections::HashMap;
use std::net::IpAddr;

use bot_detection::is_prefetch;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::{Clock, timestamp_of};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use user_agent::RequestHeaders;
use utoipa::ToSchema;
use uuid::Uuid;

use super::privacy::{PrivacyPolicy, RetentionPeriod};
use super::source::AdNetwork;

pub use self::error::ValidationError;
pub use self::fields::{normalize_domain, validate_external_id};
use self::fields::{
    parse_page_url, parse_referrer, parse_request_headers, validate_method, validate_status_code,
};
pub(super) use self::fields::{sanitize_text, validate_properties};

/// The tolerance for clients' clocks that are fast.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);
/// 1990-01-01. An earlier time is a mistake of the client.
const MIN_TIMESTAMP_SECS: i64 = 631_152_000;

/// One visit of `POST /visits`. Only `url`, `ip` and `user_agent` are required.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019a0000-0000-7000-8000-000000000001", "timestamp": "2026-11-20T12:00:00Z",
    "url": "https://example.com/pricing?utm_source=news", "ip": "81.2.69.142",
    "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "referrer": "https://www.google.com/", "status_code": 200,
    "headers": {"accept": "text/html", "accept-language": "en-GB,en;q=0.5"}
}))]
pub struct SubmittedVisit {
    /// Makes the request safe to repeat: a visit with the same `id` and `timestamp` is recorded
    /// once. Preferably a `UUIDv7`; other ids require `timestamp`.
    pub id: Option<Uuid>,
    /// The domain of the site. Defaults to the host of `url`.
    pub site: Option<String>,
    /// The time of the request (RFC 3339), from 1990 to 5 minutes in the future. Defaults to the
    /// time inside `id`, else to the current time.
    pub timestamp: Option<DateTime<Utc>>,
    /// The absolute http or https URL of the page, at most 4,096 bytes. Fragment, credentials and
    /// query parameters that are not allowed are not stored.
    pub url: String,
    /// The IPv4 or IPv6 address of the visitor.
    pub ip: String,
    /// The user agent of the visitor, or `null` if the visitor sent none. Cut to 1,024 bytes.
    #[serde(deserialize_with = "present")]
    #[schema(required)]
    pub user_agent: Option<String>,
    /// The URL of the referring page or Android app. An invalid URL is ignored.
    pub referrer: Option<String>,
    /// The name of the header `Referer`. Used if `referrer` is missing.
    #[schema(deprecated)]
    pub referer: Option<String>,
    /// The title of the page. Cut to 1,024 bytes.
    pub title: Option<String>,
    /// The request method, at most 16 letters. Defaults to `GET`.
    pub method: Option<String>,
    /// The status code of the response, 100 to 599.
    pub status_code: Option<u16>,
    /// The response time of the site, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// The HTTP version of the request. Accepted, but neither evaluated nor stored.
    pub http_version: Option<String>,
    /// The request headers of the visitor, with names in any case: at most 64, with names and
    /// values of at most 1,024 bytes. Evaluated, but not stored.
    pub headers: Option<HashMap<String, String>>,
    /// The site's own id of the visitor, 1 to 128 bytes. Replaces the generated id.
    pub visitor_id: Option<String>,
    /// The site's own id of the user who is logged in, 1 to 128 bytes.
    pub user_id: Option<String>,
    /// Arbitrary further data of the site, at most 8,192 bytes as JSON.
    pub properties: Option<Map<String, Value>>,
}

/// Distinguishes `null`, which is valid, from a missing field, which is not.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// A valid visit.
#[derive(Clone, Debug)]
pub struct NewVisit {
    pub id: Uuid,
    /// Truncated to microseconds.
    pub timestamp: DateTime<Utc>,
    /// Whether the client provided the id and the id does not contain `timestamp`. Then the primary
    /// key (time and id) does not show whether another site has a visit with the id.
    pub needs_id_check: bool,
    /// The domain of the site, in lower case.
    pub site: String,
    /// Without fragment, credentials and the parameters that are not stored.
    pub url: Url,
    /// The network whose click id the URL contained.
    pub ad_network: Option<AdNetwork>,
    /// An IPv4-mapped IPv6 address is converted to IPv4.
    pub ip: IpAddr,
    /// The part of the address that is stored.
    pub stored_ip: Option<IpAddr>,
    /// Whether the visitor opted out of tracking. Such a visit is a visitor of its own, sends no
    /// notification, and its address is not stored.
    pub opted_out: bool,
    /// Empty if the visitor sent none.
    pub user_agent: String,
    pub referrer: Option<Url>,
    pub title: Option<String>,
    /// In upper case.
    pub method: String,
    pub status_code: Option<u16>,
    pub response_time_ms: Option<u32>,
    /// `None` if the client sent no headers with the visit.
    pub headers: Option<RequestHeaders>,
    /// The site's own id of the visitor. For an opt-out or a prefetch, the id of the visit.
    pub visitor_id: Option<String>,
    /// The site's own id of the user.
    pub user_id: Option<String>,
    pub properties: Map<String, Value>,
}

impl NewVisit {
    /// Validates a visit at the time `now` and removes the data that `policy` does not allow to
    /// store.
    pub fn accept(
        from: SubmittedVisit,
        policy: &PrivacyPolicy,
        now: DateTime<Utc>,
    ) -> Result<Self, ValidationError> {
        let (id, timestamp) =
            resolve_id_and_timestamp(from.id, from.timestamp, policy.retention, now)?;
        let needs_id_check = from.id.is_some() && timestamp_of(id) != Some(timestamp);
        let mut url = parse_page_url(&from.url)?;
        let click = AdNetwork::from_url(&url);
        policy.query_parameters.strip_disallowed(&mut url);
        let referrer = from.referrer.or(from.referer);
        let referrer = referrer.as_deref().and_then(parse_referrer);
        let host = url.host_str().unwrap_or_default();
        let site = normalize_domain(from.site.as_deref().unwrap_or(host))?;
        let ip: IpAddr = from.ip.trim().parse().map_err(|_| ValidationError::Ip)?;
        let ip = canonical_address(ip);
        let own =
            |id: Option<String>, field| id.map(|id| validate_external_id(id, field)).transpose();
        let visitor_id = own(from.visitor_id, "visitor_id")?;
        let user_id = own(from.user_id, "user_id")?;
        let headers = from.headers.map(parse_request_headers).transpose()?;
        let opted_out = policy.has_opted_out(headers.as_ref());
        Ok(Self {
            id,
            timestamp,
            needs_id_check,
            site,
            url,
            ad_network: click,
            ip,
            stored_ip: policy.ip_storage.stored_ip(ip).filter(|_| !opted_out),
            opted_out,
            user_agent: sanitize_text(from.user_agent.unwrap_or_default()),
            referrer: referrer.map(|mut page| {
                policy.query_parameters.strip_disallowed(&mut page);
                page
            }),
            title: from
                .title
                .map(sanitize_text)
                .filter(|title| !title.is_empty()),
            method: validate_method(from.method)?,
            status_code: validate_status_code(from.status_code)?,
            response_time_ms: from.response_time_ms.map(|ms| ms.min(i32::MAX as u32)),
            // The visit's id links it to no other visit, and stays the same if the request is
            // repeated. A prefetch is not a visit of the person and must not make their session a
            // bot's.
            visitor_id: if opted_out || headers.as_ref().is_some_and(is_prefetch) {
                Some(id.simple().to_string())
            } else {
                visitor_id
            },
            user_id: user_id.filter(|_| !opted_out),
            headers,
            properties: validate_properties(from.properties.unwrap_or_default())?,
        })
    }
}

pub(super) fn resolve_id_and_timestamp(
    id: Option<Uuid>,
    timestamp: Option<DateTime<Utc>>,
    retention: RetentionPeriod,
    now: DateTime<Utc>,
) -> Result<(Uuid, DateTime<Utc>), ValidationError> {
    let timestamp = match (timestamp, id) {
        (Some(timestamp), _) => timestamp,
        (None, Some(id)) => timestamp_of(id).ok_or(ValidationError::TimestampRequired)?,
        (None, None) => now,
    };
    if timestamp > now + MAX_CLOCK_SKEW {
        return Err(ValidationError::TimestampInFuture(now));
    }
    if timestamp.timestamp() < MIN_TIMESTAMP_SECS {
        return Err(ValidationError::TimestampTooOld);
    }
    if let Some(earliest) = retention.earliest_accepted(now).filter(|e| timestamp < *e) {
        return Err(ValidationError::TimestampBeyondRetention(earliest));
    }
    // PostgreSQL stores microseconds. With a higher precision, a repeated visit would not be equal
    // to the stored one.
    let timestamp = DateTime::from_timestamp_micros(timestamp.timestamp_micros())
        .ok_or(ValidationError::TimestampTooOld)?;
    Ok((id.unwrap_or_else(|| Clock::new_id_at(timestamp)), timestamp))
}
