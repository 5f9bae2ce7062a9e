//! Why a visit, an event, an engagement report or a setting of a site is invalid.

use chrono::{DateTime, Utc};

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
