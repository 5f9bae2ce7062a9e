//! The columns of an exported file.

/// What a column holds; any value may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
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
pub const EXPORT_COLUMNS: [(&str, ColumnType); 51] = [
    ("id", ColumnType::Text),
    ("site", ColumnType::Text),
    ("timestamp", ColumnType::Time),
    ("received_at", ColumnType::Time),
    ("url", ColumnType::Text),
    ("path", ColumnType::Text),
    ("title", ColumnType::Text),
    ("referrer", ColumnType::Text),
    ("source", ColumnType::Text),
    ("medium", ColumnType::Text),
    ("channel", ColumnType::Text),
    ("utm_source", ColumnType::Text),
    ("utm_medium", ColumnType::Text),
    ("utm_campaign", ColumnType::Text),
    ("utm_term", ColumnType::Text),
    ("utm_content", ColumnType::Text),
    ("method", ColumnType::Text),
    ("status_code", ColumnType::Whole),
    ("response_time_ms", ColumnType::Whole),
    ("visitor_id", ColumnType::Text),
    ("session_id", ColumnType::Text),
    ("user_id", ColumnType::Text),
    ("ip", ColumnType::Text),
    ("country_code", ColumnType::Text),
    ("country", ColumnType::Text),
    ("region_code", ColumnType::Text),
    ("region", ColumnType::Text),
    ("city", ColumnType::Text),
    ("latitude", ColumnType::Number),
    ("longitude", ColumnType::Number),
    ("time_zone", ColumnType::Text),
    ("asn", ColumnType::Whole),
    ("as_organization", ColumnType::Text),
    ("user_agent", ColumnType::Text),
    ("browser", ColumnType::Text),
    ("browser_version", ColumnType::Text),
    ("os", ColumnType::Text),
    ("os_version", ColumnType::Text),
    ("device_type", ColumnType::Text),
    ("brand", ColumnType::Text),
    ("model", ColumnType::Text),
    ("language", ColumnType::Text),
    ("is_bot", ColumnType::Truth),
    ("bot_name", ColumnType::Text),
    ("bot_category", ColumnType::Text),
    ("bot_score", ColumnType::Whole),
    ("bot_reasons", ColumnType::Texts),
    ("ruleset", ColumnType::Whole),
    ("engagement_seconds", ColumnType::Whole),
    ("scroll_depth", ColumnType::Whole),
    ("properties", ColumnType::Json),
];
