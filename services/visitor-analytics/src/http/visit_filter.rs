//! The filter parameters of endpoints that match visits one by one.

use std::collections::BTreeMap;

use chassis::Problem;
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use utoipa::IntoParams;

use super::filter_params::split_params;
use super::query_params::{self, invalid_param, parse_site, parse_timestamp};
use super::site_scope::ScopedPairs;
use crate::domain::visit_filter::{VisitFilter, is_visit_attribute};
use crate::store::Store;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `parse_filter_with` parses")]
pub(super) struct VisitFilterParams {
    /// Only visits of this site. Required if the token is limited to several sites.
    site: Option<String>,
    /// `false` (default): people's visits; `true`: all visits; `only`: bots' visits.
    include_bots: Option<String>,
    /// IANA time zone of days and of the dimensions `hour` and `weekday`. Default: `UTC`.
    time_zone: Option<String>,
    /// Filters, one query parameter per dimension: `country=US&country=CA` (any of these),
    /// `device_type=!smartphone` (not this one), `page=/blog/*` (wildcard), `utm_source=` (no
    /// value). All filters must match.
    #[param(style = Form, explode = true)]
    filters: Option<BTreeMap<String, String>>,
    /// Name or id of a segment. Its filters apply in addition.
    segment: Option<String>,
}

/// Parses the parameters of an endpoint that takes only a filter.
pub(super) async fn parse_filter(
    store: &Store,
    pairs: ScopedPairs,
) -> Result<VisitFilter, Problem> {
    let (filter, rest) = parse_filter_with(store, pairs, &[]).await?;
    match rest.into_keys().next() {
        Some(name) => Err(invalid_param(&name, "this endpoint has no such parameter")),
        None => Ok(filter),
    }
}

/// Parses the filter, and returns the remaining parameters: those in `own`, `from` and `to`.
pub(super) async fn parse_filter_with(
    store: &Store,
    pairs: ScopedPairs,
    own: &[&str],
) -> Result<(VisitFilter, BTreeMap<String, String>), Problem> {
    let (mut rest, filters) = split_params(store, pairs, own).await?;
    if let Some(filter) = filters.iter().find(|f| !is_visit_attribute(f.attribute)) {
        let detail = "this dimension belongs to sessions; this endpoint filters visits";
        return Err(invalid_param(filter.attribute.name(), detail));
    }
    let is_bot = query_params::take_bot_filter(&mut rest)?.required_is_bot();
    let zone = query_params::take_time_zone(&mut rest)?;
    let site = rest.remove("site").map(|name| parse_site(&name));
    let filter = VisitFilter {
        site: site.transpose()?,
        is_bot,
        filters,
        time_zone: zone.unwrap_or(Tz::UTC),
    };
    Ok((filter, rest))
}

type OptionalTimestamp = Option<DateTime<Utc>>;

/// Removes `from` and `to` from the parameters and parses them: a day in `zone` (`to` is included)
/// or a timestamp (`to` is excluded).
pub(super) fn take_period(
    rest: &mut BTreeMap<String, String>,
    zone: Tz,
) -> Result<(OptionalTimestamp, OptionalTimestamp), Problem> {
    let mut edge = |name: &str, of: fn(LocalDay) -> DateTime<Utc>| {
        let text = rest.remove(name)?;
        let day: Option<NaiveDate> = text.parse().ok();
        let day = day.filter(|day| (1990..=2200).contains(&day.year()));
        Some(match day {
            Some(day) => Ok(of(LocalDay::new(zone, day))),
            None => parse_timestamp(name, &text),
        })
    };
    let from = edge("from", |day| day.from).transpose()?;
    let to = edge("to", |day| day.to).transpose()?;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(invalid_param(
            "from",
            "`from` must be before the end of the period",
        ));
    }
    Ok((from, to))
}
