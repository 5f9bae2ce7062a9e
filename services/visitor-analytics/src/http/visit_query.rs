//! The parameters of `GET /visits` and `GET /sessions`.

use std::collections::BTreeMap;

use chassis::Problem;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use utoipa::IntoParams;

use super::filter_params::split_params;
use super::query_params::{
    decode_cursor, invalid_param, parse_cursor, parse_limit, parse_site, parse_timestamp,
    take_bot_filter, take_time_zone,
};
use super::site_scope::ScopedPairs;
use crate::store::{Store, VisitQuery};

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `parse_visit_query` parses")]
pub(super) struct VisitFilterParams {
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
}

#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documentation only; `parse_bot_filter` parses")]
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
    let after = parse_cursor(rest.get("cursor").map(String::as_str), decode_cursor)?;
    let zone = take_time_zone(&mut rest)?;
    let site = rest.get("site").map(|name| parse_site(name));
    Ok(VisitQuery {
        site: site.transpose()?,
        from,
        to,
        bots: take_bot_filter(&mut rest)?,
        after,
        limit,
        filters,
        zone: zone.unwrap_or(Tz::UTC),
    })
}
