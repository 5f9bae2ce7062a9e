//! The columns of an exported file.

/// What a column holds; any value may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A moment, in microseconds.
    Time,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Truth,
    /// Texts without spaces.
    Texts,
    /// A JSON object.
    Json,
}

/// Each with its name, in the order of files.
pub const COLUMNS: [(&str, Kind); 51] = [
    ("id", Kind::Text),
    ("site", Kind::Text),
    ("timestamp", Kind::Time),
    ("received_at", Kind::Time),
    ("url", Kind::Text),
    ("path", Kind::Text),
    ("title", Kind::Text),
    ("referrer", Kind::Text),
    ("source", Kind::Text),
    ("medium", Kind::Text),
    ("channel", Kind::Text),
    ("utm_source", Kind::Text),
    ("utm_medium", Kind::Text),
    ("utm_campaign", Kind::Text),
    ("utm_term", Kind::Text),
    ("utm_content", Kind::Text),
    ("method", Kind::Text),
    ("status_code", Kind::Whole),
    ("response_time_ms", Kind::Whole),
    ("visitor_id", Kind::Text),
    ("session_id", Kind::Text),
    ("user_id", Kind::Text),
    ("ip", Kind::Text),
    ("country_code", Kind::Text),
    ("country", Kind::Text),
    ("region_code", Kind::Text),
    ("region", Kind::Text),
    ("city", Kind::Text),
    ("latitude", Kind::Number),
    ("longitude", Kind::Number),
    ("time_zone", Kind::Text),
    ("asn", Kind::Whole),
    ("as_organization", Kind::Text),
    ("user_agent", Kind::Text),
    ("browser", Kind::Text),
    ("browser_version", Kind::Text),
    ("os", Kind::Text),
    ("os_version", Kind::Text),
    ("device_type", Kind::Text),
    ("brand", Kind::Text),
    ("model", Kind::Text),
    ("language", Kind::Text),
    ("is_bot", Kind::Truth),
    ("bot_name", Kind::Text),
    ("bot_category", Kind::Text),
    ("bot_score", Kind::Whole),
    ("bot_reasons", Kind::Texts),
    ("ruleset", Kind::Whole),
    ("engagement_seconds", Kind::Whole),
    ("scroll_depth", Kind::Whole),
    ("properties", Kind::Json),
];
