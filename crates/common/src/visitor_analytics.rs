//! What `visitor-analytics` tells: a visit, and the event about a new visitor.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// The event that announces a genuine visitor; its `data` is a [`VisitorArrived`].
pub const VISITOR_ARRIVED: &str = "visitor.arrived";

/// A recorded visit: one page view of a site, with what was found out about it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Visit {
    /// The visit's id.
    pub id: Uuid,
    /// The site it belongs to, such as `example.com`.
    pub site: String,
    /// When the page was asked for.
    pub timestamp: DateTime<Utc>,
    /// When it was recorded here.
    pub received_at: DateTime<Utc>,
    /// The page's address, without fragment and credentials.
    pub url: String,
    /// The path of `url`.
    pub path: String,
    /// The page's title, where given.
    pub title: Option<String>,
    /// The page that led here.
    pub referrer: Option<String>,
    /// Where the visitor came from: `utm_source`, a name such as `google`, a host, or `(direct)`.
    pub source: String,
    /// How: `utm_medium`, `cpc`, `organic`, `social`, `ai-assistant`, `referral` or `(none)`.
    pub medium: String,
    /// The acquisition channel, such as `Organic Search`.
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
    /// The request's method.
    pub method: String,
    /// What the site answered.
    pub status_code: Option<u16>,
    /// How long it took the site, in milliseconds.
    pub response_time_ms: Option<u32>,
    /// The visitor, as far as one can be told from another.
    pub visitor_id: String,
    /// The session the visit belongs to.
    pub session_id: Uuid,
    /// The site's own name for the user.
    pub user_id: Option<String>,
    /// The visitor's address, as far as the owner keeps it.
    #[schema(value_type = Option<String>)]
    pub ip: Option<IpAddr>,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Country, in English.
    pub country: Option<String>,
    /// Region, ISO 3166-2 without the country.
    pub region_code: Option<String>,
    /// Region, in English.
    pub region: Option<String>,
    /// City, in English.
    pub city: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs the autonomous system.
    pub as_organization: Option<String>,
    /// Browser, such as `Firefox`.
    pub browser: Option<String>,
    /// Its version.
    pub browser_version: Option<String>,
    /// Operating system, such as `Windows`.
    pub os: Option<String>,
    /// Its version.
    pub os_version: Option<String>,
    /// `desktop`, `smartphone`, `tablet`, `tv`, `console`, `wearable`, `bot` or `other`.
    pub device_type: String,
    /// Who makes the device, where known.
    pub brand: Option<String>,
    /// Which model it is, where known.
    pub model: Option<String>,
    /// The language asked for first, such as `de` or `pt-BR`.
    pub language: Option<String>,
    /// Whether a bot asked for the page.
    pub is_bot: bool,
    /// Which bot, where known.
    pub bot_name: Option<String>,
    /// What kind of bot, such as `search_engine`, where known.
    pub bot_category: Option<String>,
    /// From 0 (a person) to 100 (a bot).
    pub bot_score: u8,
    /// Stable codes of the rules that fired.
    pub bot_reasons: Vec<String>,
    /// The version of the rules that judged.
    pub ruleset: u16,
    /// Seconds the page was visible, where measured.
    pub engagement_seconds: Option<u32>,
    /// How far the page was scrolled, in per cent, where measured.
    pub scroll_depth: Option<u8>,
    /// What the site said beside it.
    pub properties: Map<String, Value>,
}

/// `data` of the event `visitor.arrived`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VisitorArrived {
    /// The visit that began the session.
    pub visit: Visit,
    /// The session so far.
    pub session: ArrivedSession,
    /// The visitor so far.
    pub visitor: ArrivedVisitor,
}

/// The session of a [`VisitorArrived`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArrivedSession {
    /// The session's id.
    pub id: Uuid,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Visits so far.
    pub visits: u32,
}

/// The visitor of a [`VisitorArrived`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArrivedVisitor {
    /// The visitor's id.
    pub id: String,
    /// Whether the visitor had a session before.
    pub returning: bool,
    /// How many.
    pub previous_sessions: u32,
    /// The network that the visitor comes from, such as `203.0.113.0/24`: a /24 or a /48.
    #[serde(default)]
    pub network: Option<String>,
}
