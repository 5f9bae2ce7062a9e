//! Finds the format of a file from its first lines.

use serde_json::{Map, Value};

use super::access_log;
use super::format::ImportFormat;
use super::json_log;
use super::parsed_line::LineParseError;
use crate::domain::export::csv;

/// The format of a file, as far as its lines show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectedFormat {
    Format(ImportFormat),
    /// The file contains totals per day, as exports of Plausible do.
    DailyTotals,
}

/// Detects the format of a file from one of its first lines; `None` if the line does not show it.
#[must_use]
pub fn detect_format(line: &str) -> Option<DetectedFormat> {
    let format = DetectedFormat::Format;
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    if line.starts_with('#') {
        let directives = ["#fields:", "#version:", "#software:", "#date:"];
        let line = line.to_ascii_lowercase();
        let is_directive = directives.iter().any(|name| line.starts_with(name));
        return is_directive.then_some(format(ImportFormat::W3c));
    }
    if line.starts_with('{') {
        let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
        return json_log::detect_format(&fields).map(format);
    }
    match access_log::parse_line(line, ImportFormat::Combined.name()) {
        Ok(request) if request.referrer.is_none() && request.user_agent.is_none() => {
            // A line of the combined format may lack both, but has quotes after the request.
            let quotes = line.matches('"').count();
            let is_common = quotes <= 2;
            return Some(format(if is_common {
                ImportFormat::Common
            } else {
                ImportFormat::Combined
            }));
        }
        Ok(_) | Err(LineParseError::HostNames | LineParseError::NoAddress) => {
            return Some(format(ImportFormat::Combined));
        }
        Err(_) => {}
    }
    detect_csv(line)
}

fn detect_csv(header: &str) -> Option<DetectedFormat> {
    let names = csv::parse_record(header)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("url_path") && (has("session_id") || has("website_id")) {
        Some(DetectedFormat::Format(ImportFormat::Umami))
    } else if has("url") && (has("ip") || has("user_agent") || has("received_at")) {
        Some(DetectedFormat::Format(ImportFormat::Csv))
    } else if has("date") && (has("visitors") || has("pageviews") || has("visits")) {
        Some(DetectedFormat::DailyTotals)
    } else {
        None
    }
}
