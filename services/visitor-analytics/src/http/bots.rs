//! `GET /analytics/bots`.

use axum::Json;
use axum::extract::State;
use chassis::Problem;
use chassis::extract::Query;
use chassis::problem::ProblemBody;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error;
use super::list::{named_site, wrong};
use crate::store::{BotsQuery, Interval, Share};

/// What is looked at where it is not said.
const USUAL: TimeDelta = TimeDelta::days(7);
/// Points in time of one answer, at most.
const POINTS: i64 = 2_000;
const DEFAULT_LIMIT: usize = 50;
const MOST: usize = 1_000;

/// The parameters of `GET /analytics/bots`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only this site.
    site: Option<String>,
    /// Not earlier than this (RFC 3339); without it seven days before `to`.
    from: Option<DateTime<Utc>>,
    /// Earlier than this (RFC 3339); without it now.
    to: Option<DateTime<Utc>>,
    /// The distance of points in time; `day` without it.
    interval: Option<Distance>,
    /// Whose days they are (IANA); `UTC` without it.
    time_zone: Option<String>,
    /// At most so many values of each kind, 1 to 1,000; 50 without it.
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Distance {
    Hour,
    Day,
    Week,
    Month,
}

/// What was filtered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bots {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// All visits, people's too.
    visits: i64,
    /// Bots' visits.
    bot_visits: i64,
    /// By the bot's name; `null` where none is known.
    by_name: Vec<Value>,
    /// By category, such as `search_engine`.
    by_category: Vec<Value>,
    /// By the code of a rule; a visit may have several.
    by_reason: Vec<Value>,
    /// Points in time that have any, in their order.
    over_time: Vec<Point>,
}

/// A value and its visits.
#[derive(Debug, Serialize, ToSchema)]
struct Value {
    value: Option<String>,
    visits: i64,
}

/// A point in time and its visits.
#[derive(Debug, Serialize, ToSchema)]
struct Point {
    time: DateTime<Utc>,
    visits: i64,
}

/// Bots' visits, which other reports leave out: by name, category and reason, and over time.
#[utoipa::path(get, path = "/analytics/bots", tag = "analytics", params(Parameters),
    responses(
        (status = 200, body = Bots, description = "What was filtered"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json",
            description = "A parameter is wrong; `field` names it"),
    ))]
pub(super) async fn bots(
    State(state): State<super::State>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Bots>, Problem> {
    let query = parameters.query(state.clock.now())?;
    let found = state
        .store
        .bots(&query)
        .await
        .map_err(|e| error::store(&e))?;
    let values = |shares: Vec<Share>| shares.into_iter().map(Value::from).collect();
    let point = |(time, visits)| Point { time, visits };
    Ok(Json(Bots {
        from: query.from,
        to: query.to,
        visits: found.visits,
        bot_visits: found.bot_visits,
        by_name: values(found.names),
        by_category: values(found.categories),
        by_reason: values(found.reasons),
        over_time: found.points.into_iter().map(point).collect(),
    }))
}

impl Parameters {
    fn query(self, now: DateTime<Utc>) -> Result<BotsQuery, Problem> {
        let to = self.to.unwrap_or(now);
        let from = self.from.or_else(|| to.checked_sub_signed(USUAL));
        let from = from.filter(|from| *from <= to);
        let from = from.ok_or_else(|| wrong("from", "from lies after to"))?;
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(wrong("limit", "a limit lies between 1 and 1000"));
        }
        let (interval, hours) = match self.interval.unwrap_or(Distance::Day) {
            Distance::Hour => (Interval::Hour, 1),
            Distance::Day => (Interval::Day, 24),
            Distance::Week => (Interval::Week, 168),
            Distance::Month => (Interval::Month, 672),
        };
        if (to - from).num_hours() / hours > POINTS {
            return Err(wrong("interval", "that is more than 2000 points in time"));
        }
        let zone = self.time_zone.as_deref().unwrap_or("UTC");
        Ok(BotsQuery {
            site: self.site.as_deref().map(named_site).transpose()?,
            from,
            to,
            interval,
            time_zone: zone
                .parse()
                .map_err(|_| wrong("time_zone", "a time zone is an IANA name"))?,
            limit,
        })
    }
}

impl From<Share> for Value {
    fn from(share: Share) -> Self {
        Self {
            value: share.value,
            visits: share.visits,
        }
    }
}
