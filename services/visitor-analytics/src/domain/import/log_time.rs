//! Parses the times of logs.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde_json::Value;

/// Formats with a time zone.
const FORMATS: [&str; 4] = [
    "%d/%b/%Y:%H:%M:%S%.f %z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y/%m/%d %H:%M:%S%.f%z",
];

/// Parses a time with a time zone, such as `20/Nov/2026:10:13:55 +0000`.
pub(super) fn parse_log_time(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let zone = ["GMT", "UTC", "Z"]
        .into_iter()
        .find_map(|zone| text.strip_suffix(zone));
    let normalized = zone.map(|time| format!("{time}+0000"));
    let text = normalized.as_deref().unwrap_or(text);
    FORMATS.into_iter().find_map(|format| {
        let time = DateTime::parse_from_str(text, format).ok()?;
        Some(time.with_timezone(&Utc))
    })
}

/// Parses the time in a JSON log: a text, or the time since 1970 in seconds, milliseconds,
/// microseconds or nanoseconds.
pub(super) fn parse_json_time(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(number) => parse_unix_time(number.as_f64()?),
        Value::String(text) => match text.trim().parse() {
            Ok(number) => parse_unix_time(number),
            Err(_) => parse_log_time(text).or_else(|| parse_utc(text)),
        },
        _ => None,
    }
}

/// Parses a time without a time zone, which is in UTC.
pub(super) fn parse_utc(text: &str) -> Option<DateTime<Utc>> {
    let formats = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y/%m/%d %H:%M:%S%.f",
    ];
    let parsed = formats
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text.trim(), format).ok());
    parsed.map(|time| time.and_utc())
}

/// Combines a day and a time of day in UTC.
pub(super) fn combine_utc(day: &str, time: &str) -> Option<DateTime<Utc>> {
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f").ok()?;
    Some(day.and_time(time).and_utc())
}

fn parse_unix_time(number: f64) -> Option<DateTime<Utc>> {
    // The unit follows from the size: 10^11 seconds are in the year 5138.
    let micros = match number {
        n if !n.is_finite() || n < 0.0 => return None,
        n if n < 1e11 => n * 1e6,
        n if n < 1e14 => n * 1e3,
        n if n < 1e17 => n,
        n => n / 1e3,
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and a time out of range is None"
    )]
    let micros = micros.round() as i64;
    DateTime::from_timestamp_micros(micros)
}
