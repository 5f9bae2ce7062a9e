//! Query parameters, limits and cursors of lists.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chassis::Problem;
use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::Tz;
use utoipa::IntoParams;
use uuid::Uuid;

use super::analytics::report_request::split_params;
use super::site_scope::ScopedPairs;
use crate::domain::visit::normalize_domain;
use crate::store::{BotFilter, Store, VisitQuery};

/// The years that both PostgreSQL and RFC 3339 can represent.
const SUPPORTED_YEARS: RangeInclusive<i32> = 1..=9_999;
const DEFAULT_PAGE_LIMIT: i64 = 50;
const MAX_PAGE_LIMIT: i64 = 1_000;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `query` parses")]
pub(super) struct VisitListParams {
    /// Only visits of this site. Required if the token is limited to several sites.
    site: Option<String>,
    /// Only items at or after this time (RFC 3339).
    from: Option<DateTime<Utc>>,
    /// Only items before this time (RFC 3339).
    to: Option<DateTime<Utc>>,
    /// `false` (default): people only; `true`: people and bots; `only`: bots only.
    include_bots: Option<IncludeBots>,
    /// IANA time zone of the dimensions `hour` and `weekday`. Default: `UTC`.
    time_zone: Option<String>,
    /// Filters, one query parameter per dimension: `country=US&country=CA` (any of these),
    /// `device_type=!smartphone` (not this one), `page=/blog/*` (wildcard), `utm_source=` (no
    /// value). All filters must match.
    #[param(style = Form, explode = true)]
    filters: Option<BTreeMap<String, String>>,
    /// Name or id of a segment. Its filters apply in addition.
    segment: Option<String>,
    /// Maximum number of items per page: 1 to 1,000. Default: 50.
    limit: Option<i64>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documentation only; `bots` parses")]
pub(super) enum IncludeBots {
    /// People only.
    False,
    /// Everybody.
    True,
    /// Bots only.
    Only,
}

/// Parses the parameters of `GET /visits` and `GET /sessions`.
pub(super) async fn parse_visit_query(
    store: &Store,
    pairs: ScopedPairs,
) -> Result<VisitQuery, Problem> {
    let (mut rest, filters) = split_params(store, pairs, &["limit", "cursor"]).await?;
    let limit = parse_limit(rest.get("limit").map(String::as_str))?;
    let mut edge = |name: &str| rest.remove(name).map(|text| parse_timestamp(name, &text));
    let (from, to) = (edge("from").transpose()?, edge("to").transpose()?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(invalid_param("from", "`from` must not be later than `to`"));
    }
    let after = rest.get("cursor").map(|text| {
        decode_cursor(text).ok_or_else(|| {
            invalid_param(
                "cursor",
                "not a cursor of this list; send `next_cursor` of the previous page",
            )
        })
    });
    let zone = take_time_zone(&mut rest)?;
    let site = rest.get("site").map(|name| parse_site(name));
    Ok(VisitQuery {
        site: site.transpose()?,
        from,
        to,
        bots: take_bot_filter(&mut rest)?,
        after: after.transpose()?,
        limit,
        filters,
        zone: zone.unwrap_or(Tz::UTC),
    })
}

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
