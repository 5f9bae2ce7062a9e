//! Reads the table `website_event` of Umami, which has neither address nor user agent. Such visits
//! keep Umami's session, browser, system and location.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::log_time::{parse_log_time, parse_utc};
use super::page_filter::SkipReason;
use super::parsed_line::{LineParseError, ParsedLine};
use crate::domain::export::ExportedVisit;

/// `event_type` of custom events.
const CUSTOM_EVENT: &str = "2";

/// Parses the values of a line by their column names.
pub(super) fn parse_record(
    values: &Map<String, Value>,
    site: &str,
) -> Result<ParsedLine, LineParseError> {
    let value = |name: &str| {
        let text = values.get(name)?.as_str()?;
        Some(text).filter(|text| !text.is_empty() && *text != "NULL" && *text != "\\N")
    };
    let is_event = match value("event_type") {
        Some(kind) => kind == CUSTOM_EVENT,
        None => value("event_name").is_some(),
    };
    if is_event {
        return Ok(ParsedLine::Skipped(SkipReason::Event));
    }
    let require = |name: &str| value(name).ok_or_else(|| LineParseError::MissingField(name.into()));
    let visitor = require("session_id")?;
    let time = parse_time(require("created_at")?).ok_or(LineParseError::InvalidTime)?;
    let path = require("url_path")?;
    let with_query = |path: &str, query: Option<&str>| {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let query = query.map(|query| format!("?{}", query.trim_start_matches('?')));
        format!("{slash}{path}{}", query.unwrap_or_default())
    };
    let host = value("hostname").unwrap_or(site);
    let referrer = value("referrer_domain").map(|domain| {
        let path = value("referrer_path").unwrap_or("/");
        format!(
            "https://{domain}{}",
            with_query(path, value("referrer_query"))
        )
    });
    let event_id = value("event_id").and_then(|id| id.parse::<Uuid>().ok());
    // ISO 3166-2, such as GB-ENG; without the country in older versions.
    let region = value("region").or(value("subdivision1"));
    let region = region.map(|region| region.split_once('-').map_or(region, |(_, code)| code));
    let country = value("country").filter(|code| code.len() == 2);
    let visit = json!({
        "id": event_id.unwrap_or_default(),
        "site": site,
        "timestamp": time,
        "received_at": time,
        "url": format!("https://{host}{}", with_query(path, value("url_query"))),
        "path": path,
        "title": value("page_title"),
        "referrer": referrer,
        "source": "",
        "medium": "",
        "method": "GET",
        "visitor_id": visitor,
        "session_id": Uuid::nil(),
        "country_code": country.map(str::to_ascii_uppercase),
        "region_code": region.filter(|code| country.is_some() && code.len() <= 3),
        "city": value("city"),
        "browser": value("browser").map(browser_name),
        "os": value("os"),
        "device_type": "other",
        "language": value("language"),
        "is_bot": false,
        "bot_score": 0,
        "bot_reasons": [],
        "ruleset": 0,
        "properties": {},
    });
    let visit = serde_json::from_value::<ExportedVisit>(visit);
    let visit = visit.map_err(|_| LineParseError::InvalidCsv)?;
    Ok(ParsedLine::Exported(Box::new(visit)))
}

/// Parses `2026-11-20 10:13:55.123`, `2026-11-20 10:13:55+00` (PostgreSQL) or RFC 3339.
fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let postgres = || parse_log_time(&format!("{text}:00"));
    parse_log_time(text)
        .or_else(|| parse_utc(text))
        .or_else(postgres)
}

/// The name of a browser that Umami writes in lower case.
fn browser_name(name: &str) -> String {
    let known = [
        ("edge-chromium", "Edge"),
        ("edge", "Edge"),
        ("ios", "Mobile Safari"),
        ("ios-webview", "Mobile Safari"),
        ("crios", "Chrome"),
        ("chromium-webview", "Chrome"),
        ("fxios", "Firefox"),
        ("ie", "Internet Explorer"),
    ];
    if let Some((_, name)) = known.into_iter().find(|(umami, _)| *umami == name) {
        return name.to_owned();
    }
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
