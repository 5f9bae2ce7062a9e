//! Types of `visitor-analytics`: a visit, and the data of the event `visitor.arrived`.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::readable_url::readable_path;

/// Event about a new session of a person. Its `data` is a [`VisitorArrived`].
pub const VISITOR_ARRIVED: &str = "visitor.arrived";

/// A recorded page view with its source, location, device and bot verdict.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Visit {
    /// Id of the visit.
    pub id: Uuid,
    /// Domain of the site, such as `example.com`.
    pub site: String,
    /// Time of the page view.
    pub timestamp: DateTime<Utc>,
    /// Time at which the visit was recorded.
    pub received_at: DateTime<Utc>,
    /// URL of the page, without fragment and credentials.
    pub url: String,
    /// Path of `url`. In JSON with decoded characters, such as `/schön`.
    #[serde(serialize_with = "serialize_readable_path")]
    pub path: String,
    /// Title of the page.
    pub title: Option<String>,
    /// URL of the page that linked to this page.
    pub referrer: Option<String>,
    /// Traffic source: `utm_source`, a name such as `google`, a host, or `(direct)`.
    pub source: String,
    /// Name of the source as people write it, such as `Wikipedia` or `X`.
    #[serde(default)]
    pub source_name: String,
    /// Traffic medium: `utm_medium`, `cpc`, `organic`, `social`, `ai-assistant`, `referral` or
    /// `(none)`.
    pub medium: String,
    /// Acquisition channel, such as `Organic Search`.
    pub channel: Option<String>,
    /// `utm_source` of the URL.
    pub utm_source: Option<String>,
    /// `utm_medium` of the URL.
    pub utm_medium: Option<String>,
    /// `utm_campaign` of the URL.
    pub utm_campaign: Option<String>,
    /// `utm_term` of the URL.
    pub utm_term: Option<String>,
    /// `utm_content` of the URL.
    pub utm_content: Option<String>,
    /// HTTP method of the request.
    pub method: String,
    /// HTTP status of the site's response.
    pub status_code: Option<u16>,
    /// Response time of the site, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// Id of the visitor.
    pub visitor_id: String,
    /// Id of the session.
    pub session_id: Uuid,
    /// Id of the user on the site.
    pub user_id: Option<String>,
    /// IP address of the visitor; null, shortened or complete, depending on the settings.
    #[schema(value_type = Option<String>)]
    pub ip: Option<IpAddr>,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Name of the country in English.
    pub country: Option<String>,
    /// Region, ISO 3166-2 without the country code.
    pub region_code: Option<String>,
    /// Name of the region in English.
    pub region: Option<String>,
    /// Name of the city in English.
    pub city: Option<String>,
    /// Latitude in degrees, -90 to 90.
    pub latitude: Option<f64>,
    /// Longitude in degrees, -180 to 180.
    pub longitude: Option<f64>,
    /// IANA time zone, such as `Europe/London`.
    pub time_zone: Option<String>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Organization of the autonomous system.
    pub as_organization: Option<String>,
    /// Browser, such as `Firefox`.
    pub browser: Option<String>,
    /// Version of the browser.
    pub browser_version: Option<String>,
    /// Operating system, such as `Windows`.
    pub os: Option<String>,
    /// Version of the operating system.
    pub os_version: Option<String>,
    /// Type of device: `desktop`, `smartphone`, `tablet`, `tv`, `console`, `wearable`, `bot` or
    /// `other`.
    pub device_type: String,
    /// Manufacturer of the device.
    pub brand: Option<String>,
    /// Model of the device.
    pub model: Option<String>,
    /// Preferred language of the browser, such as `de` or `pt-BR`.
    pub language: Option<String>,
    /// Whether the visit is classified as a bot's.
    pub is_bot: bool,
    /// Name of the bot.
    pub bot_name: Option<String>,
    /// Category of the bot, such as `search_engine`.
    pub bot_category: Option<String>,
    /// Score from 0 (person) to 100 (bot).
    pub bot_score: u8,
    /// Codes of the bot rules that matched.
    pub bot_reasons: Vec<String>,
    /// Version of the bot rules.
    pub ruleset: u16,
    /// Time that the page was visible, in seconds.
    pub engagement_seconds: Option<u32>,
    /// Maximum scroll depth, in percent of the page.
    pub scroll_depth: Option<u8>,
    /// Custom properties that the site sent with the visit.
    pub properties: Map<String, Value>,
}

/// Serializes the path of a page [as people read it](readable_path).
pub fn serialize_readable_path<S: Serializer>(
    path: &str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&readable_path(path))
}

/// The `data` of the event `visitor.arrived`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VisitorArrived {
    /// First visit of the session.
    pub visit: Visit,
    /// The session.
    pub session: ArrivedSession,
    /// The visitor.
    pub visitor: ArrivedVisitor,
}

/// Session of the event `visitor.arrived`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArrivedSession {
    /// Id of the session.
    pub id: Uuid,
    /// Start of the session.
    pub started_at: DateTime<Utc>,
    /// Number of visits so far.
    pub visits: u32,
}

/// Visitor of the event `visitor.arrived`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArrivedVisitor {
    /// Id of the visitor.
    pub id: String,
    /// Whether the visitor has had an earlier session.
    pub returning: bool,
    /// Number of earlier sessions.
    pub previous_sessions: u32,
    /// Network of the visitor: an IPv4 /24 such as `203.0.113.0/24`, or an IPv6 /48.
    #[serde(default)]
    pub network: Option<String>,
}
