//! A question's parameters, which all reports share.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use chassis::Problem;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::Tz;

use super::super::error;
use super::super::list::named_site;
use super::wrong;
use crate::domain::day::Day;
use crate::domain::pattern::Pattern;
use crate::domain::question::{Filter, Period, Subject};
use crate::store::{Asked, SiteOfReport, Store};

/// Values in all filters of a question.
const MOST_VALUES: usize = 100;
/// Days without a `from`.
const USUAL_DAYS: u64 = 7;
/// Ten years.
const MOST_DAYS: i64 = 3_660;

/// Parameters as they came, each once but for filters.
pub(in crate::http) type Pairs = Vec<(String, String)>;

/// A question that can be answered.
#[derive(Clone, Debug)]
pub(in crate::http) struct Question {
    pub(in crate::http) asked: Asked,
    /// Bots' sessions, people's, or both.
    pub(in crate::http) is_bot: Option<bool>,
    /// The parameters of one report.
    rest: BTreeMap<String, String>,
}

/// The parameters that all reports have.
const SHARED: [&str; 5] = ["site", "from", "to", "time_zone", "include_bots"];

impl Question {
    /// Reads the parameters; `own` names those that this report has beside the shared ones.
    pub(in crate::http) async fn read(
        store: &Store,
        now: DateTime<Utc>,
        pairs: Pairs,
        own: &[&str],
    ) -> Result<Self, Problem> {
        let (mut rest, filters) = sort(pairs, own)?;
        let is_bot = match rest.remove("include_bots").as_deref() {
            None | Some("false") => Some(false),
            Some("true") => None,
            Some("only") => Some(true),
            Some(_) => return Err(wrong("include_bots", "one of false, true, only")),
        };
        let zone = rest.remove("time_zone").map(|name| {
            let zone: Result<Tz, _> = name.parse();
            zone.map_err(|_| wrong("time_zone", "an IANA name such as Europe/Berlin"))
        });
        let zone = zone.transpose()?;
        let (from, to) = (rest.remove("from"), rest.remove("to"));
        let from = from.map(|text| Edge::read("from", &text)).transpose()?;
        let to = to.map(|text| Edge::read("to", &text)).transpose()?;
        let site = site(store, rest.remove("site")).await?;
        let period = period(zone.unwrap_or(site.zone), from, to, now)?;
        Ok(Self {
            asked: Asked {
                site,
                period,
                filters,
                now,
            },
            is_bot,
            rest,
        })
    }

    /// A parameter of this report.
    pub(in crate::http) fn own(&self, name: &str) -> Option<&str> {
        self.rest.get(name).map(String::as_str)
    }

    /// A whole number, within bounds.
    pub(in crate::http) fn limit(&self, usual: i64, most: i64) -> Result<i64, Problem> {
        let Some(text) = self.own("limit") else {
            return Ok(usual);
        };
        let limit: Option<i64> = text.parse().ok();
        let limit = limit.filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| wrong("limit", format!("a limit lies between 1 and {most}")))
    }

    /// Tells questions apart, so that a cursor is used with its own.
    pub(in crate::http) fn fingerprint(&self, more: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        let asked = &self.asked;
        (
            &asked.site.id,
            &asked.period,
            &asked.filters,
            self.is_bot,
            more,
        )
            .hash(&mut hasher);
        hasher.finish()
    }
}

type Sorted = (BTreeMap<String, String>, Arc<[Filter]>);

/// Separates what every report knows from filters, and refuses the rest.
pub(in crate::http) fn sort(pairs: Pairs, own: &[&str]) -> Result<Sorted, Problem> {
    let mut rest = BTreeMap::new();
    let mut filters: Vec<Filter> = vec![];
    let mut values = 0;
    for (name, value) in pairs {
        if SHARED.contains(&&*name) || own.contains(&&*name) {
            if rest.insert(name.clone(), value).is_some() {
                return Err(wrong(&name, "it is there twice"));
            }
            continue;
        }
        let Some(subject) = Subject::named(&name) else {
            return Err(wrong(
                &name,
                "this report has no such parameter or dimension",
            ));
        };
        values += 1;
        if values > MOST_VALUES {
            let detail = format!("at most {MOST_VALUES} values in all filters");
            return Err(wrong(&name, detail));
        }
        add(&mut filters, subject, &name, &value)?;
    }
    Ok((rest, filters.into()))
}

fn add(
    filters: &mut Vec<Filter>,
    subject: Subject,
    name: &str,
    value: &str,
) -> Result<(), Problem> {
    let (is_not, text) = value
        .strip_prefix('!')
        .map_or((false, value), |text| (true, text));
    let pattern = Pattern::parse(text).map_err(|error| wrong(name, error.to_string()))?;
    let place = filters.iter().position(|filter| filter.subject == subject);
    let place = place.unwrap_or_else(|| {
        filters.push(Filter {
            subject,
            any: vec![],
            none: vec![],
        });
        filters.len() - 1
    });
    let filter = &mut filters[place];
    let (same, other) = if is_not {
        (&mut filter.none, &filter.any)
    } else {
        (&mut filter.any, &filter.none)
    };
    if other.contains(&pattern) {
        return Err(wrong(name, "the same value is asked for and ruled out"));
    }
    same.push(pattern);
    Ok(())
}

pub(super) async fn site(store: &Store, name: Option<String>) -> Result<SiteOfReport, Problem> {
    let name = name.as_deref().map(named_site).transpose()?;
    let found = store.site_of_report(name.as_deref()).await;
    let found = found.map_err(|e| error::store(&e))?;
    found.ok_or_else(|| match name {
        Some(_) => Problem::not_found("there is no such site").field("site"),
        None => wrong("site", "say which site, since there is not just one"),
    })
}

/// The beginning or the end of a period.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

impl Edge {
    fn read(name: &str, text: &str) -> Result<Self, Problem> {
        let day = text.parse().map(Self::Day).ok();
        // Moments count as their whole second.
        let moment = || {
            let moment = DateTime::parse_from_rfc3339(text).ok()?;
            DateTime::from_timestamp(moment.timestamp(), 0).map(Self::Moment)
        };
        let edge = day
            .or_else(moment)
            .filter(|edge| (1990..=2200).contains(&edge.year()));
        let detail = "a day such as 2026-11-20, or a moment such as 2026-11-20T12:00:00Z";
        edge.ok_or_else(|| wrong(name, format!("{detail}, between 1990 and 2200")))
    }

    fn year(self) -> i32 {
        match self {
            Self::Day(date) => date.year(),
            Self::Moment(moment) => moment.year(),
        }
    }
}

fn period(
    zone: Tz,
    from: Option<Edge>,
    to: Option<Edge>,
    now: DateTime<Utc>,
) -> Result<Period, Problem> {
    let to = match to {
        Some(Edge::Day(date)) => Day::new(zone, date).to,
        Some(Edge::Moment(moment)) => moment,
        None => Day::of(zone, now).to,
    };
    let from = match from {
        Some(Edge::Day(date)) => Day::new(zone, date).from,
        Some(Edge::Moment(moment)) => moment,
        None => {
            let last = Day::of(zone, to - chrono::TimeDelta::seconds(1)).date;
            Day::new(zone, last - Days::new(USUAL_DAYS - 1)).from
        }
    };
    if from >= to {
        return Err(wrong("from", "the period ends before it begins"));
    }
    if (to - from).num_days() > MOST_DAYS {
        return Err(wrong("from", "a report covers ten years at most"));
    }
    Ok(Period { zone, from, to })
}
