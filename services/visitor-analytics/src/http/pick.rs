//! The parameters that pick visits one by one.

use std::collections::BTreeMap;

use chassis::Problem;
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use utoipa::IntoParams;

use super::analytics::question::sorted;
use super::list::{self, moment, named_site, wrong};
use super::site_scope::ScopedPairs;
use crate::domain::pick::{VisitFilter, is_told_by_a_visit};
use crate::store::Store;

/// Parameters that pick visits. Every dimension is one, too.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it only describes; `read` reads")]
pub(super) struct VisitFilterParams {
    /// Only this site's visits.
    site: Option<String>,
    /// Bots' visits: `false` (without it), `true` or `only`.
    include_bots: Option<String>,
    /// An IANA name: whose clock tells `hour` and `weekday`; `UTC` without it.
    time_zone: Option<String>,
    /// Filters: any dimension, such as `country=US&country=CA` (one of them),
    /// `device_type=!smartphone` (not), `page=/blog/*` (wildcard), `utm_source=` (missing).
    #[param(style = Form, explode = true)]
    filters: Option<BTreeMap<String, String>>,
    /// A segment, by its name or id: its filters have to pass as well.
    segment: Option<String>,
}

/// Reads the parameters of a stream that has no others.
pub(super) async fn read(store: &Store, pairs: ScopedPairs) -> Result<VisitFilter, Problem> {
    let (pick, rest) = read_with(store, pairs, &[]).await?;
    match rest.into_keys().next() {
        Some(name) => Err(wrong(&name, "there is no such parameter here")),
        None => Ok(pick),
    }
}

/// Reads the parameters, and returns those of `own`, and `from` and `to`, beside.
pub(super) async fn read_with(
    store: &Store,
    pairs: ScopedPairs,
    own: &[&str],
) -> Result<(VisitFilter, BTreeMap<String, String>), Problem> {
    let (mut rest, filters) = sorted(store, pairs, own).await?;
    if let Some(filter) = filters.iter().find(|f| !is_told_by_a_visit(f.subject)) {
        let detail = "a visit alone does not tell this";
        return Err(wrong(filter.subject.name(), detail));
    }
    let is_bot = list::bots(&mut rest)?.wanted();
    let zone = list::zone(&mut rest)?;
    let site = rest.remove("site").map(|name| named_site(&name));
    let pick = VisitFilter {
        site: site.transpose()?,
        is_bot,
        filters,
        zone: zone.unwrap_or(Tz::UTC),
    };
    Ok((pick, rest))
}

/// Where a period begins or ends, if it does.
type OptionalTimestamp = Option<DateTime<Utc>>;

/// Takes `from` and `to` out of the parameters: a day on the clock of `zone`, the last of which
/// belongs to the period, or a moment.
pub(super) fn period(
    rest: &mut BTreeMap<String, String>,
    zone: Tz,
) -> Result<(OptionalTimestamp, OptionalTimestamp), Problem> {
    let mut edge = |name: &str, of: fn(LocalDay) -> DateTime<Utc>| {
        let text = rest.remove(name)?;
        let day: Option<NaiveDate> = text.parse().ok();
        let day = day.filter(|day| (1990..=2200).contains(&day.year()));
        Some(match day {
            Some(day) => Ok(of(LocalDay::new(zone, day))),
            None => moment(name, &text),
        })
    };
    let from = edge("from", |day| day.from).transpose()?;
    let to = edge("to", |day| day.to).transpose()?;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(wrong("from", "the period ends before it begins"));
    }
    Ok((from, to))
}
