//! Visits as clients submit them, and their validation.

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

/// The tolerance for clients' clocks that are fast.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);
/// 1990-01-01. An earlier time is a mistake of the client.
const MIN_TIMESTAMP_SECS: i64 = 631_152_000;

const MAX_URL_BYTES: usize = 4_096;
const MAX_HOST_BYTES: usize = 253;
const MAX_ID_BYTES: usize = 128;
const MAX_TEXT_BYTES: usize = 1_024;
const MAX_PROPERTIES_BYTES: usize = 8_192;
const MAX_HEADERS: usize = 64;

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

/// An invalid visit, event, engagement report or site setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    #[error("the URL must be absolute, use http or https, and have at most 4096 bytes: {0}")]
    Url(String),
    #[error("the address must be an IPv4 or IPv6 address")]
    Ip,
    #[error("the site must be a host name such as example.com")]
    Site,
    #[error(
        "an id that is not a UUIDv7 requires a timestamp, else a repeated request is recorded twice"
    )]
    TimestampRequired,
    /// Contains the current time of the server.
    #[error("the timestamp must be at most 5 minutes after the server's time, {0}")]
    TimestampInFuture(DateTime<Utc>),
    #[error("the timestamp must be in 1990 or later")]
    TimestampTooOld,
    /// Refused, because a duplicate of a deleted visit cannot be detected. Contains the earliest
    /// time.
    #[error("the timestamp must be {0} or later, because older data are not kept")]
    TimestampBeyondRetention(DateTime<Utc>),
    #[error("the method must have 1 to 16 letters")]
    Method,
    #[error("the status code must be between 100 and 599")]
    StatusCode,
    #[error("at most 64 headers are allowed, with names and values of at most 1024 bytes")]
    Headers,
    /// Contains the name of the field.
    #[error("the id must have 1 to 128 bytes and no control characters")]
    Id(&'static str),
    #[error("the properties must have at most 8192 bytes as JSON and no U+0000")]
    Properties,
    #[error("the metadata must have at most 8192 bytes as JSON and no U+0000")]
    Metadata,
    #[error("the event type must have 1 to 128 bytes and no control characters")]
    EventType,
    #[error("the time zone must be an IANA name such as Europe/Berlin")]
    TimeZone,
    #[error("at most 100 aliases are allowed, each a host name other than the domain")]
    Aliases,
    #[error("at most 100 entries are allowed, each an address or network such as 203.0.113.0/24")]
    IgnoredAddresses,
    #[error("at most 100 paths are allowed, each starting with / or *, such as /admin/*")]
    IgnoredPaths,
    #[error("the retention must be between 1 and 36500 days")]
    RetentionDays,
    #[error("at most 10 properties are allowed, with names of 1 to 64 bytes without = or U+0000")]
    SiteProperties,
    #[error("the scroll depth must be between 0 and 100")]
    ScrollDepth,
    #[error("a visitor_id, a user_id, or both ip and user_agent are required")]
    VisitorRequired,
}

impl ValidationError {
    /// The stable code in the API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "URL_INVALID",
            Self::Ip => "IP_INVALID",
            Self::Site => "SITE_INVALID",
            Self::TimestampRequired => "TIMESTAMP_REQUIRED",
            Self::TimestampInFuture(_) => "TIMESTAMP_IN_FUTURE",
            Self::TimestampTooOld => "TIMESTAMP_TOO_OLD",
            Self::TimestampBeyondRetention(_) => "TIMESTAMP_BEYOND_RETENTION",
            Self::Method => "METHOD_INVALID",
            Self::StatusCode => "STATUS_CODE_INVALID",
            Self::Headers => "HEADERS_INVALID",
            Self::Id(_) => "ID_INVALID",
            Self::Properties | Self::SiteProperties => "PROPERTIES_INVALID",
            Self::Metadata => "METADATA_INVALID",
            Self::EventType => "EVENT_TYPE_INVALID",
            Self::TimeZone => "TIME_ZONE_INVALID",
            Self::IgnoredAddresses => "IGNORED_ADDRESSES_INVALID",
            Self::IgnoredPaths => "IGNORED_PATHS_INVALID",
            Self::RetentionDays => "RETENTION_DAYS_INVALID",
            Self::Aliases => "ALIASES_INVALID",
            Self::ScrollDepth => "SCROLL_DEPTH_INVALID",
            Self::VisitorRequired => "VISITOR_REQUIRED",
        }
    }

    /// The name of the invalid field in the API.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Ip => "ip",
            Self::Site => "site",
            Self::TimestampRequired
            | Self::TimestampInFuture(_)
            | Self::TimestampTooOld
            | Self::TimestampBeyondRetention(_) => "timestamp",
            Self::Method => "method",
            Self::StatusCode => "status_code",
            Self::Headers => "headers",
            Self::Id(field) => field,
            Self::Properties | Self::SiteProperties => "properties",
            Self::Metadata => "metadata",
            Self::EventType => "event_type",
            Self::TimeZone => "time_zone",
            Self::IgnoredAddresses => "ignored_addresses",
            Self::IgnoredPaths => "ignored_paths",
            Self::RetentionDays => "retention_days",
            Self::Aliases => "aliases",
            Self::ScrollDepth => "scroll_depth",
            Self::VisitorRequired => "visitor_id",
        }
    }
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
        let referrer = from.referrer.as_deref().and_then(parse_referrer);
        let host = url.host_str().unwrap_or_default();
        let site = normalize_domain(from.site.as_deref().unwrap_or(host))?;
        let ip: IpAddr = from.ip.trim().parse().map_err(|_| ValidationError::Ip)?;
        let ip = ip.to_canonical();
        let own =
            |id: Option<String>, field| id.map(|id| validate_external_id(id, field)).transpose();
        let visitor_id = own(from.visitor_id, "visitor_id")?;
        let user_id = own(from.user_id, "user_id")?;
        let headers = from.headers.map(request_headers).transpose()?;
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

fn parse_page_url(text: &str) -> Result<Url, ValidationError> {
    if text.len() > MAX_URL_BYTES {
        return Err(ValidationError::Url("too long".into()));
    }
    let url = Url::parse(text).map_err(|error| ValidationError::Url(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ValidationError::Url(format!("not {}", url.scheme())));
    }
    Ok(strip_fragment_and_credentials(url))
}

/// Parses a referrer: the URL of a page or an Android app.
fn parse_referrer(text: &str) -> Option<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|_| text.len() <= MAX_URL_BYTES)?;
    let known = matches!(url.scheme(), "http" | "https" | "android-app");
    (known && url.has_host()).then(|| strip_fragment_and_credentials(url))
}

fn strip_fragment_and_credentials(mut url: Url) -> Url {
    url.set_fragment(None);
    // Both fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Normalizes the domain of a site: lower case, internationalized names in ASCII (Punycode).
pub fn normalize_domain(name: &str) -> Result<String, ValidationError> {
    let name = name.trim().trim_end_matches('.');
    let host = url::Host::parse(name).map_err(|_| ValidationError::Site)?;
    let host = host.to_string();
    if host.len() > MAX_HOST_BYTES {
        return Err(ValidationError::Site);
    }
    Ok(host)
}

fn validate_method(method: Option<String>) -> Result<String, ValidationError> {
    let Some(method) = method else {
        return Ok("GET".into());
    };
    let letters = method.bytes().all(|b| b.is_ascii_alphabetic());
    if method.is_empty() || method.len() > 16 || !letters {
        return Err(ValidationError::Method);
    }
    Ok(method.to_ascii_uppercase())
}

fn validate_status_code(code: Option<u16>) -> Result<Option<u16>, ValidationError> {
    match code {
        Some(code) if !(100..=599).contains(&code) => Err(ValidationError::StatusCode),
        code => Ok(code),
    }
}

fn request_headers(given: HashMap<String, String>) -> Result<RequestHeaders, ValidationError> {
    let long = |(name, value): (&String, &String)| name.len().max(value.len()) > MAX_TEXT_BYTES;
    if given.len() > MAX_HEADERS || given.iter().any(long) {
        return Err(ValidationError::Headers);
    }
    Ok(given.into_iter().collect())
}

/// Validates a site's own id of a visitor or user. `field` is its name in the API.
pub fn validate_external_id(id: String, field: &'static str) -> Result<String, ValidationError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
        return Err(ValidationError::Id(field));
    }
    Ok(id)
}

pub(super) fn validate_properties(
    properties: Map<String, Value>,
) -> Result<Map<String, Value>, ValidationError> {
    let json = serde_json::to_string(&properties).map_err(|_| ValidationError::Properties)?;
    if json.len() > MAX_PROPERTIES_BYTES || contains_nul(&properties) {
        return Err(ValidationError::Properties);
    }
    Ok(properties)
}

/// PostgreSQL cannot store U+0000 in `jsonb`. The JSON parser limits the depth of the recursion.
fn contains_nul(object: &Map<String, Value>) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(in_value),
            Value::Object(object) => contains_nul(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let field = |(name, value): (&String, &Value)| name.contains('\0') || in_value(value);
    object.iter().any(field)
}

/// Removes control characters from untrusted text and cuts it to [`MAX_TEXT_BYTES`].
pub(super) fn sanitize_text(text: String) -> String {
    let mut text = if text.contains(char::is_control) {
        text.replace(char::is_control, "")
    } else {
        text
    };
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}
