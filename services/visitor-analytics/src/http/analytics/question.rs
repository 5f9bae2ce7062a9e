//! A question's parameters, which all reports share.

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

/// Days without a `from`.
const DEFAULT_PERIOD_DAYS: u64 = 7;
/// Ten years.
const MAX_PERIOD_DAYS: i64 = 3_660;

/// Parameters as they came, each once but for filters.
pub(in crate::http) type QueryPairs = Vec<(String, String)>;

/// A question that can be answered.
#[derive(Clone, Debug)]
pub(in crate::http) struct ReportRequest {
    pub(in crate::http) asked: ReportQuery,
    /// Bots' sessions, people's, or both.
    pub(in crate::http) is_bot: Option<bool>,
    /// The parameters of one report.
    rest: BTreeMap<String, String>,
}

/// The parameters that all reports have.
const SHARED_PARAMETERS: [&str; 6] = ["site", "from", "to", "time_zone", "include_bots", "segment"];

impl ReportRequest {
    /// Reads the parameters; `own` names those that this report has beside the shared ones.
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
        let detail = "the site does not count this property: PATCH /sites/{domain} names those";
        Err(wrong(field, detail))
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

    /// The goal that was asked for, and the same question about the sessions that reach it.
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

    /// The same question about the sessions that reach a goal.
    pub(in crate::http) async fn reaching(
        &self,
        store: &Store,
        goal: &Goal,
    ) -> Result<ReportQuery, Problem> {
        let broken = || Problem::not_found("this goal cannot be told");
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

type SplitParams = (BTreeMap<String, String>, Vec<AttributeFilter>);

/// Separates what every report knows from filters, among them those of a segment, and refuses the
/// rest.
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
                return Err(wrong(&name, "it is there twice"));
            }
            continue;
        }
        let added = filters::add(&mut filters, &name, &value);
        added.map_err(|error| wrong(&name, error.to_string()))?;
    }
    Ok((rest, filters))
}

/// The filters of the segment with this name or id.
async fn segment(store: &Store, name: &str) -> Result<Vec<AttributeFilter>, Problem> {
    let found = store.segment(name).await.map_err(|e| error::store(&e))?;
    let found = found.ok_or_else(|| wrong("segment", "there is no such segment"))?;
    // A dimension may have gone since it was accepted.
    segment::read(&found.filters).map_err(|error| wrong("segment", error.to_string()))
}

pub(super) async fn site(store: &Store, name: Option<String>) -> Result<ReportSite, Problem> {
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
enum PeriodBound {
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

impl PeriodBound {
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
        return Err(wrong("from", "the period ends before it begins"));
    }
    if (to - from).num_days() > MAX_PERIOD_DAYS {
        return Err(wrong("from", "a report covers ten years at most"));
    }
    Ok(ReportPeriod { zone, from, to })
}
