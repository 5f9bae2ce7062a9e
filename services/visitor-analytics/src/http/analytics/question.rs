//! The parameters that all reports share.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use chassis::Problem;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use rollups::filters;
use rollups::goal::GoalMatcher;
use rollups::pattern::WildcardPattern;
use rollups::question::{AttributeFilter, ReportPeriod};

use super::super::error;
use super::super::list::{self, named_site};
use super::super::site_scope::ScopedPairs;
use super::{too_much, wrong};
use crate::domain::goal::GoalTarget;
use crate::domain::segment;
use crate::store::{BoundedResult, Goal, ReportQuery, ReportSite, Store};

const DEFAULT_PERIOD_DAYS: u64 = 7;
/// Ten years.
const MAX_PERIOD_DAYS: i64 = 3_660;

/// Unparsed query parameters.
pub(in crate::http) type QueryPairs = Vec<(String, String)>;

/// A validated request for a report.
#[derive(Clone, Debug)]
pub(in crate::http) struct ReportRequest {
    pub(in crate::http) asked: ReportQuery,
    /// Bots' sessions, people's sessions, or both (`None`).
    pub(in crate::http) is_bot: Option<bool>,
    /// The parameters of the single report.
    rest: BTreeMap<String, String>,
}

const SHARED_PARAMETERS: [&str; 6] = ["site", "from", "to", "time_zone", "include_bots", "segment"];

impl ReportRequest {
    /// Parses the parameters; `own` names those of the single report.
    pub(in crate::http) async fn read(
        store: &Store,
        now: DateTime<Utc>,
        pairs: ScopedPairs,
        own: &[&str],
    ) -> Result<Self, Problem> {
        let (mut rest, filters) = sorted(store, pairs, own).await?;
        let is_bot = list::bots(&mut rest)?.wanted();
        let zone = list::zone(&mut rest)?;
        let (from, to) = (rest.remove("from"), rest.remove("to"));
        let from = from
            .map(|text| PeriodBound::read("from", &text))
            .transpose()?;
        let to = to.map(|text| PeriodBound::read("to", &text)).transpose()?;
        let site = site(store, rest.remove("site")).await?;
        let period = period(zone.unwrap_or(site.zone), from, to, now)?;
        let question = Self {
            asked: ReportQuery {
                site,
                period,
                filters: filters.into(),
                reach: None,
                now,
            },
            is_bot,
            rest,
        };
        for filter in question.asked.filters.iter() {
            let name = filter.property.as_deref();
            question.counts(name, &format!("property:{}", name.unwrap_or_default()))?;
        }
        Ok(question)
    }

    /// Refuses a property that the site does not count.
    pub(in crate::http) fn counts(
        &self,
        property: Option<&str>,
        field: &str,
    ) -> Result<(), Problem> {
        let named = &self.asked.site.properties;
        if property.is_none_or(|name| named.iter().any(|known| known == name)) {
            return Ok(());
        }
        let detail = "the site does not count this property; add it with PATCH /sites/{domain}";
        Err(wrong(field, detail))
    }

    /// A parameter of the single report.
    pub(in crate::http) fn own(&self, name: &str) -> Option<&str> {
        self.rest.get(name).map(String::as_str)
    }

    pub(in crate::http) fn limit(&self, usual: i64, most: i64) -> Result<i64, Problem> {
        let Some(text) = self.own("limit") else {
            return Ok(usual);
        };
        let limit: Option<i64> = text.parse().ok();
        let limit = limit.filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| wrong("limit", format!("`limit` must be between 1 and {most}")))
    }

    /// The requested goal, and the query restricted to the sessions that reach it.
    pub(in crate::http) async fn goal(
        &self,
        store: &Store,
    ) -> Result<Option<(Goal, ReportQuery)>, Problem> {
        let Some(name) = self.own("goal") else {
            return Ok(None);
        };
        let goals = store.goals(Some(&self.asked.site.domain)).await;
        let mut goals = goals.map_err(|e| error::store(&e))?.into_iter();
        let goal = goals.find(|goal| goal.name == name || goal.id.to_string() == name);
        let goal = goal.ok_or_else(|| wrong("goal", "the site has no such goal"))?;
        let asked = self.reaching(store, &goal).await?;
        Ok(Some((goal, asked)))
    }

    /// The query restricted to the sessions that reach a goal.
    pub(in crate::http) async fn reaching(
        &self,
        store: &Store,
        goal: &Goal,
    ) -> Result<ReportQuery, Problem> {
        let broken = || {
            Problem::not_found(
                "the stored definition of this goal is invalid; delete and create it again",
            )
        };
        let target = GoalTarget::accept(goal.page.clone(), goal.event_type.clone());
        let reach = match target.map_err(|_| broken())? {
            GoalTarget::Page(page) => {
                GoalMatcher::Page(WildcardPattern::parse(&page).map_err(|_| broken())?)
            }
            GoalTarget::Event(kind) => {
                let happened = store.happened(&self.asked, &kind).await;
                match happened.map_err(|e| error::store(&e))? {
                    BoundedResult::Fits(happened) => GoalMatcher::Event(Arc::new(happened)),
                    BoundedResult::TooMuch => return Err(too_much()),
                }
            }
        };
        Ok(ReportQuery {
            reach: Some(reach),
            ..self.asked.clone()
        })
    }

    /// A hash of the request, which binds a cursor to the request.
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

type SplitParams = (BTreeMap<String, String>, Vec<AttributeFilter>);

/// Separates the named parameters from the filters, adds the filters of the segment, and refuses
/// unknown parameters.
pub(in crate::http) async fn sorted(
    store: &Store,
    pairs: ScopedPairs,
    own: &[&str],
) -> Result<SplitParams, Problem> {
    let (mut rest, mut filters) = sort(pairs, own)?;
    if let Some(name) = rest.remove("segment") {
        filters.extend(segment(store, &name).await?);
    }
    Ok((rest, filters))
}

fn sort(pairs: ScopedPairs, own: &[&str]) -> Result<SplitParams, Problem> {
    let mut rest = BTreeMap::new();
    let mut filters: Vec<AttributeFilter> = vec![];
    for (name, value) in pairs {
        if SHARED_PARAMETERS.contains(&&*name) || own.contains(&&*name) {
            if rest.insert(name.clone(), value).is_some() {
                return Err(wrong(&name, "the parameter occurs more than once"));
            }
            continue;
        }
        let added = filters::add(&mut filters, &name, &value);
        added.map_err(|error| wrong(&name, error.to_string()))?;
    }
    Ok((rest, filters))
}

/// Reads the filters of the segment with this name or id.
async fn segment(store: &Store, name: &str) -> Result<Vec<AttributeFilter>, Problem> {
    let found = store.segment(name).await.map_err(|e| error::store(&e))?;
    let found = found.ok_or_else(|| wrong("segment", "there is no such segment"))?;
    // A stored segment may name a dimension that no longer exists.
    segment::read(&found.filters).map_err(|error| wrong("segment", error.to_string()))
}

pub(super) async fn site(store: &Store, name: Option<String>) -> Result<ReportSite, Problem> {
    let name = name.as_deref().map(named_site).transpose()?;
    let found = store.site_of_report(name.as_deref()).await;
    let found = found.map_err(|e| error::store(&e))?;
    found.ok_or_else(|| match name {
        Some(_) => Problem::not_found("there is no such site").field("site"),
        None => wrong(
            "site",
            "`site` is required unless there is exactly one site",
        ),
    })
}

/// `from` or `to`.
#[derive(Clone, Copy, Debug)]
enum PeriodBound {
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

impl PeriodBound {
    fn read(name: &str, text: &str) -> Result<Self, Problem> {
        let day = text.parse().map(Self::Day).ok();
        // Timestamps are truncated to seconds.
        let moment = || {
            let moment = DateTime::parse_from_rfc3339(text).ok()?;
            DateTime::from_timestamp(moment.timestamp(), 0).map(Self::Moment)
        };
        let edge = day
            .or_else(moment)
            .filter(|edge| (1990..=2200).contains(&edge.year()));
        let detail =
            "expected a day such as 2026-11-20 or a timestamp such as 2026-11-20T12:00:00Z";
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
    from: Option<PeriodBound>,
    to: Option<PeriodBound>,
    now: DateTime<Utc>,
) -> Result<ReportPeriod, Problem> {
    let to = match to {
        Some(PeriodBound::Day(date)) => LocalDay::new(zone, date).to,
        Some(PeriodBound::Moment(moment)) => moment,
        None => LocalDay::of(zone, now).to,
    };
    let from = match from {
        Some(PeriodBound::Day(date)) => LocalDay::new(zone, date).from,
        Some(PeriodBound::Moment(moment)) => moment,
        None => {
            let last = LocalDay::of(zone, to - chrono::TimeDelta::seconds(1)).date;
            LocalDay::new(zone, last - Days::new(DEFAULT_PERIOD_DAYS - 1)).from
        }
    };
    if from >= to {
        return Err(wrong("from", "`from` must be before the end of the period"));
    }
    if (to - from).num_days() > MAX_PERIOD_DAYS {
        return Err(wrong("from", "a report covers at most ten years"));
    }
    Ok(ReportPeriod { zone, from, to })
}
