//! A visit as a client sends it, and as the service accepts it.

use std::collections::HashMap;
use std::net::IpAddr;

use bot_detection::is_prefetch;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::{Clock, moment_of};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use user_agent::RequestHeaders;
use utoipa::ToSchema;
use uuid::Uuid;

use super::policy::{PrivacyPolicy, RetentionPeriod};
use super::source::AdNetwork;

/// Clients' clocks may be ahead of ours by this much.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);
/// The Web's first year; an earlier time is a client's mistake.
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
    /// Makes the visit safe to send again; best a `UUIDv7`.
    pub id: Option<Uuid>,
    /// The site; without it the URL's host.
    pub site: Option<String>,
    /// When the page was asked for; without it now, or the time inside `id`.
    pub timestamp: Option<DateTime<Utc>>,
    /// The page's full address.
    pub url: String,
    /// The visitor's address.
    pub ip: String,
    /// The visitor's user agent; `null` where the visitor sent none.
    #[serde(deserialize_with = "present")]
    #[schema(required)]
    pub user_agent: Option<String>,
    /// The page that led here.
    pub referrer: Option<String>,
    /// The page's title.
    pub title: Option<String>,
    /// The request's method; `GET` without it.
    pub method: Option<String>,
    /// What the site answered.
    pub status_code: Option<u16>,
    /// How long it took the site, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// The HTTP version the visitor spoke.
    pub http_version: Option<String>,
    /// The visitor's request headers, names in any case.
    pub headers: Option<HashMap<String, String>>,
    /// The site's own id for the visitor, instead of one that is made here.
    pub visitor_id: Option<String>,
    /// The site's own id for a user who is logged in.
    pub user_id: Option<String>,
    /// Whatever else the site wants to keep.
    pub properties: Option<Map<String, Value>>,
}

/// A field may be null, but it may not be missing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}

/// Why a visit is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// No such URL can be visited.
    #[error("the URL must be absolute, http or https, with a host, of at most 4096 bytes: {0}")]
    Url(String),
    /// The address is none.
    #[error("this is no IPv4 or IPv6 address")]
    Ip,
    /// The site is no host name.
    #[error("a site is a host name such as example.com")]
    Site,
    /// A visit that is sent again must land in the same place.
    #[error(
        "an id that is no UUIDv7 needs a timestamp beside it, else sending again would record it twice"
    )]
    TimestampRequired,
    /// The client's clock is wrong.
    #[error("the time lies more than 5 minutes ahead of {0}")]
    TimestampInFuture(DateTime<Utc>),
    /// The client's clock is very wrong.
    #[error("the time lies before 1990")]
    TimestampTooOld,
    /// Such visits are not kept any more, and one sent again would be recorded twice.
    #[error("visits from before {0} are not kept any more")]
    TimestampBeyondRetention(DateTime<Utc>),
    /// Not a method of HTTP.
    #[error("a method has at most 16 letters")]
    Method,
    /// Not a status of HTTP.
    #[error("a status code lies between 100 and 599")]
    StatusCode,
    /// Too many headers, or too long ones.
    #[error("at most 64 headers, each at most 1024 bytes")]
    Headers,
    /// An id of the site's own that cannot be kept.
    #[error("at most 128 bytes, without control characters, and not empty")]
    Id(&'static str),
    /// Properties that cannot be kept.
    #[error("properties may have 8192 bytes as JSON, and no U+0000")]
    Properties,
    /// An event's properties that cannot be kept.
    #[error("metadata may have 8192 bytes as JSON, and no U+0000")]
    Metadata,
    /// Not a name of a kind of event.
    #[error("a kind of event has 1 to 128 bytes, without control characters")]
    EventType,
    /// Not a time zone.
    #[error("a time zone has an IANA name such as Europe/Berlin")]
    TimeZone,
    /// Not other domains of a site.
    #[error("aliases are at most 100 host names, and not the domain itself")]
    Aliases,
    /// Not networks.
    #[error("at most 100 addresses or networks such as 203.0.113.0/24")]
    IgnoredAddresses,
    /// Not paths.
    #[error("at most 100 paths such as /admin/*")]
    IgnoredPaths,
    /// Not a time to keep visits.
    #[error("visits are kept for 1 to 36500 days")]
    RetentionDays,
    /// Not names of properties.
    #[error("at most 10 names of properties, each of 1 to 64 bytes, without =")]
    SiteProperties,
    /// Not a part of a page.
    #[error("a depth lies between 0 and 100")]
    ScrollDepth,
    /// Nobody did it.
    #[error("a visitor_id is needed, or ip and user_agent, or a user_id")]
    VisitorRequired,
}

impl ValidationError {
    /// A stable code.
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

    /// The field that is wrong.
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

/// A visit that can be recorded.
#[derive(Clone, Debug)]
pub struct NewVisit {
    /// The visit's id, the client's or a new one.
    pub id: Uuid,
    /// When it happened, in microseconds' precision.
    pub timestamp: DateTime<Utc>,
    /// The client gave the id, and it does not carry this very time: the primary key alone cannot
    /// tell whether another site has it.
    pub needs_id_check: bool,
    /// The site's domain, in lower case.
    pub site: String,
    /// The page, without fragment, credentials and the parameters that are not kept.
    pub url: Url,
    /// Whose click led here, where the page's parameters told.
    pub click: Option<AdNetwork>,
    /// The visitor's address; IPv4 in IPv6 is IPv4.
    pub ip: IpAddr,
    /// What is kept of the address.
    pub kept_ip: Option<IpAddr>,
    /// The visitor asked not to be followed: the visit is a visitor of its own, nobody is told of
    /// it, and its address is not kept.
    pub opted_out: bool,
    /// The visitor's user agent; empty where there was none.
    pub user_agent: String,
    /// The page that led here, where it is a URL.
    pub referrer: Option<Url>,
    /// The page's title.
    pub title: Option<String>,
    /// The request's method.
    pub method: String,
    /// What the site answered.
    pub status_code: Option<u16>,
    /// How long it took the site, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// The visitor's request headers; `None` where the client sent none.
    pub headers: Option<RequestHeaders>,
    /// The site's own id for the visitor; the visit's where the visitor opted out, and where the
    /// page was fetched for later.
    pub visitor_id: Option<String>,
    /// The site's own id for the user.
    pub user_id: Option<String>,
    /// What else the site wants to keep.
    pub properties: Map<String, Value>,
}

impl NewVisit {
    /// Accepts a visit at `now`, or says what is wrong with it. What the `policy` does not let be
    /// kept is left out.
    pub fn accept(
        from: SubmittedVisit,
        policy: &PrivacyPolicy,
        now: DateTime<Utc>,
    ) -> Result<Self, ValidationError> {
        let (id, timestamp) = place_in_time(from.id, from.timestamp, policy.retention, now)?;
        let needs_id_check = from.id.is_some() && moment_of(id) != Some(timestamp);
        let mut url = page(&from.url)?;
        let click = AdNetwork::of(&url);
        policy.parameters.strip(&mut url);
        let referrer = from.referrer.as_deref().and_then(referring_page);
        let host = url.host_str().unwrap_or_default();
        let site = site(from.site.as_deref().unwrap_or(host))?;
        let ip: IpAddr = from.ip.trim().parse().map_err(|_| ValidationError::Ip)?;
        let ip = ip.to_canonical();
        let own = |id: Option<String>, field| id.map(|id| own_id(id, field)).transpose();
        let visitor_id = own(from.visitor_id, "visitor_id")?;
        let user_id = own(from.user_id, "user_id")?;
        let headers = from.headers.map(request_headers).transpose()?;
        let opted_out = policy.opted_out(headers.as_ref());
        Ok(Self {
            id,
            timestamp,
            needs_id_check,
            site,
            url,
            click,
            ip,
            kept_ip: policy.store_ip.kept(ip).filter(|_| !opted_out),
            opted_out,
            user_agent: text(from.user_agent.unwrap_or_default()),
            referrer: referrer.map(|mut page| {
                policy.parameters.strip(&mut page);
                page
            }),
            title: from.title.map(text).filter(|title| !title.is_empty()),
            method: method(from.method)?,
            status_code: status_code(from.status_code)?,
            response_time_ms: from.response_time_ms.map(|ms| ms.min(i32::MAX as u32)),
            // The visit's own id ties it to no other, and is the same when it is sent again. What is
            // fetched for later is no visit of the person, and must not make their session a bot's.
            visitor_id: if opted_out || headers.as_ref().is_some_and(is_prefetch) {
                Some(id.simple().to_string())
            } else {
                visitor_id
            },
            user_id: user_id.filter(|_| !opted_out),
            headers,
            properties: properties(from.properties.unwrap_or_default())?,
        })
    }
}

pub(super) fn place_in_time(
    id: Option<Uuid>,
    timestamp: Option<DateTime<Utc>>,
    retention: RetentionPeriod,
    now: DateTime<Utc>,
) -> Result<(Uuid, DateTime<Utc>), ValidationError> {
    let timestamp = match (timestamp, id) {
        (Some(timestamp), _) => timestamp,
        (None, Some(id)) => moment_of(id).ok_or(ValidationError::TimestampRequired)?,
        (None, None) => now,
    };
    if timestamp > now + MAX_CLOCK_SKEW {
        return Err(ValidationError::TimestampInFuture(now));
    }
    if timestamp.timestamp() < MIN_TIMESTAMP_SECS {
        return Err(ValidationError::TimestampTooOld);
    }
    if let Some(earliest) = retention.earliest(now).filter(|e| timestamp < *e) {
        return Err(ValidationError::TimestampBeyondRetention(earliest));
    }
    // PostgreSQL keeps microseconds; more would make a visit differ from itself.
    let timestamp = DateTime::from_timestamp_micros(timestamp.timestamp_micros())
        .ok_or(ValidationError::TimestampTooOld)?;
    Ok((id.unwrap_or_else(|| Clock::id_at(timestamp)), timestamp))
}

fn page(text: &str) -> Result<Url, ValidationError> {
    if text.len() > MAX_URL_BYTES {
        return Err(ValidationError::Url("too long".into()));
    }
    let url = Url::parse(text).map_err(|error| ValidationError::Url(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ValidationError::Url(format!("not {}", url.scheme())));
    }
    Ok(without_private_parts(url))
}

/// What browsers send as a referrer: a page, or an Android app.
fn referring_page(text: &str) -> Option<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|_| text.len() <= MAX_URL_BYTES)?;
    let known = matches!(url.scheme(), "http" | "https" | "android-app");
    (known && url.has_host()).then(|| without_private_parts(url))
}

fn without_private_parts(mut url: Url) -> Url {
    url.set_fragment(None);
    // These fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// A site's name as it is stored: a host, in lower case, international ones in ASCII as in URLs.
pub fn site(name: &str) -> Result<String, ValidationError> {
    let name = name.trim().trim_end_matches('.');
    let host = url::Host::parse(name).map_err(|_| ValidationError::Site)?;
    let host = host.to_string();
    if host.len() > MAX_HOST_BYTES {
        return Err(ValidationError::Site);
    }
    Ok(host)
}

fn method(method: Option<String>) -> Result<String, ValidationError> {
    let Some(method) = method else {
        return Ok("GET".into());
    };
    let letters = method.bytes().all(|b| b.is_ascii_alphabetic());
    if method.is_empty() || method.len() > 16 || !letters {
        return Err(ValidationError::Method);
    }
    Ok(method.to_ascii_uppercase())
}

fn status_code(code: Option<u16>) -> Result<Option<u16>, ValidationError> {
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

/// An id that a site gives: what it is of is named by `field`.
pub fn own_id(id: String, field: &'static str) -> Result<String, ValidationError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
        return Err(ValidationError::Id(field));
    }
    Ok(id)
}

pub(super) fn properties(
    properties: Map<String, Value>,
) -> Result<Map<String, Value>, ValidationError> {
    let json = serde_json::to_string(&properties).map_err(|_| ValidationError::Properties)?;
    if json.len() > MAX_PROPERTIES_BYTES || has_nul(&properties) {
        return Err(ValidationError::Properties);
    }
    Ok(properties)
}

/// PostgreSQL's JSON cannot hold U+0000. The parser bounds the depth.
fn has_nul(object: &Map<String, Value>) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(in_value),
            Value::Object(object) => has_nul(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let field = |(name, value): (&String, &Value)| name.contains('\0') || in_value(value);
    object.iter().any(field)
}

/// Text of strangers: without control characters, and not longer than is useful.
pub(super) fn text(text: String) -> String {
    let mut text = if text.contains(char::is_control) {
        text.replace(char::is_control, "")
    } else {
        text
    };
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}
