//! Parsers of single query parameters: sites, limits, timestamps, cursors.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chassis::Problem;
use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::domain::visit::normalize_domain;
use crate::store::BotFilter;

/// The years that both PostgreSQL and RFC 3339 can represent.
const SUPPORTED_YEARS: RangeInclusive<i32> = 1..=9_999;
const DEFAULT_PAGE_LIMIT: i64 = 50;
const MAX_PAGE_LIMIT: i64 = 1_000;

/// The query parameters of a page. Unlike `chassis::page::ListParams`, pages have up to 1,000
/// items, and the text of a cursor is opaque.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Maximum number of items per page: 1 to 1,000. Default: 50.
    pub(super) limit: Option<i64>,
    /// `next_cursor` of the previous page.
    pub(super) cursor: Option<String>,
}

/// Unparsed query parameters.
pub(super) type QueryPairs = Vec<(String, String)>;

pub(super) fn parse_site(name: &str) -> Result<String, Problem> {
    normalize_domain(name).map_err(|error| invalid_param("site", error.to_string()))
}

pub(super) fn take_bot_filter(rest: &mut BTreeMap<String, String>) -> Result<BotFilter, Problem> {
    parse_bot_filter(rest.remove("include_bots").as_deref())
}

pub(super) fn parse_bot_filter(text: Option<&str>) -> Result<BotFilter, Problem> {
    match text {
        None | Some("false") => Ok(BotFilter::Exclude),
        Some("true") => Ok(BotFilter::Include),
        Some("only") => Ok(BotFilter::Only),
        Some(_) => Err(invalid_param(
            "include_bots",
            "`include_bots` must be `false`, `true` or `only`",
        )),
    }
}

pub(super) fn take_time_zone(rest: &mut BTreeMap<String, String>) -> Result<Option<Tz>, Problem> {
    let zone = rest.remove("time_zone").map(|name| name.parse());
    let zone = zone.transpose();
    zone.map_err(|_| {
        invalid_param(
            "time_zone",
            "`time_zone` must be an IANA time zone such as Europe/Berlin",
        )
    })
}

pub(super) fn invalid_param(field: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "QUERY_INVALID", detail).field(field)
}

pub(super) fn parse_limit(text: Option<&str>) -> Result<i64, Problem> {
    // Text that is not a number becomes 0, which is out of bounds.
    check_limit(text.map(|text| text.parse().unwrap_or_default()))
}

pub(super) fn check_limit(limit: Option<i64>) -> Result<i64, Problem> {
    let limit = limit.unwrap_or(DEFAULT_PAGE_LIMIT);
    let is_within = (1..=MAX_PAGE_LIMIT).contains(&limit);
    let refuse = || invalid_param("limit", "`limit` must be between 1 and 1000");
    is_within.then_some(limit).ok_or_else(refuse)
}

/// Truncates the rows of a query, which reads one more than `limit`. Returns the cursor of the next
/// page, if there is one.
pub(super) fn truncate_page<T, C>(
    rows: &mut Vec<T>,
    limit: i64,
    cursor: impl Fn(&T) -> C,
) -> Option<C> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| has_more).map(cursor)
}

/// Parses the parameter `cursor`, if it is given.
pub(super) fn parse_cursor<C>(
    text: Option<&str>,
    decode: impl Fn(&str) -> Option<C>,
) -> Result<Option<C>, Problem> {
    let refuse = || {
        invalid_param(
            "cursor",
            "not a cursor of this list; send `next_cursor` of the previous page",
        )
    };
    text.map(|text| decode(text).ok_or_else(refuse)).transpose()
}

pub(super) fn parse_timestamp(name: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let moment = text.parse::<DateTime<Utc>>().ok();
    let moment = moment.filter(|moment| SUPPORTED_YEARS.contains(&moment.year()));
    moment.ok_or_else(|| {
        invalid_param(
            name,
            "expected an RFC 3339 timestamp such as 2026-11-20T12:00:00Z",
        )
    })
}

/// Encodes the timestamp and id of the last item of a page.
pub(super) fn encode_cursor(timestamp: DateTime<Utc>, id: Uuid) -> String {
    let mut bytes = timestamp.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend(id.as_bytes());
    BASE64.encode(bytes)
}

pub(super) fn decode_cursor(text: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let bytes = BASE64.decode(text).ok()?;
    let (moment, id) = bytes.split_first_chunk::<8>()?;
    let moment = DateTime::from_timestamp_micros(i64::from_be_bytes(*moment))?;
    let moment = Some(moment).filter(|moment| SUPPORTED_YEARS.contains(&moment.year()))?;
    Some((moment, Uuid::from_slice(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nonsense_does_not() {
        let at = DateTime::from_timestamp_micros(1_795_176_000_123_456).unwrap();
        let id = Uuid::from_u128(7);
        assert_eq!(decode_cursor(&encode_cursor(at, id)), Some((at, id)));
        for nonsense in ["", "?", "AAAA", &"A".repeat(33)] {
            assert_eq!(decode_cursor(nonsense), None);
        }
    }
}
