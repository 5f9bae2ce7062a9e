//! The parameters that all reports share.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use chassis::Problem;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use rollups::day::LocalDay;
use rollups::goal::GoalMatcher;
use rollups::pattern::WildcardPattern;
use rollups::query::ReportPeriod;
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::app::reports::ReportQuery;
use crate::domain::goal::GoalTarget;
use crate::http::filter_params::split_params;
use crate::http::query_params::{self, invalid_param, parse_site};
use crate::http::site_scope::ScopedPairs;
use crate::store::{Goal, ReportSite, Store};

const DEFAULT_PERIOD_DAYS: u64 = 7;
/// Ten years.
const MAX_PERIOD_DAYS: i64 = 3_660;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documentation only; `ReportRequest` parses")]
pub(crate) struct ReportParams {
    /// Domain of the site. Optional if there is only one, or if the token is limited to one.
    site: Option<String>,
    /// First day (`2026-11-20`, in the time zone) or timestamp (RFC 3339). Default: six days before
    /// the last day.
    from: Option<String>,
    /// Last day (included) or timestamp (RFC 3339, excluded). Default: today. A period covers at
    /// most ten years.
    to: Option<String>,
    /// IANA time zone. Default: the site's time zone.
    time_zone: Option<String>,
    /// `false` (default): people's sessions; `true`: all sessions; `only`: bots' sessions.
    include_bots: Option<String>,
    /// Filters, one query parameter per dimension: `country=US&country=CA` (any of these),
    /// `device_type=!smartphone` (not this one), `page=/blog/*` (wildcard), `utm_source=` (no
    /// value). All filters must match.
    #[param(style = Form, explode = true)]
    filters: Option<BTreeMap<String, String>>,
    /// Name or id of a segment. Its filters apply in addition.
    segment: Option<String>,
}

/// A validated request for a report.
#[derive(Clone, Debug)]
pub(crate) struct ReportRequest {
    pub(crate) query: ReportQuery,
    /// Bots' sessions, people's sessions, or both (`None`).
    pub(crate) is_bot: Option<bool>,
    /// The parameters of the single report.
    own_params: BTreeMap<String, String>,
}

impl ReportRequest {
    /// Parses the parameters; `own` names those of the single report.
    pub(crate) async fn parse(
        store: &Store,
        now: DateTime<Utc>,
        pairs: ScopedPairs,
        own: &[&str],
    ) -> Result<Self, Problem> {
        let (mut rest, filters) = split_params(store, pairs, own).await?;
        let is_bot = query_params::take_bot_filter(&mut rest)?.required_is_bot();
        let zone = query_params::take_time_zone(&mut rest)?;
        let (from, to) = (rest.remove("from"), rest.remove("to"));
        let from = from
            .map(|text| PeriodBound::parse("from", &text))
            .transpose()?;
        let to = to.map(|text| PeriodBound::parse("to", &text)).transpose()?;
        let site = find_site(store, rest.remove("site")).await?;
        let period = resolve_period(zone.unwrap_or(site.zone), from, to, now)?;
        let request = Self {
            query: ReportQuery {
                site,
                period,
                filters: filters.into(),
                goal: None,
                now,
                started_at: Instant::now(),
            },
            is_bot,
            own_params: rest,
        };
        for filter in request.query.filters.iter() {
            let name = filter.property.as_deref();
            request.check_property(name, &format!("property:{}", name.unwrap_or_default()))?;
        }
        Ok(request)
    }

    /// Refuses a property that the site does not count.
    pub(crate) fn check_property(
        &self,
        property: Option<&str>,
        field: &str,
    ) -> Result<(), Problem> {
        let named = &self.query.site.properties;
        if property.is_none_or(|name| named.iter().any(|known| known == name)) {
            return Ok(());
        }
        let detail = "the site does not count this property; add it with PATCH /sites/{domain}";
        Err(invalid_param(field, detail))
    }

    /// A parameter of the single report.
    pub(crate) fn own_param(&self, name: &str) -> Option<&str> {
        self.own_params.get(name).map(String::as_str)
    }

    pub(crate) fn parse_limit(&self, usual: i64, most: i64) -> Result<i64, Problem> {
        let Some(text) = self.own_param("limit") else {
            return Ok(usual);
        };
        let limit: Option<i64> = text.parse().ok();
        let limit = limit.filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| invalid_param("limit", format!("`limit` must be between 1 and {most}")))
    }

    /// The requested goal, and the query restricted to the sessions that reach it.
    pub(crate) async fn goal_query(
        &self,
        store: &Store,
    ) -> Result<Option<(Goal, ReportQuery)>, Problem> {
        let Some(name) = self.own_param("goal") else {
            return Ok(None);
        };
        let goals = store.goals.list(Some(&self.query.site.domain)).await;
        let mut goals = goals?.into_iter();
        let goal = goals.find(|goal| goal.name == name || goal.id.to_string() == name);
        let goal = goal.ok_or_else(|| invalid_param("goal", "the site has no such goal"))?;
        let query = self.restrict_to_goal(store, &goal).await?;
        Ok(Some((goal, query)))
    }

    /// The query restricted to the sessions that reach a goal.
    pub(crate) async fn restrict_to_goal(
        &self,
        store: &Store,
        goal: &Goal,
    ) -> Result<ReportQuery, Problem> {
        let invalid_goal = || {
            Problem::not_found(
                "the stored definition of this goal is invalid; delete and create it again",
            )
        };
        let target = GoalTarget::accept(goal.page.clone(), goal.event_type.clone());
        let reach = match target.map_err(|_| invalid_goal())? {
            GoalTarget::Page(page) => {
                GoalMatcher::Page(WildcardPattern::parse_path(&page).map_err(|_| invalid_goal())?)
            }
            GoalTarget::Event(kind) => {
                let happened = store
                    .goals
                    .event_times(self.query.site.id, &self.query.period, &kind)
                    .await;
                match happened? {
                    Some(happened) => GoalMatcher::Event(Arc::new(happened)),
                    None => return Err(too_many_visits()),
                }
            }
        };
        Ok(ReportQuery {
            goal: Some(reach),
            ..self.query.clone()
        })
    }

    /// A hash of the request, which binds a cursor to the request.
    pub(crate) fn fingerprint(&self, more: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        let query = &self.query;
        (
            &query.site.id,
            &query.period,
            &query.filters,
            self.is_bot,
            more,
        )
            .hash(&mut hasher);
        hasher.finish()
    }
}

pub(super) async fn find_site(store: &Store, name: Option<String>) -> Result<ReportSite, Problem> {
    let name = name.as_deref().map(parse_site).transpose()?;
    let found = store.sites.report_site(name.as_deref()).await?;
    found.ok_or_else(|| match name {
        Some(_) => Problem::not_found("there is no such site").field("site"),
        None => invalid_param(
            "site",
            "`site` is required unless there is exactly one site",
        ),
    })
}

/// `from` or `to`.
#[derive(Clone, Copy, Debug)]
enum PeriodBound {
    Day(NaiveDate),
    Timestamp(DateTime<Utc>),
}

impl PeriodBound {
    fn parse(name: &str, text: &str) -> Result<Self, Problem> {
        let day = text.parse().map(Self::Day).ok();
        // Timestamps are truncated to seconds.
        let moment = || {
            let moment = DateTime::parse_from_rfc3339(text).ok()?;
            DateTime::from_timestamp(moment.timestamp(), 0).map(Self::Timestamp)
        };
        let edge = day
            .or_else(moment)
            .filter(|edge| (1990..=2200).contains(&edge.year()));
        let detail =
            "expected a day such as 2026-11-20 or a timestamp such as 2026-11-20T12:00:00Z";
        edge.ok_or_else(|| invalid_param(name, format!("{detail}, between 1990 and 2200")))
    }

    fn year(self) -> i32 {
        match self {
            Self::Day(date) => date.year(),
            Self::Timestamp(moment) => moment.year(),
        }
    }
}

fn resolve_period(
    zone: Tz,
    from: Option<PeriodBound>,
    to: Option<PeriodBound>,
    now: DateTime<Utc>,
) -> Result<ReportPeriod, Problem> {
    let to = match to {
        Some(PeriodBound::Day(date)) => LocalDay::new(zone, date).to,
        Some(PeriodBound::Timestamp(moment)) => moment,
        None => LocalDay::containing(zone, now).to,
    };
    let from = match from {
        Some(PeriodBound::Day(date)) => LocalDay::new(zone, date).from,
        Some(PeriodBound::Timestamp(moment)) => moment,
        None => {
            let last = LocalDay::containing(zone, to - chrono::TimeDelta::seconds(1)).date;
            LocalDay::new(zone, last - Days::new(DEFAULT_PERIOD_DAYS - 1)).from
        }
    };
    if from >= to {
        return Err(invalid_param(
            "from",
            "`from` must be before the end of the period",
        ));
    }
    if (to - from).num_days() > MAX_PERIOD_DAYS {
        return Err(invalid_param("from", "a report covers at most ten years"));
    }
    Ok(ReportPeriod { zone, from, to })
}

/// A report holds at most four million visitors or steps in memory.
pub(super) fn too_many_visits() -> Problem {
    let detail = "too many visits for one report; shorten the period or add filters";
    Problem::invalid("from", "TOO_MUCH", detail)
}
